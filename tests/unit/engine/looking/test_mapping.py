"""Which product is found for which, and what stays open."""

from __future__ import annotations

import pytest

from bulk.engine.looking.mapping import SourceProduct, TargetProduct, matched


@pytest.mark.parametrize(
    ("sources", "targets", "becomes"),
    [
        ([("", "k1", "Lamp")], [("", "k1", "Other"), ("", "k2", "Lamp")], ["k1"]),
        ([("", "k1", "Lamp")], [("", "t1", "Lamp")], ["t1"]),
        ([("", "k1", "Lamp")], [("", "t1", "lamp")], [None]),
        ([("", "k1", "Lamp")], [("", "t1", "Lamp"), ("", "t2", "Lamp")], [None]),
        ([("", "k1", "Lamp"), ("", "k2", "Lamp")], [("", "t1", "Lamp")], [None, None]),
        ([("", "k1", "Lamp"), ("", "k2", "Lamp")], [("", "k1", "Lamp")], ["k1", None]),
        ([("", "k1", "")], [("", "t1", "")], [None]),
        ([("cn", "k1", "Lamp")], [("cn", "t1", "Lamp"), ("eu", "t2", "Lamp")], ["t1"]),
        ([("cn", "k1", "Lamp")], [("eu", "t1", "Lamp"), ("us", "t2", "Lamp")], [None]),
        ([("cn", "k1", "Lamp")], [("cn", "t1", "Other"), ("eu", "t2", "Lamp")], [None]),
        ([("cn", "k1", "Lamp")], [("eu", "t1", "Lamp")], ["t1"]),
        ([("old", "k1", "A")], [("a", "k1", "A"), ("b", "k1", "A")], [None]),
    ],
)
def test_products_are_matched_by_key_then_by_unique_name(
    sources: list[tuple[str, str, str]], targets: list[tuple[str, str, str]], becomes: list[str | None]
) -> None:
    found = matched([SourceProduct(*each) for each in sources], [TargetProduct(*each) for each in targets])

    assert [product.target.product_key if product.target else None for product in found] == becomes
    assert all(product.how for product in found)


def test_name_of_a_product_without_rows_is_a_name_all_the_same() -> None:
    source, target = SourceProduct("", "k1", "Lamp"), TargetProduct("", "t1", "Lamp")
    empty, other = SourceProduct("", "k2", "Lamp"), SourceProduct("", "k3", "Fan")

    assert matched([source], [target], others=[empty])[0].target is None
    assert matched([source], [target], others=[source, other])[0].target == target


def test_a_name_is_not_taken_for_unique_where_only_some_products_are_known() -> None:
    sources = [SourceProduct("", "k1", "Lamp"), SourceProduct("", "k2", "Fan")]
    targets = [TargetProduct("", "t1", "Lamp"), TargetProduct("", "k2", "Fan")]

    lamp, fan = matched(sources, targets, is_whole=False)

    assert (lamp.target, fan.target) == (None, targets[1])
    assert "only some products of its source" in lamp.how


def test_on_one_platform_no_product_becomes_itself_or_another_one_of_the_source() -> None:
    lamp, fan = SourceProduct("old", "k1", "Lamp"), SourceProduct("old", "k2", "Fan")
    targets = [TargetProduct("new", "k1", "Lamp"), TargetProduct("new", "k3", "Fan")]

    found = matched([lamp, fan, SourceProduct("old", "k4", "Lamp")], targets, one_platform={("old", "new")})
    elsewhere = matched([lamp, fan], targets)

    assert [product.target and product.target.product_key for product in found] == [None, "k3", None]
    assert [product.target and product.target.product_key for product in elsewhere] == ["k1", "k3"]


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ([("", "t1", "Lamp"), ("", "t2", "Lamp")], "2 products of the target have this ProductName"),
        ([("", "t1", "Fan")], "the target has neither this ProductKey nor this ProductName"),
        ([("a", "k1", "Fan"), ("b", "k1", "Fan")], "2 accounts of the target have this ProductKey"),
    ],
)
def test_product_that_stays_open_says_why(targets: list[tuple[str, str, str]], why: str) -> None:
    (found,) = matched([SourceProduct("", "k1", "Lamp")], [TargetProduct(*each) for each in targets])

    assert (found.target, found.how) == (None, why)
