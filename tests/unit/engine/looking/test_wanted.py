"""Products that a file names, account by account, and files that leave open whose a product is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.engine.looking.wanted import refuse_rows, wanted_products
from bulk.errors import InputError
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Write = Callable[[str, str], str]

NONE = ("",)
TWO = ("cn", "eu")


@pytest.mark.parametrize(
    ("text", "accounts", "tried", "found"),
    [
        ("ProductKey\na1B\na1A\na1B\n", NONE, NONE, {"": ("a1B", "a1A")}),
        ("Account,ProductKey\nx,a1A\n", NONE, NONE, {"": ("a1A",)}),
        ("Account,ProductKey\ncn,a1A\neu,a1A\neu,a1B\n", TWO, TWO, {"cn": ("a1A",), "eu": ("a1A", "a1B")}),
        ("Account,ProductKey\ncn,a1A\neu,a1A\n", TWO, ("cn",), {"cn": ("a1A",)}),
        ("ProductKey\na1A\n", TWO, ("eu",), {"eu": ("a1A",)}),
        ("Account,ProductKey\n,a1A\neu,a1B\n", TWO, ("eu",), {"eu": ("a1A", "a1B")}),
    ],
)
def test_each_product_is_found_once_for_its_account(
    write: Write, text: str, accounts: tuple[str, ...], tried: tuple[str, ...], found: Mapping[str, tuple[str, ...]]
) -> None:
    assert wanted_products(write("p.csv", text), ReadSettings(), accounts=accounts, tried=tried) == found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ProductKey\na1A\n", "line 2: Account '' is not known"),
        ("Account,ProductKey\nus,a1A\n", "line 2: Account 'us' is not known"),
        ("Account,ProductKey\ncn,a1 A\n", "line 2: ProductKey holds space"),
    ],
)
def test_row_whose_account_or_product_is_unknown_refuses_the_file(write: Write, text: str, fault: str) -> None:
    with pytest.raises(InputError, match=r"one row can't be used, so nothing was asked for:\n  line") as raised:
        wanted_products(write("p.csv", text), ReadSettings(), accounts=TWO, tried=TWO)

    assert fault in str(raised.value)


def test_cell_that_can_not_be_an_account_refuses_the_file(write: Write) -> None:
    path = write("p.jsonl", '{"ProductKey":"a1A","Account":"c\\u0000n"}\n')

    with pytest.raises(InputError, match="line 1: a cell holds a NUL character"):
        wanted_products(path, ReadSettings(), accounts=TWO, tried=TWO)


def test_file_without_a_product_of_the_tried_accounts_is_refused(write: Write) -> None:
    path = write("p.csv", "Account,ProductKey\ncn,a1A\n")

    with pytest.raises(InputError, match="no product is in it"):
        wanted_products(path, ReadSettings(), accounts=TWO, tried=("eu",))


def test_twenty_faults_are_named_in_the_order_of_the_lines() -> None:
    faults = [(line, "wrong") for line in range(23, 1, -1)]

    with pytest.raises(InputError) as raised:
        refuse_rows("p.csv", faults, consequence="nothing was written")

    lines = str(raised.value).splitlines()
    assert lines[0] == "p.csv: 22 rows can't be used, so nothing was written:"
    assert (lines[1].strip(), lines[20].strip(), lines[21].strip()) == ("line 2: wrong", "line 21: wrong", "and 2 more")
