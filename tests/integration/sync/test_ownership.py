"""What is ours, and what ends it: an absence that any listing shows, and a text that we only passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import OTHER, THIRD

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Nights


async def test_a_run_that_lists_a_product_without_our_modules_ends_ownership(synced: Nights) -> None:
    """Of one that left the file, and of one whose row needs nothing."""
    console = synced.box.console()
    for name in ("m0", "m1"):
        console.delete(OTHER, name)
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "more", "more", "")])
    await synced.run()
    ended = synced.records("owned")
    for name, alias in (("m0", "alias0"), ("m1", "alias1")):
        console.create(OTHER, name, alias_name=alias, desc="desc 1")
    synced.write([*synced.without((OTHER, "m1")), (THIRD, "n", "n", "")])
    before = synced.mark()

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert [ended[OTHER, name] for name in ("m0", "m1", "m2")] == [(0,), (0,), (1,)]
    assert (summary.exit_code, synced.sent(before)["DeleteOTAModule"]) == (0, 0)
    assert {"m0", "m1"} <= synced.modules(OTHER).keys()


async def test_a_text_that_an_update_passed_on_is_not_ours(nights: Nights) -> None:
    nights.write([*nights.rows, (OTHER, "without", "ours", "")])
    await nights.sync()
    nights.box.console().update(OTHER, "without", alias_name="hand", desc="somebody needs this")
    await nights.sync()
    nights.write([*nights.without((OTHER, "without")), (THIRD, "n", "n", "")])

    summary = await nights.sync(prune=True, **EVERYTHING_GOES)

    assert summary.exit_code == 0
    assert nights.modules(OTHER)["without"] == ("ours", "somebody needs this")
    assert nights.records()[OTHER, "without"] == ("surplus", "changed")
