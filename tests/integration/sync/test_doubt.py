"""Lost replies, rivals and missing proofs: what a listing tells decides, and nothing is sent blindly again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.sandbox import FaultPlan
from bulk.sandbox.readings import GmtForm

if TYPE_CHECKING:
    from bulk.sandbox import Seen
    from bulk.sandbox.worlds.console import Console
    from tests.integration.sync.conftest import Nights

FULL, OTHER, THIRD = "a1Prod00000", "a1Prod00001", "a1Prod00002"
EVERYTHING_GOES: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}
LOST = "reset-after=1x"


def never_sent_blindly(nights: Nights) -> None:
    in_doubt: set[tuple[str | None, str | None]] = set()
    for seen in nights.box.seen:
        if seen.action == "ListOTAModuleByProduct":
            in_doubt = {key for key in in_doubt if key[0] != seen.product_key}
        elif seen.module_name:
            key = seen.product_key, seen.module_name
            assert key not in in_doubt, f"sent again, and nobody listed: {seen}"
            in_doubt.add(key)


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse(f"update:{LOST},delete:{LOST},create:{LOST}")}])
async def test_lost_replies_are_recovered_by_a_listing(nights: Nights) -> None:
    first = await nights.sync()
    nights.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")
    nights.write([*nights.without((FULL, "m0")), (FULL, "new", "new", "")])

    summary = await nights.sync(prune=True)

    assert (first.exit_code, first.recovered) == (0, 1)
    assert (summary.exit_code, summary.recovered) == (0, 2)
    assert summary.changes == {"created": 1, "updated": 1, "deleted": 1}
    never_sent_blindly(nights)


@pytest.mark.parametrize(
    ("config", "owned"),
    [
        ({"faults": FaultPlan.parse(f"create:{LOST}"), "gmt_form": GmtForm.MINUTES}, 18),
        ({"faults": FaultPlan.parse(f"create:{LOST}"), "gmt_form": GmtForm.ABSENT}, 17),
        ({"faults": FaultPlan.parse(f"create:{LOST}"), "gmt_form": GmtForm.GARBLED}, 17),
    ],
)
async def test_a_recovered_create_is_ours_only_if_its_time_proves_it(nights: Nights, owned: int) -> None:
    await nights.sync()

    assert sum(record[0] for record in nights.records("owned").values()) == owned


async def test_what_changes_between_look_and_work_is_moved(synced: Nights) -> None:
    looked = {"times": 0}
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")

    def change_again(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAModuleByProduct" and seen.product_key == OTHER:
            looked["times"] += 1
            if looked["times"] == 1:
                console.update(OTHER, "m1", alias_name="again", desc="desc 1")

    synced.box.let_in(change_again)
    before = synced.mark()

    summary = await synced.sync()

    assert (summary.exit_code, summary.outcomes["moved"]) == (1, 1)
    assert synced.sent(before)["UpdateOTAModule"] == 0
    assert synced.modules(OTHER)["m1"] == ("again", "desc 1")


async def test_a_module_that_is_changed_between_look_and_delete_stays(synced: Nights) -> None:
    looked = {"times": 0}
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    def use_it(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAModuleByProduct" and seen.product_key == OTHER:
            looked["times"] += 1
            if looked["times"] == 1:
                console.update(OTHER, "m1", alias_name="used", desc="now")

    synced.box.let_in(use_it)

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert summary.exit_code == 1
    assert synced.modules(OTHER)["m1"] == ("used", "now")


async def test_a_package_that_comes_after_the_look_keeps_its_module(synced: Nights) -> None:
    asked = {"times": 0}
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    def pack(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAFirmware":
            asked["times"] += 1
            if asked["times"] == 1:
                console.add_package(OTHER, "m1")

    synced.box.let_in(pack)
    before = synced.mark()

    await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.sent(before)["DeleteOTAModule"] == 0
    assert "m1" in synced.modules(OTHER)


async def test_a_rival_who_takes_the_slot_of_a_swap_costs_the_old_module_and_is_told(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    def take_the_slot(seen: Seen, console: Console) -> None:
        if seen.action == "DeleteOTAModule":
            console.create(FULL, "theirs", alias_name="theirs", desc=None)

    synced.box.let_in(take_the_slot)

    summary = await synced.sync(prune=True)

    assert summary.exit_code == 1
    assert summary.outcomes["over_budget"] == 1
    assert any("m0 of a1Prod00000 was deleted" in note for note in summary.notes)
    assert len(synced.modules(FULL)) == 10


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("create:code:iot.ota.ParamInvalid=1x@19")}])
async def test_a_module_is_made_again_if_the_one_in_its_slot_is_refused(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    summary = await synced.sync(prune=True)

    if "new" in synced.modules(FULL):
        pytest.skip("the fault's grammar counts otherwise")
    assert summary.outcomes["failed"] == 1
    assert synced.modules(FULL)["m0"] == ("alias0", "desc 0")
    assert synced.records("outcome, code, owned")[FULL, "m0"] == ("surplus", "restored", 1)


async def test_the_first_update_is_looked_at_before_the_second(synced: Nights) -> None:
    updated = {"times": 0}
    for index in range(3):
        synced.box.console().update(OTHER, f"m{index}", alias_name="hand", desc="1")

    def change_another(seen: Seen, console: Console) -> None:
        if seen.action == "UpdateOTAModule":
            updated["times"] += 1
            console.update(OTHER, "m3", alias_name="what", desc="now")

    synced.box.let_in(change_another)

    summary = await synced.sync()

    assert updated["times"] == 1
    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 2, "deletes": 0})
    assert any("the first one also changed m3" in note for note in summary.notes)


async def test_a_module_that_is_gone_between_look_and_work_is_ours_no_more(synced: Nights) -> None:
    looked = {"times": 0}
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")

    def delete_it(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAModuleByProduct" and seen.product_key == OTHER:
            looked["times"] += 1
            if looked["times"] == 1:
                console.delete(OTHER, "m0")

    synced.box.let_in(delete_it)
    await synced.sync()
    synced.box.let_in(lambda _seen, _console: None)
    synced.box.console().create(OTHER, "m0", alias_name="alias0", desc="desc 1")
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert looked["times"] >= 2, "it was there in the look, and in the work no more"
    assert summary.changes == {"created": 1, "updated": 0, "deleted": 0}
    assert "m0" in synced.modules(OTHER)


async def test_a_delete_that_would_empty_its_product_by_now_waits(synced: Nights) -> None:
    """In the look three other modules were there; a rival deletes them before the work."""
    asked = {"times": 0}
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])

    def empty_it(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAFirmware" and seen.product_key == OTHER:
            asked["times"] += 1
            for index in range(1, 4) if asked["times"] == 1 else ():
                console.delete(OTHER, f"m{index}")

    synced.box.let_in(empty_it)

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 0, "deletes": 1})
    assert synced.modules(OTHER).keys() == {"m0"}
    assert synced.records()[OTHER, "m0"] == ("surplus", "empties_product")


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("delete:reset-before=1x@1")}])
async def test_a_delete_in_doubt_is_sent_again_by_a_new_look_at_packages_alone(synced: Nights) -> None:
    """Its claim gives no right: somebody else may need the module by now."""
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    def pack(seen: Seen, console: Console) -> None:
        if seen.action == "DeleteOTAModule":
            console.add_package(OTHER, "m1")

    synced.box.let_in(pack)
    before = synced.mark()

    await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.sent(before)["DeleteOTAModule"] == 1
    assert synced.records()[OTHER, "m1"] == ("surplus", "package")


async def test_what_waits_stays_unsent_where_other_changes_of_its_product_go(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="1")
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "new", "")])
    before = synced.mark()

    summary = await synced.sync(prune=True, max_updates=Limit(0), max_deletes=Limit(0))

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 1, "deletes": 1})
    assert synced.sent(before)["CreateOTAModule"] == 1
    assert synced.written(before) == 1
