"""What the look decides from a listing and the ledger, and what the ledger says afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.sandbox import FaultPlan
from bulk.sandbox.worlds.stored import StoredPackage
from tests.nights import DELETE, FULL, LIST, OTHER, THIRD, UPDATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeSynced = Callable[..., Awaitable[Any]]


# Products that can't be listed.


async def test_a_stop_during_the_look_changes_nothing(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.box.console().update(FULL, "m0", alias_name="hand", desc="")
    records, stop = nights.records("outcome, code, settled_at"), StopSignal()
    nights.when(LIST, lambda _: stop.request("interrupted", exit_code=130))
    before = len(nights.box.seen)

    summary = await nights.sync(settings={"concurrency": 1}, call={"stop": stop})

    assert (summary.exit_code, nights.box.actions(before)) == (130, {LIST: 1})
    assert nights.records("outcome, code, settled_at").keys() == records.keys()
    assert nights.outcomes(summary) == {"created": 12, "drifted": 1}


async def test_a_stop_before_a_listing_is_repeated_settles_no_row(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("list:http503=1x@5"))
    records, stop = nights.records("outcome, code, message"), StopSignal()
    nights.when(LIST, lambda _: stop.request("interrupted", exit_code=130))

    summary = await nights.sync(settings={"concurrency": 1}, call={"stop": stop})

    assert (summary.exit_code, nights.records("outcome, code, message")) == (130, records)


async def test_a_listing_that_stops_the_account_settles_no_row(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("list:code:Forbidden.RAM=1x@5"))
    records = nights.records("outcome, code, message")

    summary = await nights.sync(settings={"concurrency": 1})

    assert (summary.exit_code, "Forbidden.RAM" in summary.stopped) == (3, True)
    assert nights.records("outcome, code, message") == records


async def test_nothing_is_changed_in_a_product_that_cannot_be_listed(make_synced: MakeSynced) -> None:
    nights = await make_synced(products=frozenset({FULL, OTHER, THIRD}))
    nights.replace((OTHER, "m0"), (FULL, "m0"))
    nights.box.console().drop_product(OTHER)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {"create": 2, "delete": 1})
    outcome, _, message = nights.records("outcome, code, message")[OTHER, "m1"]
    assert (outcome, message.startswith("its product could not be listed")) == ("failed", True)


async def test_a_row_in_doubt_stays_unknown_while_its_product_cannot_be_listed(make_nights: Callable[..., Any]) -> None:
    refused = "list:code:iot.ota.ListOTAModuleParamError"
    nights = make_nights([(OTHER, "m0", "a", "")], faults=FaultPlan.parse(f"create:reset-after=1x,{refused}=2x@3"))

    first, second, third = [await nights.sync() for _ in range(3)]

    assert [nights.outcomes(one) for one in (first, second, third)] == [{"unknown": 1}, {"unknown": 1}, {"created": 1}]
    assert (third.recovered, nights.written()) == (1, {"create": 1})


# Updates that somebody undoes.


async def test_an_update_that_is_undone_three_nights_in_a_row_is_given_up(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sync.look.SENT_SPAN_S", -1.0)
    nights = await make_synced()
    updated = []
    for _ in range(5):
        nights.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await nights.sync()
        updated.append(summary.changes["updated"])

    assert updated == [1, 1, 1, 0, 0]
    assert nights.records()[OTHER, "m0"] == ("drifted", "contested")
    assert (summary.exit_code, summary.figures[""].contested) == (1, 1)


async def test_an_update_that_is_undone_within_one_night_counts_once(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    for _ in range(4):
        nights.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await nights.sync()

    assert (summary.exit_code, summary.changes["updated"]) == (0, 1)
    assert nights.records("undone")[OTHER, "m0"] == (1,)


@pytest.mark.parametrize(("rest", "undone"), [("left alone", 0), ("gone", 2)])
async def test_only_a_night_that_shows_the_update_begins_the_count_anew(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, rest: str, undone: int
) -> None:
    """A module that is gone says nothing of its updates."""
    monkeypatch.setattr("bulk.engine.sync.look.SENT_SPAN_S", -1.0)
    nights = await make_synced()
    for _ in range(3):
        nights.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        await nights.sync()
    assert nights.records("undone")[OTHER, "m0"] == (2,)
    stop = StopSignal()
    nights.when(LIST, lambda _: stop.request("interrupted"), nth=2)
    if rest == "gone":
        nights.box.console().delete(OTHER, "m0")

    await nights.sync(call={"stop": stop})

    assert nights.records("undone")[OTHER, "m0"] == (undone,)


async def test_a_night_on_which_no_update_was_sent_does_not_count(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sync.look.SENT_SPAN_S", -1.0)
    nights = await make_synced()
    for limit in (Limit(9), Limit(0), Limit(0), Limit(0)):
        nights.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await nights.sync(max_updates=limit)

    assert (summary.exit_code, nights.records("outcome, undone")[OTHER, "m0"]) == (5, ("withheld", 1))


# Packages, and modules that stay.


async def test_a_package_of_which_nobody_can_tell_the_module_keeps_all_of_its_product(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    nights.box.world().put(
        StoredPackage(package_id="1", product_key=OTHER, module_name="", version="1", created_at="2026-01-01T00:00Z")
    )

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"]) == (0, 0)
    assert nights.records()[OTHER, "m0"] == ("surplus", "package")


async def test_a_module_stays_if_its_packages_may_not_be_listed_and_nothing_else_stops(
    make_synced: MakeSynced,
) -> None:
    nights = await make_synced(denied=frozenset({"ListOTAFirmware"}))
    nights.replace((OTHER, "m0"))

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes) == (0, {"created": 1, "updated": 0, "deleted": 0})
    assert nights.records()[OTHER, "m0"] == ("surplus", "packages_unknown")


async def test_a_stop_before_the_packages_are_listed_again_deletes_nothing(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("packages:http503=1x"))
    nights.replace((OTHER, "m0"))
    stop = StopSignal()
    nights.when("ListOTAFirmware", lambda _: stop.request("interrupted", exit_code=130))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True, call={"stop": stop})

    assert (summary.exit_code, nights.written(before)) == (130, {})


@pytest.mark.parametrize("options", [{}, {"prune": True}])
async def test_what_is_known_to_stay_is_not_written_again_every_night(
    make_synced: MakeSynced, options: dict[str, Any]
) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    nights.box.console().update(OTHER, "m0", alias_name="used", desc="now")
    await nights.sync(**options)
    record = nights.records("outcome, code, run_id")[OTHER, "m0"]

    summary = await nights.sync(**options)

    assert record[:2] == ("surplus", "changed" if options else "not_asked")
    assert nights.records("outcome, code, run_id")[OTHER, "m0"] == record
    assert (summary.exit_code, summary.surplus) == (0, 1)


async def test_a_module_that_left_the_file_and_then_the_platform_was_deleted_by_others(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    nights.box.console().delete(OTHER, "m0")

    summary = await nights.sync()

    assert (summary.exit_code, summary.surplus, summary.changes["deleted"]) == (0, 0, 0)
    assert nights.records("outcome, code, owned")[OTHER, "m0"] == ("deleted", "gone", 0)


async def test_a_delete_whose_reply_was_lost_is_recovered_by_the_next_look(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-after=1x"))
    nights.replace((OTHER, "m0"))
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))
    await nights.sync(prune=True, call={"stop": stop})
    assert nights.records()[OTHER, "m0"] == ("unknown", "stopped")

    summary = await nights.sync()

    assert (summary.exit_code, summary.recovered, summary.changes["deleted"]) == (0, 1, 1)
    assert nights.records("outcome, recovered, owned")[OTHER, "m0"] == ("deleted", 1, 0)


async def test_a_swap_whose_delete_was_not_carried_out_is_decided_anew(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-before=6x"))
    nights.replace((FULL, "m0"), by=[(FULL, "new", "new", "")])
    first = await nights.sync(prune=True)
    assert (first.exit_code, nights.records()[FULL, "m0"][0]) == (1, "unknown")

    second = await nights.sync()
    third = await nights.sync(prune=True)

    assert nights.outcomes(second) == {"created": 12, "over_budget": 1}
    assert second.notes == (), "nothing was deleted, so nothing must be made again"
    assert (third.exit_code, "new" in nights.box.texts(FULL), "m0" in nights.box.texts(FULL)) == (0, True, False)


# Adoption.


async def test_only_a_module_that_is_as_its_row_wants_it_is_adopted(make_nights: Callable[..., Any]) -> None:
    nights = make_nights()
    nights.box.fill([(OTHER, "m0", "alias0", "desc 1"), (OTHER, "m1", "theirs", "desc 1"), (OTHER, "M2", "alias2")])

    summary = await nights.sync(adopt=True)

    assert (summary.outcomes["exists"], summary.changes) == (1, {"created": 10, "updated": 2, "deleted": 0})
    owned = {name.casefold(): owned for (product, name), owned in nights.records("owned").items() if product == OTHER}
    assert owned == {"m0": (1,), "m1": (0,), "m2": (0,)}


async def test_a_module_of_ours_that_another_has_changed_as_its_row_now_wants_is_adopted_with_its_texts(
    make_synced: MakeSynced,
) -> None:
    nights = await make_synced()
    nights.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
    nights.write([(*row[:2], "theirs", row[3]) if row[:2] == (OTHER, "m0") else row for row in nights.rows])

    summary = await nights.sync(adopt=True)
    assert (summary.exit_code, summary.changes["updated"]) == (0, 0)
    nights.replace((OTHER, "m0"))
    pruned = await nights.sync(prune=True)

    assert pruned.changes["deleted"] == 1


# What an apply looks at again.


async def test_an_adoption_that_waited_is_approved_like_an_update(make_nights: Callable[..., Any]) -> None:
    nights = make_nights()
    nights.box.fill([(OTHER, f"m{index}", f"alias{index}", "desc 1") for index in range(3)])
    withheld = await nights.sync(adopt=True, max_updates=Limit(2))
    assert (withheld.exit_code, withheld.withheld["updates"]) == (5, 3)
    assert {nights.records("owned")[OTHER, f"m{index}"] for index in range(3)} == {(0,)}

    applied = await nights.apply(withheld.plan)

    assert (applied.exit_code, set(nights.records("owned").values())) == (0, {(1,)})


async def test_a_module_that_changed_before_its_adoption_was_approved_is_not_adopted(
    make_nights: Callable[..., Any],
) -> None:
    nights = make_nights()
    nights.box.fill([(OTHER, "m0", "alias0", "desc 1"), (OTHER, "m1", "alias1", "desc 1")])
    withheld = await nights.sync(adopt=True, max_updates=Limit(0))
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")
    nights.write([(*row[:2], "hand", row[3]) if row[:2] == (OTHER, "m0") else row for row in nights.rows])

    applied = await nights.apply(withheld.plan)

    assert (applied.exit_code, applied.changes["updated"]) == (0, 0)
    owned = nights.records("owned")
    assert (owned[OTHER, "m0"], owned[OTHER, "m1"]) == ((0,), (1,))


async def test_a_delete_that_a_plan_does_not_list_is_not_sent(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    withheld = await nights.sync(prune=True, max_deletes=Limit(0))
    nights.replace((OTHER, "m1"))

    applied = await nights.apply(withheld.plan)

    assert (applied.changes["deleted"], nights.box.texts(OTHER).keys()) == (1, {"m1", "m2"})
    assert nights.records()[OTHER, "m1"] == ("surplus", "not_in_plan")


async def test_a_delete_that_no_plan_lists_is_not_written_again_by_the_next_apply(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    withheld = await nights.sync(prune=True, max_deletes=Limit(0))
    nights.replace((OTHER, "m1"))
    stop = StopSignal()
    nights.when(LIST, lambda _: stop.request("interrupted", exit_code=130), nth=3)
    assert (await nights.apply(withheld.plan, settings={"concurrency": 1}, stop=stop)).exit_code == 130
    record = nights.records("code, run_id")[OTHER, "m1"]

    applied = await nights.apply(withheld.plan)

    assert (record[0], nights.records("code, run_id")[OTHER, "m1"]) == ("not_in_plan", record)
    assert (applied.changes["deleted"], nights.box.texts(OTHER).keys()) == (1, {"m1", "m2"})


async def test_a_change_of_a_module_that_changed_since_its_plan_is_moved(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    for name in ("m0", "m1"):
        nights.box.console().update(OTHER, name, alias_name="hand", desc="")
    withheld = await nights.sync(max_updates=Limit(0))
    nights.box.console().update(OTHER, "m0", alias_name="again", desc="")

    applied = await nights.apply(withheld.plan)

    assert (applied.exit_code, applied.changes["updated"]) == (1, 1)
    assert nights.records()[OTHER, "m0"] == ("moved", "not_in_plan")
    assert nights.box.texts(OTHER)["m0"] == ("again", "")


async def test_an_approval_to_delete_is_none_to_leave_a_product_empty(make_synced: MakeSynced) -> None:
    """When it was given, somebody else had a module there."""
    nights = await make_synced()
    nights.box.console().create(OTHER, "theirs")
    nights.replace(*((OTHER, f"m{index}") for index in range(3)))
    withheld = await nights.sync(prune=True, prune_products=(OTHER,), max_deletes=Limit(0))
    nights.box.console().delete(OTHER, "theirs")

    applied = await nights.apply(withheld.plan)

    assert (applied.exit_code, applied.withheld["deletes"], len(nights.box.texts(OTHER))) == (5, 3, 3)


# An update in doubt.


@pytest.mark.parametrize(
    ("effect", "meanwhile", "outcome", "sent"),
    [
        ("reset-after", None, "updated", 1),
        ("reset-before", None, "updated", 2),
        ("reset-after", ("again", "by hand"), "moved", 1),
    ],
)
async def test_the_next_look_decides_an_update_whose_reply_was_lost(
    make_synced: MakeSynced, effect: str, meanwhile: tuple[str, str] | None, outcome: str, sent: int
) -> None:
    nights = await make_synced(faults=FaultPlan.parse(f"update:{effect}=1x"))
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="by hand")
    stop = StopSignal()
    nights.when(UPDATE, lambda _: stop.request("interrupted", exit_code=130))
    first = await nights.sync(call={"stop": stop})
    assert nights.outcomes(first) == {"created": 12, "unknown": 1}
    if meanwhile:
        nights.box.console().update(OTHER, "m0", alias_name=meanwhile[0], desc=meanwhile[1])

    second = await nights.sync()

    assert (second.outcomes[outcome], nights.written()["update"]) == (1, sent)
    assert nights.box.texts(OTHER)["m0"] == (meanwhile or ("alias0", "desc 1"))
