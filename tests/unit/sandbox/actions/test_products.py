from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.sandbox.results import Done

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
