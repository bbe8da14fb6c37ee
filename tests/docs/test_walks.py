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
