"""What a lane does with its updates and creates when the platform, or somebody else, is not as the look found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.events import PhaseStarted, SyncPhase
from bulk.sandbox import FaultPlan
from tests.nights import CREATE, FULL, LIST, OTHER, UPDATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.events import Event
    from bulk.sandbox.worlds.console import Console

REFUSED_LISTING = "list:code:iot.ota.ListOTAModuleParamError"


def drift(console: Console, product_key: str, *names: str, alias_name: str = "hand") -> None:
    for name in names:
        console.update(product_key, name, alias_name=alias_name, desc="by hand")


# Updates.


async def test_lanes_that_waited_for_the_first_update_continue_once_it_was_checked(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced()
    for product in (FULL, OTHER):
        drift(nights.box.console(), product, "m0", "m1")
    before = len(nights.box.seen)

    summary = await nights.sync()

    assert (summary.exit_code, nights.written(before)) == (0, {"update": 4})
    assert nights.box.actions(before)[LIST] == 2 + 2 + 1, "a look and a lane each, and one check for the account"


async def test_a_stop_while_a_lane_waits_for_the_first_update_leaves_its_rows_open(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced()
    for product in (FULL, OTHER):
        drift(nights.box.console(), product, "m0")
    stop = StopSignal()
    nights.when(UPDATE, lambda _: stop.request("interrupted", exit_code=130))
    before = len(nights.box.seen)

    summary = await nights.sync(call={"stop": stop})

    assert (summary.exit_code, nights.written(before)) == (130, {"update": 1})
    assert nights.outcomes(summary) == {"created": 11, "updated": 1, "drifted": 1}


async def test_no_further_update_is_sent_if_the_check_of_the_first_fails(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse(f"{REFUSED_LISTING}=1x@8"))
    drift(nights.box.console(), OTHER, "m0", "m1", "m2")
    before = len(nights.box.seen)

    summary = await nights.sync()

    assert (summary.exit_code, summary.withheld["updates"]) == (5, 2)
    assert nights.written(before) == {"update": 1}
    assert any("the listing that would tell failed" in note for note in summary.notes)


@pytest.mark.parametrize("deed", ["change", "delete"])
async def test_no_further_update_is_sent_if_the_first_did_not_do_what_it_said(
    make_synced: Callable[..., Awaitable[Any]], deed: str
) -> None:
    nights = await make_synced()
    drift(nights.box.console(), OTHER, "m0", "m1")

    def spoil(console: Console) -> None:
        if deed == "change":
            drift(console, OTHER, "m0", alias_name="otherwise")
        else:
            console.delete(OTHER, "m0")

    nights.when(UPDATE, spoil)

    summary = await nights.sync()

    assert (summary.exit_code, summary.withheld["updates"]) == (5, 1)
    assert any("the first one also changed m0" in note for note in summary.notes)


async def test_an_update_that_was_not_carried_out_is_no_reason_to_stop_the_others(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    """The check finds the module as it was found before: the platform changed nothing that was not asked for."""
    refused = "update:reset-before=1x@1,update:code:iot.ota.UpdateOTAModuleParamError=1x@2"
    nights = await make_synced(faults=FaultPlan.parse(refused))
    drift(nights.box.console(), OTHER, "m0", "m1")

    summary = await nights.sync()

    assert nights.outcomes(summary) == {"created": 11, "failed": 1, "updated": 1}
    assert (summary.exit_code, summary.withheld["updates"]) == (1, 0)


async def test_a_first_update_that_was_refused_leaves_the_check_to_the_next_one(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("update:code:iot.ota.UpdateOTAModuleParamError=1x"))
    drift(nights.box.console(), FULL, "m0", "m1", "m2")
    nights.when(UPDATE, lambda console: drift(console, FULL, "m5"), nth=2)

    summary = await nights.sync()

    assert (summary.exit_code, summary.changes["updated"], summary.withheld["updates"]) == (5, 1, 1)


async def test_a_first_update_that_changed_more_stops_no_other_kind_of_change(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced()
    drift(nights.box.console(), OTHER, "m0")
    nights.replace((OTHER, "m1"), by=[(OTHER, "new", "new", "")])
    nights.when(UPDATE, lambda console: drift(console, OTHER, "m2"))

    summary = await nights.sync(prune=True)

    assert summary.changes == {"created": 1, "updated": 1, "deleted": 1}
    assert any("updates stopped: the first one also changed m2" in note for note in summary.notes)


async def test_a_first_update_in_doubt_is_checked_too(make_synced: Callable[..., Awaitable[Any]]) -> None:
    """It may have been carried out, and changed more than it said."""
    refused = "update:reset-before=1x@1,update:code:iot.ota.UpdateOTAModuleParamError=1x@2"
    nights = await make_synced(faults=FaultPlan.parse(refused))
    drift(nights.box.console(), OTHER, "m0", "m1")
    nights.when(UPDATE, lambda console: drift(console, OTHER, "m2"), nth=2)
    before = len(nights.box.seen)

    summary = await nights.sync()

    assert (summary.exit_code, summary.withheld["updates"], nights.written(before)) == (5, 1, {"update": 2})
    assert any("the first one also changed m2" in note for note in summary.notes)


async def test_an_update_that_came_late_is_ours_with_the_texts_that_it_wrote(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    """The look still finds the module as before; the work's listing shows it as the row wants it."""
    nights = await make_synced(faults=FaultPlan.parse("update:reset-before=1x"))
    nights.replace((OTHER, "m0"), by=[(OTHER, "m0", "other", "desc 1")])
    stop = StopSignal()
    nights.when(UPDATE, lambda _: stop.request("interrupted", exit_code=130))
    assert (await nights.sync(call={"stop": stop})).outcomes["unknown"] == 1
    nights.when(LIST, lambda console: console.update(OTHER, "m0", alias_name="other", desc="desc 1"), of=OTHER)

    summary = await nights.sync()
    nights.replace((OTHER, "m0"))
    pruned = await nights.sync(prune=True)

    assert (summary.outcomes["updated"], summary.recovered, nights.written()["update"]) == (1, 1, 1)
    assert pruned.changes["deleted"] == 1


