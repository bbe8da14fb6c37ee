from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_night_updates_what_drifted_and_leaves_what_others_made(make_nights: Callable[..., Any]) -> None:
    nights = make_nights()
    first = await nights.sync()
    assert first.exit_code == 0
    assert nights.outcomes(first) == {"created": 13}
    product, console = "a1Prod00001", nights.box.console()
    console.update(product, "m0", alias_name="drifted", desc="desc 1")
    console.create(product, "theirs", alias_name=None, desc=None)
    before = len(nights.box.seen)
    second = await nights.sync()
    assert second.exit_code == 0
    assert nights.box.texts(product)["m0"] == ("alias0", "desc 1")
    assert "theirs" in nights.box.texts(product)
    assert nights.box.actions(before)["UpdateOTAModule"] == 1
