"""Find the product that an invalid row names: it decides what the row protects, and whether it is in scope."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.rows.fields import Field
from bulk.rows.products.product_map import Place
from bulk.rows.products.product_rows import is_account_column
from bulk.rows.shape import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.rows.products.product_map import ProductMap
    from bulk.rows.shape import InputShape

__all__ = ["written", "written_place"]


def written_place(shape: InputShape, record: str, product_map: ProductMap | None) -> Place | None:
    """Return the product of the target that an invalid row names.

    Args:
        shape: Shape of the input.
        record: The row's record.
        product_map: Map through which the input is read; its rows have the source's keys.

    Returns:
        Without a map, the row's own product, and no account. ``None``: it names no product, or one not in the map.
    """
    own = fields(shape, record)
    key = _text(own, shape.columns.get(Field.PRODUCT_KEY))
    if not key or product_map is None:
        return Place("", key) if key else None
    account = _text(own, next(filter(is_account_column, own), None))
    place = product_map.place_of(account, key)
    return place if isinstance(place, Place) else None


def written(shape: InputShape, record: str, field: Field) -> str:
    """Return the text of an invalid row's field; empty if there is none, or it is not known."""
    return _text(fields(shape, record), shape.columns.get(field))


def _text(own: Mapping[str, object], name: str | None) -> str:
    value = own.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""