async def test_an_update_is_not_sent_if_a_listing_for_an_earlier_one_shows_that_it_moved(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("update:reset-before=1x@2"))
    drift(nights.box.console(), OTHER, "m0", "m1", "m2")
    nights.when(UPDATE, lambda console: drift(console, OTHER, "m2", alias_name="again"), nth=2)

    summary = await nights.sync()

    assert (summary.outcomes["moved"], summary.changes["updated"]) == (1, 2)
    assert nights.box.texts(OTHER)["m2"] == ("again", "by hand")
    assert nights.records("outcome, message")[OTHER, "m2"][1] == "not sent: since it was listed, the module has changed"


# Creates.


@pytest.mark.parametrize(("alias_name", "outcome", "exit_code"), [("two", "exists", 0), ("theirs", "moved", 1)])
async def test_a_create_is_not_sent_if_a_listing_for_an_earlier_one_shows_its_module(
    make_synced: Callable[..., Awaitable[Any]], alias_name: str, outcome: str, exit_code: int
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("create:reset-before=1x@14"))
    nights.write([*nights.rows, (OTHER, "one", "one", ""), (OTHER, "two", "two", "")])
    nights.when(CREATE, lambda console: console.create(OTHER, "two", alias_name=alias_name))
    before = len(nights.box.seen)

    summary = await nights.sync()

    assert (summary.exit_code, summary.outcomes[outcome], summary.changes["created"]) == (exit_code, 1, 1)
    assert {seen.module_name for seen in list(nights.box.seen)[before:] if seen.action == CREATE} == {"one"}
    assert nights.records("owned")[OTHER, "two"] == (0,)


