"""What an invalid row names: the product that it protects, also through a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.rows.fields import Field
from bulk.rows.products.product_map import Place
from bulk.rows.products.written_place import written, written_place
from bulk.rows.reading import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.rows.products.product_map import ProductMap
    from bulk.rows.shape import InputShape

MAP = "Account,ProductKey,TargetAccount,TargetProductKey\ncn,s1,a,t1\neu,s1,b,t2\n,s2,,t3\n"


@pytest.fixture
def read_invalid(tmp_path: Path) -> Callable[..., tuple[InputShape, str]]:
    def read(content: str, name: str = "m.csv") -> tuple[InputShape, str]:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        with open_input(str(path), ReadSettings()) as reader:
            (rows,) = reader.batches()
            ((_, record, *_),) = rows.invalid
            return reader.shape, record

    return read


@pytest.mark.parametrize(
    ("content", "name", "own", "mapped"),
    [
        ("ProductKey,ModuleName\ns2,b d\n", "m.csv", Place("", "s2"), Place("", "t3")),
        ("ProductKey,ModuleName\ns9,b d\n", "m.csv", Place("", "s9"), None),
        ("ProductKey,ModuleName\n,m\n", "m.csv", None, None),
        ("Account,ProductKey,ModuleName\neu,s1,b d\n", "m.csv", Place("", "s1"), Place("b", "t2")),
        ("Account,ProductKey,ModuleName\n,s1,b d\n", "m.csv", Place("", "s1"), None),
        ('{"ProductKey":"s1","Account":"cn","ModuleName":"b d"}\n', "m.jsonl", Place("", "s1"), Place("a", "t1")),
        ('{"ProductKey":["s1"],"ModuleName":"m"}\n', "m.jsonl", None, None),
    ],
)
def test_invalid_row_protects_the_product_that_it_names(
    read_invalid: Callable[..., tuple[InputShape, str]],
    read_map: Callable[..., ProductMap],
    content: str,
    name: str,
    own: Place | None,
    mapped: Place | None,
) -> None:
    shape, record = read_invalid(content, name)

    assert written_place(shape, record, None) == own
    assert written_place(shape, record, read_map(MAP)) == mapped


def test_text_of_an_invalid_rows_field_is_told_if_there_is_one(
    read_invalid: Callable[..., tuple[InputShape, str]],
) -> None:
    shape, record = read_invalid("ProductKey,ModuleName\n, b d \n")

    assert [written(shape, record, field) for field in (Field.PRODUCT_KEY, Field.MODULE_NAME, Field.DESC)] == [
        "",
        "b d",
        "",
    ]
