"""Every product with every module, or nothing: what is wrong is named with its line before anything is of use."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.rows.products.expansion import Expansion, expand, read_modules
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.rows import RowReader

    Row = tuple[Any, ...]
    Expand = Callable[..., tuple[str, Expansion]]

SET = "ModuleName,AliasName,Desc\nmcu,主控,main\nled,,\n"


@pytest.fixture
def expanded(tmp_path: Path) -> Expand:
    """Expand what a test writes: ``expanded(products, modules, form="csv", name="p.csv")``."""

    def work(products: str | bytes, modules: str = SET, *, form: str = "csv", name: str = "p.csv", **how: Any) -> Any:
        (tmp_path / name).write_bytes(products.encode() if isinstance(products, str) else products)
        of_modules = tmp_path / ("m.jsonl" if modules.startswith("{") else "m.csv")
        of_modules.write_text(modules)
        found = read_modules(str(of_modules), ReadSettings(), while_waiting=lambda: None)
        out = io.BytesIO()
        made = expand(
            str(tmp_path / name), found, out, settings=ReadSettings(**how), format=form, while_waiting=lambda: None
        )
        return out.getvalue().decode(), made

    return work


def test_every_product_has_every_module(expanded: Expand) -> None:
    text, made = expanded("ProductKey\na1\na2\n")

    assert text.splitlines() == [
        "ProductKey,ModuleName,AliasName,Desc",
        "a1,mcu,主控,main",
        "a1,led,,",
        "a2,mcu,主控,main",
        "a2,led,,",
    ]
    assert (made.products, made.modules, made.rows) == (2, 2, 4)


@pytest.mark.parametrize(
    ("products", "name"),
    [
        ("account;产品名称;产品标识;note\nx;灯;a1;n\n", "p.csv"),
        ("产品标识\taccount\tnote\tProduct Name\na1\tx\t\t 灯\n", "p.tsv"),
        ('{"product_key":"a1","ACCOUNT":"x","product-name":"灯","note":1}\n', "p.jsonl"),
    ],
)
def test_account_and_name_of_a_product_are_kept_and_the_rest_is_said(
    expanded: Expand, products: str, name: str
) -> None:
    text, made = expanded(products, name=name)
    lines, _ = expanded(products, name=name, form="jsonl")

    assert text.splitlines()[:2] == [
        "Account,ProductKey,ModuleName,AliasName,Desc,ProductName",
        "x,a1,mcu,主控,main,灯",
    ]
    assert lines.splitlines()[1] == '{"Account":"x","ProductKey":"a1","ModuleName":"led","ProductName":"灯"}'
    assert any(notice.endswith("Columns left out: 'note'") for notice in made.notices)


@pytest.mark.parametrize(
    ("products", "said"),
    [
        ("ProductKey\na1\na2\na1\n", "line 4: ProductKey 'a1' is in line 2 already"),
        ("ProductKey,n\na1,\n,x\na 1,\n", r"2 rows can't be used.*\n  line 3: ProductKey is missing\n  line 4: "),
        ("ProductKey\n#N/A\n", "line 2: ProductKey is '#N/A'"),
        ("ProductKey\n1.2E+11\n", "a number that a spreadsheet rounded"),
        ("ProductKey\n", "no product is in it"),
        ("product_id\na1\n", "no column for ProductKey"),
        ("ProductKey,ProductName,Product Name\na1,x,y\n", "two of them mean the same"),
        ('ProductKey,n\na1Lamp00001,"x\na1Lamp00002,y\na1Lamp00003,z"\n', "opens a quote"),
        ("ProductKey\n" + "a b\n" * 30, r"30 rows can't be used[\s\S]*and 10 more"),
    ],
)
def test_products_that_cannot_be_used_are_named(expanded: Expand, products: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        expanded(products)


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ("ModuleName\nmcu\nled\nMCU\n", "line 4: module 'MCU' is in line 2 already"),
        ("ModuleName\ndefault\n", "line 2: ModuleName 'default' is reserved"),
        ("ModuleName,Desc\nmcu," + "x" * 101 + "\n", "line 2: Desc has 101 characters"),
        ("ModuleName\n" + "".join(f"m{at}\n" for at in range(11)), "11 modules are in it, and a product may have 10"),
        ("ModuleName\n" + "".join(f"m{at}\n" for at in range(12)), "12 modules are in it, and a product may have 10"),
        ("ModuleName\n", "no module is in it"),
        ("Name\nmcu\n", "no column for ModuleName"),
    ],
)
def test_sets_that_cannot_be_used_are_named(expanded: Expand, modules: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        expanded("ProductKey\na1\n", modules)


def test_same_product_of_two_accounts_is_two(expanded: Expand) -> None:
    _, made = expanded("Account,ProductKey\nx,a1\ny,a1\n")

    assert made.products == 2


@pytest.mark.parametrize("name", ["end", "EOF", "total", "5rows", "count"])
def test_module_may_be_called_as_a_footer_is(expanded: Expand, name: str) -> None:
    _, made = expanded("ProductKey\na1\n", f"ModuleName\nmcu\n{name}\n")

    assert made.modules == 2


def test_title_above_is_no_row_and_footer_below_is_left_out(expanded: Expand) -> None:
    _, made = expanded("产品清单 2024\nProductKey\na1\n(2 rows affected)\n")

    assert made.products == 1


def test_columns_of_the_other_file_play_no_part(expanded: Expand) -> None:
    text, _ = expanded("ProductKey,ModuleName\na1,x y\n", "ProductKey,ModuleName\n,mcu\n")

    assert text.splitlines()[1] == "a1,mcu,,"


def test_late_field_of_an_object_is_not_lost(expanded: Expand) -> None:
    filler = "".join(f'{{"ProductKey":"a{at:09d}"}}\n' for at in range(3_000))

    with pytest.raises(InputError, match="line 3001: Account is not in the first objects"):
        expanded(filler + '{"ProductKey":"b","Account":"x"}\n', name="p.jsonl")


def test_what_is_written_has_what_a_run_reads(
    expanded: Expand, tmp_path: Path, rows_of: Callable[[RowReader], list[Row]]
) -> None:
    for form in ("csv", "jsonl"):
        text, _ = expanded('ProductKey,ProductName\na1,"x, ""y""\nz"\na2,\n', form=form)
        (tmp_path / f"out.{form}").write_text(text)
        with open_input(str(tmp_path / f"out.{form}"), ReadSettings()) as reader:
            assert [row[1:5] for row in rows_of(reader)] == [
                (key, *module) for key in ("a1", "a2") for module in (("mcu", "主控", "main"), ("led", None, None))
            ]
