"""The actions on products: one by its key, and all of them page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bulk.sandbox.actions.desk import ApiAction, Page, Window, always, check_product, read_page
from bulk.sandbox.results import Done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.actions.desk import Desk
    from bulk.sandbox.results import Result

__all__ = ["PRODUCT", "PRODUCTS"]

_MAX_PAGE_SIZE: Final = 200
_DEEP_AT: Final = 100_000
"""CurrentPage times PageSize from which the platform grants far less."""

_SHALLOW: Final = Window("products", lambda _: 50.0)
_DEEP: Final = Window("products-deep", lambda _: 2.0)


def _query(desk: Desk) -> Result:
    refused = check_product(desk)
    if refused:
        return refused
    product = desk.world.product(desk.product_key)
    # Documented, and a secret: a client that logs replies would leak it.
    secret = f"sandbox-product-secret-of-{product.product_key}"
    only_here = {"Owner": product.is_owned, "ProductStatus": "DEVELOPMENT_STATUS", "ProductSecret": secret}
    return Done(_product_info(desk, desk.product_key) | only_here)


def _query_list(desk: Desk) -> Result:
    """Show a page of products, the newest first: one that is made or removed meanwhile shifts the later pages."""
    page = read_page(desk.params, max_size=_MAX_PAGE_SIZE)
    if not isinstance(page, Page):
        return page
    products = desk.world.products()
    shown = [_product_info(desk, product_key) for product_key in page.cut(products)]
    return Done({**page.counts(len(products)), "List": {"ProductInfo": shown}})


def _list_window(params: Mapping[str, str]) -> Window:
    page = read_page(params, max_size=_MAX_PAGE_SIZE)
    return _DEEP if isinstance(page, Page) and page.number * page.size >= _DEEP_AT else _SHALLOW


PRODUCT: Final = ApiAction(
    name="QueryProduct", prefix="product", window=always("product", lambda _: 50.0), perform=_query
)
PRODUCTS: Final = ApiAction(name="QueryProductList", prefix="products", window=_list_window, perform=_query_list)


def _product_info(desk: Desk, product_key: str) -> dict[str, Any]:
    product = desk.world.product(product_key)
    info = {
        "ProductKey": product_key,
        "ProductName": product.shown_name,
        "NodeType": product.node_type,
        "DataFormat": 1,
        "AuthType": "secret",
        "DeviceCount": 0,
        "GmtCreate": product.created_ms,
    }
    return info if product.description is None else info | {"Description": product.description}
