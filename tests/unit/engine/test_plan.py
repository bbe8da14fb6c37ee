"""What a plan says a run would do, online and by the files alone; and that it changes nothing."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.plan import plan
from bulk.engine.planned import plan_json
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.errors import InputError
from bulk.events import Event, PlanStarted
from bulk.sandbox import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.engine.planned import Plan

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
OWNED = "Account,ProductKey,ModuleName\n"
LARGE = "".join(f"a1Large,m{number},,\n" for number in range(12))
SMALL = "".join(f"a1Small,m{number},x,\n" for number in range(3))


def found(made: Plan) -> dict[str, int]:
    return {str(outcome): count for outcome, count in made.outcomes.items() if count}


@pytest.mark.parametrize("offline", [False, True])
async def test_first_rows_get_the_slots_and_the_others_are_named(
    write: Write, make_box: Make, tmp_path: Path, *, offline: bool
) -> None:
    box = make_box()
    events: list[Event] = []

    made = await plan(
        write("m.csv", HEADER + SMALL + LARGE),
        box.settings(),
        credentials=None if offline else box.keys(),
        offline=offline,
        listener=events.append,
    )

    assert (made.rows, found(made), made.exit_code) == (15, {"created": 13, "over_budget": 2}, 1)
    assert (made.would_create, made.already_created, made.requests) == (13, 0, {"list": 2, "create": 13})
    (full,) = made.full_products
    assert (full.product_key, full.taken_by, full.lines, full.given_to) == ("a1Large", (), (15, 16), (*range(5, 15),))
    assert [row.line for row in made.examples] == [2, 3, 4, 15, 16]
    assert (made.offline, made.stopped, made.accounts) == (offline, None, {})
    assert box.actions() == ({} if offline else {"ListOTAModuleByProduct": 2})
    assert [event for event in events if isinstance(event, PlanStarted)] == ([] if offline else [PlanStarted(2)])
    assert not (tmp_path / "m.csv.ledger.db").exists()


async def test_modules_of_others_take_slots_only_where_the_product_was_listed(write: Write, make_box: Make) -> None:
    box = make_box()
    box.fill([("a1Small", f"theirs{number}") for number in range(8)])
    box.fill([("a1Small", "m0", "x")])
    source = write("m.csv", HEADER + SMALL)

    listed = await plan(source, box.settings(), credentials=box.keys())
    by_files = await plan(source, box.settings(), offline=True)

    assert found(listed) == {"exists": 1, "created": 1, "over_budget": 1}
    assert listed.full_products[0].taken_by == ("m0", *(f"theirs{number}" for number in range(8)))
    assert found(by_files) == {"created": 3}


@pytest.mark.parametrize("offline", [False, True])
async def test_rows_made_already_are_told_from_rows_to_make(write: Write, make_box: Make, *, offline: bool) -> None:
    box = make_box()
    source = write("m.csv", HEADER + SMALL + "a1Other,m,,\na1 bad,m,,\n")
    await run(source, box.settings(limit=1), credentials=box.keys())
    before = len(box.seen)

    made = await plan(source, box.settings(), credentials=box.keys(), offline=offline)

    assert found(made) == {"created": 4, "invalid": 1}
    assert (made.would_create, made.already_created) == (1, 3)
    assert [(row.line, str(row.outcome), row.already) for row in made.examples] == [
        (2, "created", True),
        (3, "created", True),
        (4, "created", True),
        (5, "created", False),
        (6, "invalid", False),
    ]
    assert box.actions(before)["CreateOTAModule"] == 0


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize("narrowed", [{"only": ("*Small",)}, {"limit": 1}])
async def test_rows_outside_the_selection_stay_pending(
    write: Write, make_box: Make, narrowed: dict[str, Any], *, offline: bool
) -> None:
    box = make_box()

    made = await plan(
        write("m.csv", HEADER + SMALL + LARGE),
        box.settings(**narrowed),
        credentials=None if offline else box.keys(),
        offline=offline,
    )

    assert (found(made), made.outside) == ({"created": 3, "pending": 12}, 12)
    assert (made.full_products, [row.line for row in made.examples]) == ((), [2, 3, 4])
    assert made.requests == {"list": 1, "create": 3}


async def test_selected_crowded_product_is_judged_by_the_files(write: Write, make_box: Make) -> None:
    made = await plan(write("m.csv", HEADER + SMALL + LARGE), make_box().settings(only=("a1Large",)), offline=True)

    assert found(made) == {"created": 10, "over_budget": 2, "pending": 3}


async def test_product_that_can_not_be_listed_fails_its_rows(write: Write, make_box: Make) -> None:
    box = make_box(products=frozenset({"a1Small"}))

    made = await plan(write("m.csv", HEADER + SMALL + "a1Gone,m,,\n"), box.settings(), credentials=box.keys())

    assert found(made) == {"created": 3, "failed": 1}
    assert made.examples[-1].message is not None
    assert made.examples[-1].message.startswith("its product could not be listed: iot.prod.")
    assert (made.requests["list"], made.exit_code) == (2, 1)


async def test_each_account_has_its_part_and_an_excluded_one_stays_as_it_is(
    write: Write, make_box: Make, make_job: Make
) -> None:
    cn, eu = make_box(), make_box()
    settings, keys = make_job({"cn": cn, "eu": eu}, only_accounts=("cn",))
    source = write("m.csv", f"{OWNED}cn,a1A,m\neu,a1A,m\nus,a1A,m\n")

    made = await plan(source, settings, credentials=keys)

    assert found(made) == {"created": 1, "pending": 1, "invalid": 1}
    parts = {
        name: {key: count for key, count in part.outcomes.items() if count} for name, part in made.accounts.items()
    }
    assert parts == {"cn": {"created": 1}, "eu": {"pending": 1}}
    assert [(row.line, row.account) for row in made.examples] == [(2, "cn"), (4, None)]
    assert len(eu.seen) == 0
    assert "accounts" in plan_json(made)


async def test_job_without_accounts_has_no_account_in_its_json(write: Write, make_box: Make) -> None:
    made = await plan(write("m.csv", HEADER + LARGE), make_box().settings(), offline=True)

    keys: dict[str, Any] = plan_json(made)

    assert "accounts" not in keys
    assert not any("account" in shown for shown in (*keys["full_products"], *keys["examples"]))


@pytest.mark.parametrize("named", [False, True])
async def test_refusal_that_no_row_can_get_past_stops_the_plan(
    write: Write, make_box: Make, make_job: Make, *, named: bool
) -> None:
    box = make_box(faults=FaultPlan.parse("code:iot.system.BillIsOverDue-before=100%"))
    settings, keys = make_job({"cn": box}) if named else (box.settings(), box.keys())
    text = f"{OWNED}cn,a1A,m\ncn,a1B,m\n" if named else f"{HEADER}a1A,m,,\na1B,m,,\n"

    made = await plan(write("m.csv", text), settings, credentials=keys)

    assert found(made) == {"pending": 2}
    assert made.stopped is not None
    assert made.stopped.startswith("account cn: iot.system.BillIsOverDue" if named else "iot.system.BillIsOverDue")
    assert made.exit_code == (3 if named else 1)


async def test_stop_while_the_input_is_read_leaves_a_plan_of_nothing(make_box: Make, tmp_path: Path) -> None:
    box, stop, pipe = make_box(), StopSignal(), tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    work = asyncio.ensure_future(
        plan(str(pipe), box.settings(ledger=str(tmp_path / "l.db")), credentials=box.keys(), stop=stop)
    )
    writer = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # returns when the pipe is being read
    try:
        stop.request("Ctrl-C", exit_code=130)
        with suppress(BrokenPipeError):  # it may have obeyed already
            os.write(writer, b"ProductKey,")
        made = await work
    finally:
        os.close(writer)

    assert (made.stopped, made.found, made.rows, made.requests) == ("Ctrl-C", None, 0, {"list": 0, "create": 0})
    assert (made.seconds, made.ends_at) == (0, None)
    assert len(box.seen) == 0


async def test_rates_say_how_long_a_run_takes_and_accounts_of_one_group_share_them(
    write: Write, make_box: Make, make_job: Make
) -> None:
    source = write("m.csv", OWNED + "".join(f"{name},a1{number},m\n" for name in ("cn", "eu") for number in range(4)))
    boxes = {"cn": make_box(), "eu": make_box()}
    apart, _ = make_job(boxes, qps=2.0, list_qps=4.0)
    together, _ = make_job(boxes, qps=2.0, list_qps=4.0, rate_group="one")
    unlimited, _ = make_job(boxes)

    made = [await plan(source, settings, offline=True) for settings in (apart, together, unlimited)]

    assert [one.seconds for one in made] == [2.0, 4.0, 0.0]
    assert [one.ends_at is None for one in made] == [False, False, True]


async def test_map_of_another_target_refuses_the_plan(write: Write, make_box: Make) -> None:
    box = make_box()
    product_map = write("map.csv", "ProductKey,TargetProductKey,Target\ns1,t1,https://else (tuya)\n")

    with pytest.raises(InputError, match="it is for https://else"):
        await plan(write("m.csv", HEADER + SMALL), box.settings(product_map=product_map), offline=True)


async def test_keys_that_are_given_are_used_although_nothing_is_listed_offline(write: Write, make_box: Make) -> None:
    box = make_box()

    made = await plan(write("m.csv", HEADER + SMALL), box.settings(), credentials=box.keys(), offline=True)

    assert made.offline is False
    assert box.actions() == {"ListOTAModuleByProduct": 1}


async def test_online_plan_of_rows_that_are_all_made_asks_for_nothing(write: Write, make_box: Make) -> None:
    box, source = make_box(), write("m.csv", HEADER + SMALL)
    await run(source, box.settings(), credentials=box.keys())
    before = len(box.seen)

    made = await plan(source, box.settings(), credentials=box.keys())

    assert (found(made), made.exit_code, made.requests) == ({"created": 3}, 0, {"list": 0, "create": 0})
    assert len(box.seen) == before
