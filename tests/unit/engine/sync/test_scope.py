"""Which products a sync looks at. What it does not look at is never surplus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import SettingsError
from tests.nights import FULL, OTHER, THIRD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    MakeSynced = Callable[..., Awaitable[Any]]


def looked_at(nights: Any, since: int) -> set[str]:
    return {seen.product_key for seen in list(nights.box.seen)[since:]}


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({}, {FULL, OTHER}),
        ({"limit": 1}, {FULL}),
        ({"limit": 5}, {FULL, OTHER}),
        ({"only": (OTHER,)}, {OTHER}),
        ({"only": ("*1",), "limit": 1}, {OTHER}),
    ],
)
async def test_options_narrow_the_products_of_the_file(
    make_synced: MakeSynced, settings: dict[str, Any], looks: set[str]
) -> None:
    nights = await make_synced()
    for product in (FULL, OTHER):
        nights.box.console().update(product, "m0", alias_name="hand", desc="")
    before = len(nights.box.seen)

    summary = await nights.sync(settings=settings)

    assert looked_at(nights, before) == looks
    assert summary.changes["updated"] == len(looks)


async def test_a_sync_without_a_product_in_scope_sends_nothing_and_makes_no_surplus(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace((OTHER, "m0"))
    before = len(nights.box.seen)

    summary = await nights.sync(settings={"only": ("a1Else*",)}, prune=True)

    assert (len(nights.box.seen), summary.surplus, summary.figures[""].converged) == (before, 0, False)
    assert nights.outcomes(summary) == {"created": 12, "pending": 1}


async def test_a_product_that_left_the_file_is_looked_at_only_by_name(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    nights.replace(*((OTHER, f"m{index}") for index in range(3)))
    before = len(nights.box.seen)
    unnamed = await nights.sync(prune=True)
    looked = looked_at(nights, before)

    named = await nights.sync(prune=True, prune_products=(OTHER,))

    assert (looked, unnamed.surplus, unnamed.exit_code) == ({FULL, THIRD}, 3, 0)
    assert (named.exit_code, named.withheld["deletes"]) == (5, 3)


async def test_a_product_to_prune_that_is_out_of_scope_is_refused_before_anything_is_sent(
    make_synced: MakeSynced,
) -> None:
    nights = await make_synced()
    nights.replace(*((OTHER, f"m{index}") for index in range(3)))
    before = len(nights.box.seen)

    with pytest.raises(SettingsError, match=f"prune_products {OTHER} is outside only: also give only {OTHER}"):
        await nights.sync(settings={"only": (FULL,)}, prune=True, prune_products=(OTHER,))

    assert looked_at(nights, before) == set()


async def test_a_product_of_nobody_is_named(make_synced: MakeSynced) -> None:
    nights = await make_synced()
    before = len(nights.box.seen)

    summary = await nights.sync(prune=True, prune_products=("a1Else00000",))

    assert "a1Else00000" not in looked_at(nights, before)
    assert summary.notes == ("--prune-product a1Else00000: no input of this ledger has named this product",)


@pytest.mark.parametrize(
    ("options", "settings", "said"),
    [
        ({"prune_products": (OTHER,)}, {}, "deletes only together with"),
        ({"prune": True, "prune_products": (OTHER,)}, {"limit": 1}, "is a trial on the file's first products"),
    ],
)
async def test_contradicting_options_are_refused_before_anything_is_read(
    make_nights: Callable[..., Any], options: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    nights = make_nights()
    nights.file.unlink()

    with pytest.raises(SettingsError, match=said):
        await nights.sync(settings=settings, **options)
    with pytest.raises(SettingsError, match=said):
        await nights.plan(settings=settings, **options)


async def test_a_trial_counts_the_products_of_the_accounts_that_are_tried(
    make_estate: Callable[..., Awaitable[Any]],
) -> None:
    estate = await make_estate()
    before = {name: len(box.seen) for name, box in estate.boxes.items()}

    await estate.sync(settings={"limit": 1, "only_accounts": ("eu",)})

    assert {name: looked_at_by(box, before[name]) for name, box in estate.boxes.items()} == {
        "cn": set(),
        "eu": {"a1eu000000"},
    }


def looked_at_by(box: Any, since: int) -> set[str]:
    return {seen.product_key for seen in list(box.seen)[since:]}
