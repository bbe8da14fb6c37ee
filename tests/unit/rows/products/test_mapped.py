"""Rows of another platform's products, as a job of the target reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import AccountNames
from bulk.rows.products.mapped import open_rows
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import ReadRows
    from bulk.rows.products.product_map import ProductMap

MAP = "Account,ProductKey,TargetAccount,TargetProductKey\ncn,s1,a,t1\neu,s1,b,t2\n,s2,a,t3\n"
ROWS = "Account,ProductKey,ModuleName,AliasName\ncn,s1,m,x\neu,s1,m,\n,s1,m,\n,s2,m,\n,s9,m,\ncn,s1,b d,\n"
ACCOUNTS = AccountNames(known=("a", "b"))


@pytest.fixture
def read_mapped(tmp_path: Path, read_map: Callable[..., ProductMap]) -> Callable[..., ReadRows]:
    def read(content: str, name: str = "m.csv", *, accounts: AccountNames | None = None, mapped: str = MAP) -> ReadRows:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        product_map = read_map(mapped) if mapped else None
        with open_rows(
            str(path), ReadSettings(), accounts=accounts, product_map=product_map, while_waiting=lambda: None
        ) as reader:
            (rows,) = reader.batches()
            assert reader.found.accounts_column == (accounts is not None)
        return rows

    return read


def test_each_row_gets_the_targets_key_and_account_and_keeps_its_own_key(read_mapped: Callable[..., Any]) -> None:
    rows = read_mapped(ROWS, accounts=ACCOUNTS)

    assert [row[:5] for row in rows.valid] == [
        (2, "t1", "m", "x", ""),
        (3, "t2", "m", "", ""),
        (5, "t3", "m", "", ""),
    ]
    assert rows.accounts == ["a", "b", "a"]
    assert ["s1" in row[5] for row in rows.valid] == [True, True, False]


def test_rows_without_a_product_at_the_target_are_invalid_and_belong_to_no_account(
    read_mapped: Callable[..., Any],
) -> None:
    rows = read_mapped(ROWS, accounts=ACCOUNTS)

    invalid = {line: (problem, owner) for line, _, _, problem, owner in rows.invalid}
    assert sorted(invalid) == [4, 6, 7]
    assert "several accounts" in invalid[4][0]
    assert "'s9'" in invalid[6][0]
    assert {owner for _, owner in invalid.values()} == {None}


def test_without_accounts_rows_belong_to_the_only_one(read_mapped: Callable[..., Any]) -> None:
    rows = read_mapped("ProductKey,ModuleName\ns1,m\ns2,b d\n", mapped="ProductKey,TargetProductKey\ns1,t1\n")

    assert [row[:3] for row in rows.valid] == [(2, "t1", "m")]
    assert rows.accounts == []
    assert [row[4] for row in rows.invalid] == [""]


def test_objects_are_mapped_by_their_own_account(read_mapped: Callable[..., Any]) -> None:
    lines = (
        '{"Account":"eu","ProductKey":"s1","ModuleName":"m"}\n{"Account":["eu"],"ProductKey":"s1","ModuleName":"n"}\n'
    )

    rows = read_mapped(lines, "m.jsonl", accounts=ACCOUNTS)

    assert [row[:3] for row in rows.valid] == [(1, "t2", "m")]
    assert [row[0] for row in rows.invalid] == [2]


def test_cell_that_can_not_be_an_account_is_as_none(read_mapped: Callable[..., Any]) -> None:
    lines = '{"Account":"e\\u0000u","ProductKey":"s1","ModuleName":"m"}\n'

    rows = read_mapped(lines, "m.jsonl", accounts=ACCOUNTS)

    assert [row[0] for row in rows.invalid] == [1]


def test_without_a_map_rows_are_as_they_are(read_mapped: Callable[..., Any]) -> None:
    rows = read_mapped("Account,ProductKey,ModuleName\na,s1,m\n", accounts=ACCOUNTS, mapped="")

    assert [row[:3] for row in rows.valid] == [(2, "s1", "m")]
    assert rows.accounts == ["a"]
