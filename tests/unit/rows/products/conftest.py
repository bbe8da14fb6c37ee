"""Maps of products, as a person has completed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.rows.products.product_map import ProductMap, read_product_map
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read_map(tmp_path: Path) -> Callable[..., ProductMap]:
    """Write a map and read it: ``read_map(content, name="map.csv", **settings)``."""

    def read(content: str, name: str = "map.csv", **settings: Any) -> ProductMap:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return read_product_map(str(path), ReadSettings(**settings))

    return read
