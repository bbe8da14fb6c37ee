"""The description beside an export: only what bulk itself wrote is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from bulk.engine.looking.manifest import AccountExport, Exported, as_keys, manifest_bytes, manifest_path, read_source
from bulk.model import Dialect, Product, Target
from bulk.rows.products.read_back import ReadOtherwise

if TYPE_CHECKING:
    from pathlib import Path

TARGET = Target(Dialect.TUYA, "https://new", None)


def exported(*accounts: AccountExport) -> Exported:
    return Exported(
        path="folder/o.csv", sha256="0" * 64, bytes=9, began_at=0, ended_at=86_400, products_of="all", accounts=accounts
    )


def test_products_are_counted_by_what_became_of_them() -> None:
    account = AccountExport(account="cn", target=TARGET)
    account.add(Product("a1A", "A", None, True), 2)
    account.add(Product("a1B", "B"), 0)
    account.add(Product("a1C", "C", None, False), None)
    account.add(Product("a1D", "D", None, False), 0)

    done = exported(account)

    assert (done.products, done.rows, account.left_out) == (3, 2, 1)
    assert [product.product_key for product in account.without_modules] == ["a1B", "a1D"]
    assert [product.product_key for product in account.distributed] == ["a1C", "a1D"]


def test_rows_that_are_read_otherwise_are_all_counted_and_the_first_thousand_named() -> None:
    account = AccountExport(account="", target=TARGET)
    for number in range(1_001):
        account.note_read_otherwise(ReadOtherwise("a1A", f"m{number}", "reason"))

    keys = as_keys(exported(account))

    assert keys["read_otherwise"] == 1_001
    assert isinstance(keys["accounts"], list)
    assert len(keys["accounts"][0]["read_otherwise_rows"]) == 1_000


def test_source_of_an_export_is_read_from_its_manifest(tmp_path: Path) -> None:
    account = AccountExport(account="", target=TARGET)
    account.add(Product("a1B", " B "), 0)
    path = tmp_path / "o.csv"
    manifest_path(path).write_bytes(manifest_bytes(exported(account)))

    source = read_source(path)

    assert source is not None
    assert source.platforms == {"": "https://new (tuya)"}
    assert source.without_rows == (("", "a1B", "B"),)
    assert orjson.loads(manifest_path(path).read_bytes())["ended_at"] == "1970-01-02T00:00:00+00:00"


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"accounts":[{}]}', '{"accounts":7}', "\xff"])
def test_file_that_bulk_did_not_write_names_no_source(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "o.csv"
    if text is not None:
        manifest_path(path).write_text(text, encoding="latin-1")

    assert read_source(path) is None
