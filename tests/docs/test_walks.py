"""Pages that a reader follows from top to bottom work so, in one folder, and print what they show."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import ROOT, Desk, fences_of
from tests.docs.test_commands import commands_of, matches, runnable, stable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WALKS = {"quickstart.md": False, "onboarding.md": True, "sync.md": True}
"""Page → whether it is walked at the granted rate: it shows what that means, and creates few modules."""

EXIT_CODE = "echo $?"


@pytest.fixture
def desk(page: str, tmp_path: Path) -> Iterator[Desk]:
    shutil.copytree(ROOT / "samples", tmp_path / "samples", ignore=shutil.ignore_patterns("*.db*"))
    desk = Desk(tmp_path, {}, as_granted=WALKS[page])
    yield desk
    desk.close()


def steps_of(page: str) -> list[tuple[str, list[str] | None, int]]:
    """Return the commands of a page, what it shows of each, and its exit code: 0 unless the page shows another."""
    fences = [fence for fence in fences_of(ROOT / "docs" / page) if fence.language in {"sh", "console"}]
    commands = [step for fence in fences for step in commands_of(fence)]
    following = [*commands[1:], ("", None)]
    return [
        (command, shown, int((then_shown or ["0"])[0]) if then == EXIT_CODE else 0)
        for (command, shown), (then, then_shown) in zip(commands, following, strict=True)
    ]


@pytest.mark.parametrize("page", WALKS)
def test_a_page_works_from_its_first_command_to_its_last(page: str, desk: Desk) -> None:
    for command, shown, exit_code in steps_of(page):
        if not runnable(command):
            continue
        printed, ended_with = desk.run(command)

        # `echo` itself ends with 0, whatever it shows.
        assert ended_with == exit_code, (command, printed)
        if shown is not None:
            expected, actual = stable(shown, counts=True), stable(printed, counts=True)
            assert matches(expected, actual), "\n".join([f"{page}: {command} prints", *actual, "not", *expected])


@pytest.mark.parametrize("page", ["sync.md"])
def test_what_a_sync_prints_can_be_pasted(desk: Desk) -> None:
    night = "bulk sync samples/modules.csv --prune --sandbox --ledger l.db"
    original = (desk.folder / "samples/modules.csv").read_text(encoding="utf-8")
    rows = original.replace("Wi-Fi module", "Wi-Fi and BLE").splitlines(keepends=True)[:21]
    (desk.folder / "samples/modules.csv").write_text("".join(rows[:20]), encoding="utf-8")
    assert desk.run(night)[1] in {0, 1}
    (desk.folder / "samples/modules.csv").write_text("".join(rows[:17]), encoding="utf-8")
    assert desk.run(night)[1] == 5

    shown, _ = desk.run("bulk status l.db")
    applied, approved = desk.run(command_after("Approve it by", shown))
    written, _ = desk.run("bulk results l.db --undo-file undo.csv")
    _, restored = desk.run(command_after("To undo its changes:", applied))
    _, restored_again = desk.run(command_after("To restore them:", written))

    world, _ = desk.run("bulk sandbox --state l.db.cloud.jsonl --dump")
    gone = [row.split(",")[1] for row in rows[17:20]]
    assert (approved in {0, 1}, restored, restored_again) == (True, 0, 0)
    assert all(f'"{name}"' in "".join(world) for name in gone)


def command_after(label: str, lines: list[str]) -> str:
    (at,) = [at for at, line in enumerate(lines) if label in line]
    # The desk leaves its own folder out of what is printed.
    return lines[at + 1].strip().replace(" /l.db", " l.db")
