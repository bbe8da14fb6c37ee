"""Lost replies, rivals and missing proofs: what a listing tells decides, and nothing is sent blindly again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.control.guard import Limit
from bulk.sandbox import FaultPlan
from bulk.sandbox.readings import GmtForm
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import FULL, LIST, OTHER, PACKAGES, THIRD

if TYPE_CHECKING:
    from bulk.sandbox.worlds.console import Console
    from tests.integration.sync.conftest import Nights

LOST = "reset-after=1x"


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse(f"update:{LOST},delete:{LOST},create:{LOST}")}])
async def test_lost_replies_are_recovered_by_a_listing(nights: Nights) -> None:
    first = await nights.sync()
    nights.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")
    nights.write([*nights.without((FULL, "m0")), (FULL, "new", "new", "")])

    summary = await nights.sync(prune=True)

    assert (first.exit_code, first.recovered) == (0, 1)
    assert (summary.exit_code, summary.recovered) == (0, 2)
    assert summary.changes == {"created": 1, "updated": 1, "deleted": 1}
    nights.never_sent_blindly()


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
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")

    synced.when(
        LIST, lambda console: console.update(OTHER, "m1", alias_name="again", desc="desc 1"), product_key=OTHER, nth=1
    )
    before = synced.mark()

    summary = await synced.sync()

    assert (summary.exit_code, summary.outcomes["moved"]) == (1, 1)
    assert synced.sent(before)["UpdateOTAModule"] == 0
    assert synced.modules(OTHER)["m1"] == ("again", "desc 1")


async def test_a_module_that_is_changed_between_look_and_delete_stays(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    synced.when(
        LIST, lambda console: console.update(OTHER, "m1", alias_name="used", desc="now"), product_key=OTHER, nth=1
    )

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert summary.exit_code == 1
    assert synced.modules(OTHER)["m1"] == ("used", "now")


async def test_a_package_that_comes_after_the_look_keeps_its_module(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    synced.when(PACKAGES, lambda console: console.add_package(OTHER, "m1"), nth=1)
    before = synced.mark()

    await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.sent(before)["DeleteOTAModule"] == 0
    assert "m1" in synced.modules(OTHER)


async def test_a_rival_who_takes_the_slot_of_a_swap_costs_the_old_module_and_is_told(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m0")), (FULL, "new", "new", "")])

    synced.when("DeleteOTAModule", lambda console: console.create(FULL, "theirs", alias_name="theirs", desc=None))

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
    for index in range(3):
        synced.box.console().update(OTHER, f"m{index}", alias_name="hand", desc="1")
    met = synced.when("UpdateOTAModule", lambda console: console.update(OTHER, "m3", alias_name="what", desc="now"))

    summary = await synced.sync()

    assert met.total() == 1
    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 2, "deletes": 0})
    assert any("the first one also changed m3" in note for note in summary.notes)


async def test_a_module_that_is_gone_between_look_and_work_is_ours_no_more(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m1", alias_name="hand", desc="desc 1")

    looks = synced.when(LIST, lambda console: console.delete(OTHER, "m0"), product_key=OTHER, nth=1)
    await synced.sync()
    synced.box.let_in(lambda _seen, _console: None)
    synced.box.console().create(OTHER, "m0", alias_name="alias0", desc="desc 1")
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert looks.total() >= 2, "it was there in the look, and in the work no more"
    assert summary.changes == {"created": 1, "updated": 0, "deleted": 0}
    assert "m0" in synced.modules(OTHER)


async def test_a_delete_that_would_empty_its_product_by_now_waits(synced: Nights) -> None:
    """In the look three other modules were there; a rival deletes them before the work."""
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])

    def empty_it(console: Console) -> None:
        for index in range(1, 4):
            console.delete(OTHER, f"m{index}")

    synced.when(PACKAGES, empty_it, product_key=OTHER, nth=1)

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.withheld) == (5, {"creates": 0, "updates": 0, "deletes": 1})
    assert synced.modules(OTHER).keys() == {"m0"}
    assert synced.records()[OTHER, "m0"] == ("surplus", "empties_product")


@pytest.mark.parametrize("config", [{"faults": FaultPlan.parse("delete:reset-before=1x@1")}])
async def test_a_delete_in_doubt_is_sent_again_by_a_new_look_at_packages_alone(synced: Nights) -> None:
    """Its claim gives no right: somebody else may need the module by now."""
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])

    synced.when("DeleteOTAModule", lambda console: console.add_package(OTHER, "m1"))
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
