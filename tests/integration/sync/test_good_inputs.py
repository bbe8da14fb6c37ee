"""What the next input is held against: the last one that went through whole, or that a person has approved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.control.guard import Limit
from bulk.errors import InputError
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import FULL, OTHER, THIRD, Cells

if TYPE_CHECKING:
    from bulk.model import Summary
    from tests.integration.sync.conftest import Nights

ANOTHER_FILE: list[Cells] = [(f"a1Else{number:05d}", "m0", "", "") for number in range(20)]


def half(nights: Nights) -> list[Cells]:
    """Return the input without half of each product."""
    return [row for row in nights.rows if int(row[1][1:]) % 2]


def withheld_deletes(summary: Summary) -> int:
    return (summary.withheld or {})["deletes"]


async def test_another_file_is_refused_as_often_as_it_comes(nights: Nights) -> None:
    await nights.run()
    whole = nights.rows
    nights.write(ANOTHER_FILE)

    for _ in range(2):
        with pytest.raises(InputError, match="looks like another file"):
            await nights.sync(prune=True)

    nights.write(whole)
    assert (await nights.sync(prune=True)).exit_code == 0


async def test_an_input_whose_run_was_cut_off_is_no_good_one(nights: Nights) -> None:
    nights.write(ANOTHER_FILE)
    cut_off = await nights.run(deadline_s=1e-9)
    nights.write([(FULL, "m0", "", "")])

    summary = await nights.sync(prune=True)

    assert (cut_off.exit_code, summary.exit_code) == (3, 0)


async def test_half_a_file_that_deletes_nothing_is_told_and_does_not_become_the_measure(synced: Nights) -> None:
    whole = synced.rows
    synced.write(half(synced))
    for prune in (False, False, True):
        summary = await synced.sync(prune=prune, **EVERYTHING_GOES)
        assert "the input has 9 rows, and had 18 in the last good sync" in summary.notes[0]

    assert (summary.exit_code, withheld_deletes(summary)) == (5, 9)
    synced.write(whole)
    assert (await synced.sync(prune=True)).notes == ()


async def test_products_that_left_the_file_are_told_and_the_next_deletes_wait(synced: Nights) -> None:
    synced.write([row for row in synced.rows if row[0] != THIRD])
    gone = await synced.sync(prune=True, **EVERYTHING_GOES)
    synced.write(synced.without((FULL, "m0")))

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (gone.exit_code, gone.surplus) == (0, 4)
    assert "the input has 14 rows, and had 18 in the last good sync: if that is right, accept" in gone.notes[0]
    assert (summary.exit_code, withheld_deletes(summary)) == (5, 1)


async def test_an_input_that_was_approved_is_the_measure_from_then_on(synced: Nights) -> None:
    synced.write(half(synced))
    withheld = await synced.sync(prune=True, **EVERYTHING_GOES)
    assert withheld.plan is not None
    await synced.apply(Path(withheld.plan))
    synced.write([*synced.without((OTHER, "m1")), (OTHER, "new", "new", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.changes) == (0, {"created": 1, "updated": 0, "deleted": 1})


async def test_a_shorter_input_without_deletes_is_accepted_as_the_note_says(synced: Nights, tmp_path: Path) -> None:
    synced.write([row for row in synced.rows if row[0] != THIRD])
    await synced.sync(prune=True)
    await synced.plan(tmp_path / "PLAN", prune=True)

    applied = await synced.apply(tmp_path / "PLAN")

    assert (applied.exit_code, applied.notes) == (0, ())
    assert (await synced.sync(prune=True)).notes == ()


def test_the_commands_that_accept_a_shorter_input_can_be_pasted(tmp_path: Path) -> None:
    file = tmp_path / "my modules.csv"
    rows = [f"a1Prod{number:05d},m,alias,text" for number in range(4)]
    shown = []
    for kept in (rows, rows[1:]):
        file.write_text("\n".join(["ProductKey,ModuleName,AliasName,Desc", *kept, ""]), encoding="utf-8")
        shown.append(bulk("sync", file.name, "--sandbox", folder=tmp_path))
    commands = shown[1].partition("To accept the input as it is now:\n")[2].splitlines()
    pasted = subprocess.run(
        "\n".join(["set -e", *commands]), shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    after = bulk("sync", file.name, "--sandbox", folder=tmp_path)

    assert "the input has 3 rows, and had 4 in the last good sync" in shown[1]
    assert len(commands) == 2
    assert pasted.returncode == 0, pasted.stderr
    assert "last good sync" not in after
    assert "To accept" not in shown[0] + after


def bulk(*arguments: str, folder: Path) -> str:
    """Return what a command shows that goes well."""
    command = [sys.executable, "-m", "bulk", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


async def test_an_approved_trial_approves_no_more_than_its_products(synced: Nights) -> None:
    synced.write(half(synced))
    trial = await synced.sync(settings={"only": (OTHER,)}, prune=True, **EVERYTHING_GOES)
    assert trial.plan is not None
    applied = await synced.apply(Path(trial.plan))

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (applied.exit_code, applied.changes) == (0, {"created": 0, "updated": 0, "deleted": 2})
    assert (summary.exit_code, withheld_deletes(summary)) == (5, 7)


async def test_an_input_that_changed_after_its_plan_is_not_approved_with_it(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")
    withheld = await synced.sync(prune=True, max_updates=Limit(0))
    assert withheld.plan is not None
    synced.write(half(synced))
    applied = await synced.apply(Path(withheld.plan))

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (applied.changes or {}) == {"created": 0, "updated": 1, "deleted": 0}
    assert any("the input changed since the plan was made" in note for note in applied.notes)
    assert (summary.exit_code, withheld_deletes(summary)) == (5, 9)


async def test_an_input_whose_deletes_wait_is_not_the_measure_of_a_shorter_one(nights: Nights) -> None:
    nights.write([(f"a1Prod{row // 10:05d}", f"m{row % 10}", f"alias{row}", "") for row in range(100)])
    await nights.sync()
    nights.write(nights.rows[4:])
    first = await nights.sync(prune=True, max_deletes=Limit(0))
    nights.write(nights.rows[4:])

    second = await nights.sync(prune=True, **EVERYTHING_GOES)

    assert (first.exit_code, first.notes[0][:17]) == (5, "4 deletes planned")
    assert second.notes == ("the input has 92 rows, and had 100 in the last good sync",)


async def test_what_waits_for_a_person_is_no_good_input(synced: Nights) -> None:
    synced.write(half(synced))
    for _ in range(2):
        summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, withheld_deletes(summary)) == (5, 9)