async def test_a_create_is_not_sent_if_somebody_took_the_last_slot_since_the_look(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced()
    nights.write([*nights.rows, *((OTHER, f"n{number}", "n", f"{number}") for number in range(7))])
    nights.when(LIST, lambda console: console.create(OTHER, "theirs", alias_name="theirs"), of=OTHER)

    summary = await nights.sync()

    assert (summary.exit_code, summary.outcomes["over_budget"], summary.changes["created"]) == (1, 1, 6)
    assert len(nights.box.texts(OTHER)) == 10


async def test_a_create_that_was_refused_after_a_lost_reply_keeps_its_slot(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    """Its first request may still be carried out: the last slot is not given to another row."""
    refused = "create:reset-before=1x@14,create:code:iot.ota.CreateOTAModuleParamError=1x@15"
    nights = await make_synced(faults=FaultPlan.parse(refused))
    nights.write([*nights.rows, *((OTHER, f"n{number}", "n", f"{number}") for number in range(7))])
    nights.when(LIST, lambda console: console.create(OTHER, "theirs", alias_name="theirs"), of=OTHER)

    summary = await nights.sync()

    assert (summary.outcomes["failed"], summary.outcomes["over_budget"], summary.changes["created"]) == (1, 1, 5)
    messages = [message for _, message in nights.records("outcome, message").values() if message]
    assert any("1 by an earlier row that is still open" in message for message in messages)


async def test_creates_behind_one_that_was_refused_with_its_product_are_not_sent(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("create:code:iot.prod.NotExistedProduct=1x@14"))
    nights.write([*nights.rows, (OTHER, "one", "one", ""), (OTHER, "two", "two", "")])
    before = len(nights.box.seen)

    summary = await nights.sync()

    assert (summary.outcomes["failed"], nights.written(before)) == (2, {"create": 1})
    outcome, code, message = nights.records("outcome, code, message")[OTHER, "two"]
    assert (outcome, code) == ("failed", "iot.prod.NotExistedProduct")
    assert message.startswith("skipped: an earlier change of its product failed")


# A product that can't be listed when its turn comes.


async def test_changes_of_a_product_that_cannot_be_listed_again_are_not_sent(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse(f"{REFUSED_LISTING}=1x@7"))
    drift(nights.box.console(), OTHER, "m0")
    nights.replace((OTHER, "m1"), by=[(OTHER, "new", "new", "")])
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {})
    records = nights.records("outcome, code, message")
    code = "iot.ota.ListOTAModuleParamError"
    assert [records[OTHER, name][:2] for name in ("m0", "new", "m1")] == [
        ("failed", code),
        ("failed", code),
        ("surplus", code),
    ]
    assert all(records[OTHER, name][2].startswith("not sent: its product could not be listed") for name in ("m0", "m1"))


async def test_a_create_in_doubt_stays_unknown_if_its_product_cannot_be_listed_again(
    make_nights: Callable[..., Any],
) -> None:
    """The reply to its first create is lost, and so is the listing for it; the next night can't list either."""
    row = [(OTHER, "m0", "a", "")]
    faults = f"create:reset-before=1x,{REFUSED_LISTING}=1x@3,{REFUSED_LISTING}=1x@5"
    nights = make_nights(row, faults=FaultPlan.parse(faults))

    first, second, third = [await nights.sync() for _ in range(3)]

    assert [nights.outcomes(one) for one in (first, second, third)] == [{"unknown": 1}, {"unknown": 1}, {"created": 1}]
    assert nights.written() == {"create": 2}, "the second night sent nothing"


async def test_a_stop_when_the_work_begins_sends_nothing(make_synced: Callable[..., Awaitable[Any]]) -> None:
    nights = await make_synced()
    drift(nights.box.console(), OTHER, "m0")
    stop = StopSignal()

    def interrupt(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase is SyncPhase.WORK:
            stop.request("interrupted", exit_code=130)

    before = len(nights.box.seen)
    summary = await nights.sync(call={"stop": stop, "listener": interrupt})

    assert (summary.exit_code, nights.written(before)) == (130, {})
    assert nights.outcomes(summary) == {"created": 12, "drifted": 1}


async def test_a_listing_that_stops_the_account_leaves_its_changes_as_planned(
    make_synced: Callable[..., Awaitable[Any]],
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("list:code:Forbidden.RAM=1x@7"))
    drift(nights.box.console(), OTHER, "m0")
    nights.replace((OTHER, "m1"), by=[(OTHER, "new", "new", "")])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, "Forbidden.RAM" in summary.stopped) == (3, True)
    assert nights.outcomes(summary) == {"created": 11, "drifted": 1, "pending": 1}
    assert nights.records()[OTHER, "m1"] == ("created", None)
