"""Deletes, and swaps in a full product, when the platform, or somebody else, is not as the look found it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.stop import StopSignal
from bulk.engine.sync.account import AccountWork
from bulk.engine.sync.work import work_off_changes
from bulk.ledger.planning import PlannedWork, ProductWork
from bulk.model import NO_LINE, Change, ChangeKind, OtaModule, Row
from bulk.sandbox import FaultPlan
from bulk.sandbox.worlds.stored import StoredModule
from tests.unit.engine.lanes.change_bench import Bench, listing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk.sandbox.worlds.console import Console

    MakeSynced = Callable[..., Awaitable[Any]]

FULL, OTHER, THIRD = "a1Prod00000", "a1Prod00001", "a1Prod00002"
LIST, PACKAGES = "ListOTAModuleByProduct", "ListOTAFirmware"
CREATE, UPDATE, DELETE = "CreateOTAModule", "UpdateOTAModule", "DeleteOTAModule"
NEW = (FULL, "new", "new", "")


def swapped(nights: Any) -> Any:
    """Ask for a module in the full product in place of another."""
    nights.replace((FULL, "m0"), by=[NEW])
    return nights


# Deletes.


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


# Swaps.


async def test_a_product_with_more_than_ten_modules_is_brought_down_before_a_swap(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    theirs = StoredModule(
        product_key=FULL, module_name="theirs", alias_name="theirs", desc=None, created_at="2026-01-01T00:00Z"
    )
    nights.box.world().put(theirs)
    nights.replace((FULL, "m0"), (FULL, "m1"), by=[NEW])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.notes) == (0, ())
    assert nights.box.texts(FULL).keys() == {*(f"m{index}" for index in range(2, 10)), "new", "theirs"}
    assert [change.action for change in nights.box.changes if change.product_key == FULL][-3:] == [
        DELETE,
        DELETE,
        CREATE,
    ]


async def test_names_of_a_swap_are_compared_without_letter_case(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((FULL, "m0"), by=[(FULL, "NewOne", "new", "")])

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"], "NewOne" in nights.box.texts(FULL)) == (0, 1, True)


async def test_a_module_goes_although_somebody_made_the_one_for_its_slot_meanwhile(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())

    def make(console: Console) -> None:
        console.delete(FULL, "m5")
        console.create(FULL, "new", alias_name="new")

    nights.when(PACKAGES, make, of=FULL)

    summary = await nights.sync(prune=True)

    assert (summary.outcomes["exists"], summary.changes) == (1, {"created": 0, "updated": 0, "deleted": 1})
    assert "m0" not in nights.box.texts(FULL)


async def test_a_swap_is_not_begun_in_a_product_that_was_refused(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("update:code:iot.prod.NotExistedProduct=1x")))
    nights.box.console().update(FULL, "m5", alias_name="hand", desc="")
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, nights.written(before)) == (1, {"update": 1})
    records = nights.records("outcome, code, message")
    assert [records[FULL, name][:2] for name in ("new", "m0")] == [
        ("failed", "iot.prod.NotExistedProduct"),
        ("surplus", "iot.prod.NotExistedProduct"),
    ]
    assert all("an earlier change of its product failed" in records[FULL, name][2] for name in ("new", "m0"))


async def test_a_create_gets_no_slot_if_the_module_in_it_may_not_go(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())
    nights.when(PACKAGES, lambda console: console.add_package(FULL, "m0"))

    summary = await nights.sync(prune=True)

    assert (summary.exit_code, summary.changes["deleted"]) == (1, 0)
    records = nights.records()
    assert (records[FULL, "new"], records[FULL, "m0"]) == (("over_budget", "swap"), ("surplus", "package"))


@pytest.mark.parametrize("m0", ["stays", "is used"])
async def test_a_create_gets_the_slot_that_somebody_freed_meanwhile(
    make_synced: MakeSynced, monkeypatch: pytest.MonkeyPatch, m0: str
) -> None:
    """Delete and create then no longer depend on each other."""
    nights = swapped(await make_synced())
    monkeypatch.setattr("bulk.engine.sync.known._FRESH_S", -1.0)

    def make_room(console: Console) -> None:
        console.delete(FULL, "m5")
        if m0 == "is used":
            console.update(FULL, "m0", alias_name="used", desc="now")

    nights.when(LIST, make_room, nth=2, of=FULL)

    summary = await nights.sync(prune=True)

    assert ("new" in nights.box.texts(FULL), "m0" in nights.box.texts(FULL)) == (True, m0 == "is used")
    assert (summary.exit_code, summary.changes["deleted"]) == ((1, 0) if m0 == "is used" else (0, 1))


async def test_a_create_is_not_sent_if_the_platform_refuses_the_delete_for_it(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("delete:code:iot.ota.DeleteOTAModulePackageExist=1x")))
    before = len(nights.box.seen)

    first = await nights.sync(prune=True)
    second = await nights.sync(prune=True)

    assert (first.exit_code, first.outcomes["over_budget"], first.notes) == (1, 1, ())
    assert (second.exit_code, "new" in nights.box.texts(FULL), "m0" in nights.box.texts(FULL)) == (0, True, False)
    assert nights.written(before) == {"delete": 2, "create": 1}


async def test_a_create_is_not_sent_if_the_delete_for_it_stays_in_doubt(make_synced: MakeSynced) -> None:
    """The swap stays open: if the delete was carried out after all, its module is made up for."""
    refused = "create:code:iot.ota.CreateOTAModuleParamError=1x@14"
    nights = swapped(await make_synced(faults=FaultPlan.parse(f"delete:reset-before=6x,{refused}")))

    first = await nights.sync(prune=True)
    records = nights.records()
    nights.box.console().delete(FULL, "m0")
    second = await nights.sync()

    assert (first.exit_code, records[FULL, "m0"][0], records[FULL, "new"]) == (1, "unknown", ("over_budget", "swap"))
    assert (second.exit_code, second.outcomes["failed"], "new" in nights.box.texts(FULL)) == (1, 1, False)
    assert "m0" in nights.box.texts(FULL)


async def test_creates_wait_for_the_right_to_delete(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(denied=frozenset({DELETE})))
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True, settings={"concurrency": 1})

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert nights.written(before) == {"delete": 1}
    assert nights.records()[FULL, "new"] == ("withheld", "needs_delete")


async def test_the_limit_of_deletes_counts_a_delete_for_a_create_too(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced())

    summary = await nights.sync(prune=True, max_deletes=Limit(0))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert "m0" in nights.box.texts(FULL)


async def test_a_stop_after_a_delete_in_doubt_leaves_the_swap_to_the_next_night(make_synced: MakeSynced) -> None:
    nights = swapped(await make_synced(faults=FaultPlan.parse("delete:reset-after=1x")))
    stop = StopSignal()
    nights.when(DELETE, lambda _: stop.request("interrupted", exit_code=130))

    first = await nights.sync(prune=True, call={"stop": stop})
    between = nights.records()
    second = await nights.sync(prune=True)

    assert (first.exit_code, between[FULL, "m0"], between[FULL, "new"]) == (
        130,
        ("unknown", "stopped"),
        ("pending", None),
    )
    assert (second.exit_code, second.notes, "new" in nights.box.texts(FULL)) == (0, (), True)
