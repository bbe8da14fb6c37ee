"""What is expanded is read by a run as exactly every product with every module, whatever the texts are."""

from __future__ import annotations

import csv
import io
import string
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.rows import open_input
from bulk.rows.fields import Field
from bulk.rows.products.expansion import expand, read_modules
from bulk.rows.spoiled import NOT_KEYS, NULLS
from bulk.settings import ReadSettings

key = st.text(string.ascii_letters + string.digits + "*", min_size=1, max_size=20).filter(
    lambda value: value.casefold() not in NOT_KEYS
)
name = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=64).filter(
    lambda value: value.casefold() != "default" and value not in NULLS and any(map(str.isalnum, value))
)
alias = st.text(string.ascii_letters + "主控无线模块〇._-", max_size=64).filter(lambda value: value not in NULLS)
printable = st.characters(codec="gb18030", exclude_categories=["C", "Z"], include_characters=" \n\r,;\t\"'")
desc = (
    st.text(printable, max_size=100)
    .map(str.strip)
    .filter(lambda value: value not in NULLS and not value.startswith('="'))
)
title = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
modules = st.lists(st.tuples(name, alias, desc), min_size=1, max_size=10, unique_by=lambda module: module[0].casefold())
products = st.lists(st.tuples(key, title), min_size=1, max_size=20, unique_by=lambda product: product[0])


def write(path: Path, header: list[str], rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerows([header, *rows])
    path.write_bytes(text.getvalue().encode())
    return str(path)


@settings(max_examples=60, deadline=None)
@given(products=products, modules=modules, form=st.sampled_from(["csv", "jsonl"]))
def test_every_product_is_read_with_every_module(
    products: list[tuple[str, str]], modules: list[tuple[str, str, str]], form: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        of_products = write(Path(folder, "p.csv"), ["ProductKey", "ProductName"], [*products])
        of_modules = write(Path(folder, "m.csv"), [*Field][1:], [*modules])
        found = read_modules(of_modules, ReadSettings(), while_waiting=lambda: None)
        made = Path(folder, f"out.{form}")
        with made.open("wb") as out:
            expand(of_products, found, out, settings=ReadSettings(), format=form, while_waiting=lambda: None)

        with open_input(str(made), ReadSettings()) as reader:
            batches = list(reader.batches())

    assert [row for batch in batches for row in batch.invalid] == []
    assert [row[1:5] for batch in batches for row in batch.valid] == [
        (key, *module) for key, _ in products for module in modules
    ]
