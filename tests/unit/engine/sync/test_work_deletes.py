"""Deletes when the platform, or somebody else, is not as the look found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.engine.sync.account import AccountWork
from bulk.engine.sync.work import work_off_changes
from bulk.ledger.planning import PlannedWork, ProductWork
from bulk.model import NO_LINE, Change, ChangeKind, OtaModule, Row
from bulk.sandbox import FaultPlan
from tests.nights import DELETE, LIST, OTHER, PACKAGES
from tests.unit.engine.lanes.change_bench import Bench, listing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.sandbox.worlds.console import Console

    MakeSynced = Callable[..., Awaitable[Any]]


@pytest.mark.parametrize(
    ("deed", "code"),
    [
        (lambda console: console.update(OTHER, "m1", alias_name="used", desc="now"), "changed"),
        (lambda console: console.add_package(OTHER, "m1"), "package"),
    ],
)
async def test_a_module_that_is_used_since_the_look_stays(
    make_synced: MakeSynced, deed: Callable[[Console], object], code: str
) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"))
    nights.when(PACKAGES, deed, of=OTHER)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)["delete"]) == (1, 0)
    assert nights.records()[OTHER, "m1"] == ("surplus", code)


async def test_a_module_stays_if_its_packages_can_be_listed_in_the_look_alone(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("packages:code:iot.common.InvalidPageParams=100%@2"))
    nights.replace((OTHER, "m1"))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)["delete"]) == (1, 0)
    assert nights.records()[OTHER, "m1"] == ("surplus", "packages_unknown")


async def test_a_delete_that_would_empty_its_product_by_now_waits_for_a_person(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"))

    def empty(console: Console) -> None:
        for name in ("m0", "m2"):
            console.delete(OTHER, name)

    nights.when(PACKAGES, empty, of=OTHER)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 0, "deletes": 1})
    assert nights.records()[OTHER, "m1"] == ("surplus", "empties_product")
    assert "m1" in nights.box.texts(OTHER)


async def test_a_module_that_somebody_deleted_since_the_look_is_deleted_and_not_by_us(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"))
    nights.when(PACKAGES, lambda console: console.delete(OTHER, "m1"), of=OTHER)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"]) == (0, 0)
    assert nights.records()[OTHER, "m1"] == ("deleted", "gone")


async def test_a_delete_that_was_carried_out_late_is_ours(make_synced: MakeSynced) -> None:
    """Its request was in doubt when the night before stopped; it arrives between the look and the work."""
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-before=1x"))
    nights.replace((OTHER, "m1"))
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))
    await nights.sync(prune=True, call={"stop": stop})
    nights.when(PACKAGES, lambda console: console.delete(OTHER, "m1"), of=OTHER)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.recovered, summary.changes["deleted"]) == (0, 1, 1)
    assert (nights.written(before)["delete"], nights.records()[OTHER, "m1"]) == (0, ("deleted", None))


@pytest.mark.parametrize(("listing", "code"), [("well", None), ("refused", "iot.ota.ListOTAModuleParamError")])
async def test_a_delete_that_waited_long_for_its_turn_is_decided_by_a_new_listing(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, listing: str, code: str | None
) -> None:
    refused = "list:code:iot.ota.ListOTAModuleParamError=100%@10"
    nights = await make_synced(faults=FaultPlan.parse(refused if listing == "refused" else ""))
    nights.replace((OTHER, "m1"))
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert nights.box.actions(before)[LIST] == 2 + 1 + 2 + 1, "the look, an empty third product, the lanes, the delete"
    assert (summary.exit_code, nights.written(before)["delete"]) == ((1, 0) if code else (0, 1))
    assert nights.records()[OTHER, "m1"] == (("surplus", code) if code else ("deleted", None))


async def test_a_new_listing_before_a_delete_asks_for_the_packages_again(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"), (OTHER, "m2"))
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)
    nights.when(DELETE, lambda console: console.add_package(OTHER, "m2"))
    before = len(nights.box.seen)

    await nights.sync(prune=True)

    assert (nights.written(before)["delete"], nights.records()[OTHER, "m2"]) == (1, ("surplus", "package"))


async def test_a_delete_in_doubt_is_sent_again_only_after_a_new_look_at_the_packages(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-before=1x"))
    nights.replace((OTHER, "m1"))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)["delete"]) == (0, 2)
    of_module = [seen.action for seen in list(nights.box.seen)[before:] if seen.product_key == OTHER]
    between = of_module[of_module.index(DELETE) + 1 :]
    assert between[: between.index(DELETE)] == [LIST, PACKAGES]


async def test_a_delete_in_doubt_is_not_sent_again_if_its_module_has_a_package_by_now(make_synced: MakeSynced) -> None:
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-before=1x"))
    nights.replace((OTHER, "m1"))
    nights.when(DELETE, lambda console: console.add_package(OTHER, "m1"))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)["delete"]) == (1, 1)
    assert nights.records()[OTHER, "m1"] == ("surplus", "package")


async def test_a_delete_whose_result_stays_in_doubt_is_unknown_and_decided_anew_next_night(
    make_synced: MakeSynced,
) -> None:
    nights = await make_synced(faults=FaultPlan.parse("delete:reset-before=6x"))
    nights.replace((OTHER, "m1"))

    first = await nights.sync(prune=True)
    record = nights.records()[OTHER, "m1"]
    second = await nights.sync(prune=True)

    assert (first.exit_code, record) == (1, ("unknown", "connection_lost"))
    assert (second.exit_code, second.changes["deleted"], "m1" in nights.box.texts(OTHER)) == (0, 1, False)


async def test_a_package_that_only_the_platform_knows_of_is_the_reason_that_is_counted(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"))
    nights.when(PACKAGES, lambda console: console.add_package(OTHER, "m1"), nth=2, of=OTHER)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"]) == (1, 0)
    assert nights.records()[OTHER, "m1"] == ("surplus", "package")


async def test_a_stop_at_a_delete_leaves_the_next_one_unsent(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m1"), (OTHER, "m2"))
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))

    summary = await nights.sync(prune=True, call={"stop": stop})

    assert (summary.exit_code, summary.changes["deleted"]) == (130, 1)
    assert nights.box.texts(OTHER).keys() == {"m0", "m2"}


@pytest.mark.parametrize("approved", [True, False])
async def test_a_product_is_left_empty_if_a_person_approved_that(make_synced: MakeSynced, approved: bool) -> None:
    nights = await make_synced()
    nights.replace(*((OTHER, f"m{index}") for index in range(3)))
    waiting = await nights.sync(prune=True, prune_products=(OTHER,))
    assert (waiting.exit_code, waiting.withheld["deletes"]) == (5, 3)

    summary = await (nights.apply(waiting.plan) if approved else nights.sync(prune=True, prune_products=(OTHER,)))

    assert (summary.exit_code, len(nights.box.texts(OTHER))) == ((0, 0) if approved else (5, 3))


async def test_the_devices_own_firmware_is_not_deleted_whatever_is_planned() -> None:
    """A look plans no such delete; the lane asks again before it sends one."""
    firmware = OtaModule(OTHER, "Default", None, None, "2026-01-01T00:00Z")
    delete = Change(ChangeKind.DELETE, firmware, firmware)
    bench = Bench(listings=[listing(firmware, OtaModule(OTHER, "m0"), OtaModule(OTHER, "m1"))])
    account = AccountWork(session=bench.session(delete), writer=bench, run_id="r1")
    work = PlannedWork(Row(NO_LINE, firmware), delete, None)

    await work_off_changes(ProductWork(product_key=OTHER, rows=(work.row,), work=(work,)), account)

    assert (bench.sent, account.left) == (["list", "packages"], 1)
    assert [(one.outcome, one.code) for one in bench.settled()] == [("surplus", "not_asked")]
