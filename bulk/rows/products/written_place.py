"""Say which product a row names that is no row: what it protects, or whether it is in scope, depends on it."""

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
        shape: Of the input.
        record: The row.
        product_map: What the input is read through: its rows have the source's keys.

    Returns:
        Without a map, what the row says, and no account. ``None``: it names none, or one that the map does not have.
    """
    own = fields(shape, record)
    key = _text(own, shape.columns.get(Field.PRODUCT_KEY))
    if not key or product_map is None:
        return Place("", key) if key else None
    account = _text(own, next(filter(is_account_column, own), None))
    place = product_map.place_of(account, key)
    return place if isinstance(place, Place) else None


def written(shape: InputShape, record: str, field: Field) -> str:
    """Return what an invalid row has in a field; empty: nothing that can be told."""
    return _text(fields(shape, record), shape.columns.get(field))


def _text(own: Mapping[str, object], name: str | None) -> str:
    value = own.get(name) if name else None
    return value.strip() if isinstance(value, str) else ""
