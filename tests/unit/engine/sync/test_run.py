"""How a sync ends: its exit code, what it leaves, and what the next input is compared with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.run import sync
from bulk.errors import InputError
from bulk.sandbox import FaultPlan
from bulk.settings import ReadSettings
from tests.nights import FULL, OTHER, THIRD, UPDATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    MakeSynced = Callable[..., Awaitable[Any]]

ANOTHER_FILE = [(f"a1Else{number:05d}", "m0", "", "") for number in range(20)]


def half(nights: Any) -> list[Any]:
    """Return the input without half of each product."""
    return [row for row in nights.rows if int(row[1][1:]) % 2]


# Exit codes.


async def test_a_detailed_exit_code_says_whether_anything_was_changed(make_nights: Callable[..., Any]) -> None:
    nights = make_nights()

    first = await nights.sync(call={"detailed_exit_code": True})
    second = await nights.sync(call={"detailed_exit_code": True})

    assert (first.exit_code, second.exit_code) == (6, 0)
    assert (first.plan, second.plan, second.undo) == (None, None, None), "nothing waits, and there is nothing to undo"


@pytest.mark.parametrize(
    ("spoil", "exit_code"),
    [
        (lambda nights: nights.write([*nights.rows, (FULL, "more", "", "")]), 1),
        (lambda nights: nights.box.console().update(OTHER, "m1", alias_name="hand", desc=""), 5),
    ],
)
async def test_what_is_left_is_graver_than_what_was_changed(
    make_synced: MakeSynced, spoil: Callable[[Any], object], exit_code: int
) -> None:
    nights = await make_synced()
    spoil(nights)
    nights.write([*nights.rows, (OTHER, "new", "new", "")])

    summary = await nights.sync(max_updates=Limit(0), call={"detailed_exit_code": True})

    assert (summary.exit_code, summary.changes["created"]) == (exit_code, 1)
    assert [reason.outcome for reason in summary.reasons] == ["over_budget" if exit_code == 1 else "withheld"]


async def test_a_stop_is_graver_than_what_waits_unless_everything_was_done(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="")
    stop = StopSignal()
    nights.when("ListOTAModuleByProduct", lambda _: stop.request("interrupted", exit_code=143), nth=2)

    stopped = await nights.sync(max_updates=Limit(0), call={"stop": stop})

    assert (stopped.exit_code, stopped.stopped) == (143, "interrupted")


async def test_each_account_has_the_exit_code_of_its_own_part(make_estate: Callable[..., Awaitable[Any]]) -> None:
    estate = await make_estate()
    estate.drift("cn", "m0", "m1")
    estate.write([*estate.rows, *(("eu", "a1eu000000", f"n{number}", "n") for number in range(8))])

    summary = await estate.sync(max_updates=Limit(1))

    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": 5, "eu": 1}
    assert (summary.exit_code, summary.withheld["updates"]) == (5, 2)
    assert [note for note in summary.notes if note.startswith("account cn: 2 updates planned")]


async def test_an_account_whose_key_is_refused_stops_alone(make_estate: Callable[..., Awaitable[Any]]) -> None:
    estate = await make_estate(eu={"faults": FaultPlan.parse("list:code:Forbidden.RAM=100%@5")})
    estate.drift("cn", "m0")
    estate.drift("eu", "m0")

    summary = await estate.sync()

    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": 0, "eu": 3}
    assert (summary.exit_code, summary.changes["updated"]) == (3, 1)
    assert {name: figures.converged for name, figures in summary.figures.items()} == {"cn": True, "eu": False}


async def test_an_account_that_is_left_out_has_no_exit_code_and_its_rows_count(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    estate.write([*estate.rows, ("eu", "a1eu000000", "new", "new")])
    before = len(estate.boxes["eu"].seen)

    summary = await estate.sync(settings={"only_accounts": ("cn",)})

    assert {name: account.exit_code for name, account in summary.accounts.items()} == {"cn": 0, "eu": None}
    assert (summary.exit_code, len(estate.boxes["eu"].seen), list(summary.figures)) == (1, before, ["cn"])


async def test_the_surplus_of_an_account_that_is_left_out_is_not_counted(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    estate.write([row for row in estate.rows if row[2] != "m0"])
    everywhere = await estate.sync()

    of_one = await estate.sync(settings={"only_accounts": ("cn",)})

    assert (everywhere.surplus, of_one.surplus) == (4, 2)


async def test_what_an_account_may_not_do_is_withheld_and_named_by_its_right(make_synced: MakeSynced) -> None:
    nights = await make_synced(denied=frozenset({UPDATE}))
    for product in (FULL, OTHER):
        nights.box.console().update(product, "m0", alias_name="hand", desc="")
    before = len(nights.box.seen)

    summary = await nights.sync(settings={"concurrency": 1})

    assert (summary.exit_code, summary.withheld["updates"], nights.written(before)) == (5, 2, {"update": 1})
    assert summary.notes[0].startswith("the key lacks the right to update: iot:UpdateOTAModule; grant it")
    assert {nights.records()[product, "m0"] for product in (FULL, OTHER)} == {("withheld", "no_permission")}


# What it leaves.


async def test_an_input_that_cannot_be_read_again_leaves_no_plan(make_synced: MakeSynced) -> None:
    """An apply reads the input anew."""
    nights = await make_synced()
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="")
    options = SyncOptions(max_updates=Limit(0))
    reading, writing = os.pipe()
    os.write(writing, nights.file.read_bytes())
    os.close(writing)

    summary = await sync(
        f"/dev/fd/{reading}",
        nights.box.settings(ledger=str(nights.ledger), read=ReadSettings(format="csv")),
        options,
        credentials=nights.box.keys(),
    )
    os.close(reading)

    assert (summary.exit_code, (summary.withheld or {})["updates"], summary.plan) == (5, 1, None)


async def test_accounts_that_left_the_file_keep_their_modules_as_surplus(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    estate.drift("eu", "m0")
    withheld = await estate.sync(max_updates=Limit(0))
    assert withheld.withheld["updates"] == 1
    estate.write([row for row in estate.rows if row[0] != "eu"])
    before = len(estate.boxes["eu"].seen)

    narrowed = await estate.sync(settings={"only": ("a1cn*",)}, prune=True)
    summary = await estate.sync(prune=True)

    assert len(estate.boxes["eu"].seen) == before
    assert (narrowed.surplus, summary.surplus, summary.exit_code) == (0, 6, 0)
    assert summary.figures["eu"].surplus == {"product_gone": 6}
    assert summary.figures["eu"].withheld["update"] == 0, "what waited there is not in the file any more"


# Which input the next one is compared with.


async def test_another_file_is_refused_as_often_as_it_comes(make_nights: Callable[..., Any]) -> None:
    nights = make_nights()
    await nights.run()
    whole, records = nights.rows, nights.records()
    nights.write(ANOTHER_FILE)

    for _ in range(2):
        with pytest.raises(InputError, match="looks like another file"):
            await nights.sync(prune=True)

    assert nights.records() == records
    nights.write(whole)
    assert (await nights.sync(prune=True)).exit_code == 0


async def test_the_input_of_a_run_that_was_cut_off_is_not_compared(make_nights: Callable[..., Any]) -> None:
    nights = make_nights(ANOTHER_FILE, faults=FaultPlan.parse("list:code:Forbidden.RAM=1x"))
    assert (await nights.run(concurrency=1)).exit_code == 3
    nights.write([(FULL, "m0", "", "")])

    assert (await nights.sync(prune=True)).exit_code == 0


async def test_an_input_without_a_valid_row_is_refused(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.write([])

    with pytest.raises(InputError, match="the input has no valid row, so every module would be surplus"):
        await nights.sync(prune=True)


async def test_half_a_file_is_said_every_night_and_its_deletes_wait(make_synced: MakeSynced) -> None:
    """It does not become what the next input is compared with, even if there was nothing to delete."""
    nights = await make_synced()
    whole = nights.rows
    nights.write(half(nights))

    summaries = [await nights.sync(prune=prune) for prune in (False, False, True)]

    lost = "the input has 6 rows, and had 13 in the last good sync"
    assert [lost in one.notes[0] for one in summaries] == [True] * 3
    assert "if that is right, accept it: write a plan of the whole input, and apply it" in summaries[0].notes[0]
    assert [(one.exit_code, one.withheld["deletes"]) for one in summaries] == [(0, 0), (0, 0), (5, 7)]
    nights.write(whole)
    assert (await nights.sync(prune=True)).notes == ()


async def test_half_a_file_whose_sync_was_stopped_is_not_compared_with_either(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.write(half(nights))
    stop = StopSignal()
    nights.when("ListOTAModuleByProduct", lambda _: stop.request("interrupted", exit_code=130))
    assert (await nights.sync(call={"stop": stop})).exit_code == 130

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.withheld["deletes"]) == (5, 7)


async def test_a_longer_input_is_what_the_next_one_is_compared_with(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.write([*nights.rows, *((THIRD, f"n{number}", "n", f"{number}") for number in range(7))])
    await nights.sync()
    nights.write(nights.rows[:-2])

    summary = await nights.sync(prune=True)

    assert summary.notes == ("the input has 18 rows, and had 20 in the last good sync",)


async def test_an_input_whose_deletes_wait_is_not_what_a_shorter_one_is_compared_with(
    make_nights: Callable[..., Any],
) -> None:
    nights = make_nights([(f"a1Prod{row // 10:05d}", f"m{row % 10}", f"alias{row}", "") for row in range(50)])
    await nights.sync()
    nights.write(nights.rows[2:])
    first = await nights.sync(prune=True, max_deletes=Limit(0))
    nights.write(nights.rows[2:])

    second = await nights.sync(prune=True)

    assert (first.exit_code, first.notes[0][:17]) == (5, "2 deletes planned")
    assert second.notes == ("the input has 46 rows, and had 50 in the last good sync",)


async def test_products_that_left_the_file_are_a_reason_to_ask_a_person(make_nights: Callable[..., Any]) -> None:
    rows = [(f"a1Prod{number:05d}", f"m{index}", "a", f"{index}") for number in range(3) for index in range(3)]
    nights = make_nights(rows)
    await nights.sync()
    kept = [row for row in rows if row[0] != THIRD and row[:2] != (FULL, "m0")]
    nights.write([*kept, *((FULL, f"n{number}", "n", f"{number}") for number in range(4))])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.withheld["deletes"]) == (5, 1)
    assert summary.notes == ("the input has 2 products, and had 3 in the last good sync",)


async def test_an_input_that_a_person_approved_is_what_the_next_one_is_compared_with(
    make_synced: MakeSynced, tmp_path: Path
) -> None:
    nights = await make_synced()
    nights.write(half(nights))
    await nights.plan(tmp_path / "PLAN", prune=True)
    applied = await nights.apply(tmp_path / "PLAN")
    nights.replace((FULL, "m1"))

    summary = await nights.sync(prune=True)

    assert (applied.exit_code, applied.changes["deleted"], applied.notes) == (0, 7, ())
    assert (summary.exit_code, summary.notes, summary.changes["deleted"]) == (0, (), 1)


@pytest.mark.parametrize("narrowed", [True, False], ids=["a part was approved", "the input changed after it"])
async def test_an_approval_is_for_the_input_that_the_person_has_seen(
    make_synced: MakeSynced, tmp_path: Path, narrowed: bool
) -> None:
    nights = await make_synced()
    whole = nights.rows
    if narrowed:
        nights.write(half(nights))
    await nights.plan(tmp_path / "PLAN", prune=True, settings={"only": (OTHER,)} if narrowed else {})
    nights.write([row for row in whole if int(row[1][1:]) % 2])
    await nights.apply(tmp_path / "PLAN")

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.withheld["deletes"] >= 5) == (5, True)


async def test_the_part_of_an_account_that_looks_like_another_jobs_withholds_its_deletes(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    others = [("cn", row[1], f"x{row[2]}", "") for row in estate.rows if row[0] == "cn"]
    estate.write([*(row for row in estate.rows if row[0] == "eu"), *others])

    summaries = [await estate.sync(prune=True) for _ in range(2)]

    assert [(one.exit_code, one.withheld["deletes"]) for one in summaries] == [(5, 6), (5, 6)]
    assert summaries[1].notes == ("account cn: the input has 0 of the 6 modules of the last good sync",)
