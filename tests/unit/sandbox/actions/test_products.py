from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.sandbox.accounts.account import Account
from bulk.sandbox.results import Done
from bulk.sandbox.worlds.stored import StoredProduct

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Platform, PlatformMaker


def test_products_are_listed_by_page(make_platform: PlatformMaker) -> None:
    platform = make_platform(with_demo=True)
    result = platform.ask("QueryProductList", CurrentPage="2", PageSize="2")

    assert isinstance(result, Done)
    assert isinstance(result.data, dict)
    assert (result.data["Total"], result.data["PageCount"]) == (3, 2)
    assert [info["ProductKey"] for info in result.data["List"]["ProductInfo"]] == ["a1Demo00003"]


@pytest.mark.parametrize(("page", "size"), [("0", "10"), ("1", "201"), ("one", "10"), ("1", "")])
def test_page_out_of_bounds_is_refused(page: str, size: str, platform: Platform) -> None:
    assert platform.code("QueryProductList", CurrentPage=page, PageSize=size) == "iot.common.InvalidPageParams"


def test_product_can_be_queried(platform: Platform) -> None:
    result = platform.ask("QueryProduct")

    assert isinstance(result, Done)
    assert isinstance(result.data, dict)
    assert result.data["ProductKey"] == "p"


def keys(platform: Platform, page: int, size: int = 2) -> list[str]:
    data = platform.done("QueryProductList", CurrentPage=str(page), PageSize=str(size)).data
    assert isinstance(data, dict)
    return [info["ProductKey"] for info in data["List"]["ProductInfo"]]


def test_newest_product_comes_first_and_shifts_the_pages(make_platform: PlatformMaker) -> None:
    platform = make_platform(products=frozenset({"a", "b", "c"}))

    first = keys(platform, 1)
    platform.world.put(StoredProduct(product_key="z", created_ms=1))

    assert first == ["a", "b"]
    assert (keys(platform, 1), keys(platform, 2)) == (["z", "a"], ["b", "c"])


def test_page_past_the_last_is_empty_and_counts_all_the_same(make_platform: PlatformMaker) -> None:
    platform = make_platform(products=frozenset({"a"}))
    data = platform.done("QueryProductList", CurrentPage="9", PageSize="200").data

    assert data == {"CurrentPage": 9, "PageSize": 200, "PageCount": 1, "Total": 1, "List": {"ProductInfo": []}}


def test_product_says_whose_it_is_and_has_a_secret(make_platform: PlatformMaker) -> None:
    account = Account(access_key_id="k", access_key_secret="s", distributed=frozenset({"shared"}))
    platform = make_platform(accounts=(account,))

    own, shared = (platform.done("QueryProduct", ProductKey=key).data for key in ("own", "shared"))

    assert isinstance(own, dict)
    assert isinstance(shared, dict)
    assert (own["Owner"], shared["Owner"]) == (True, False)
    assert own["ProductSecret"]


def test_removed_product_is_found_no_more_even_where_any_product_exists(platform: Platform) -> None:
    platform.create("mcu")
    platform.world.drop_product("p")

    assert keys(platform, 1) == []
    for action in ("QueryProduct", "ListOTAModuleByProduct", "CreateOTAModule"):
        assert platform.code(action, ModuleName="wifi") == "iot.prod.NotExistedProduct"
