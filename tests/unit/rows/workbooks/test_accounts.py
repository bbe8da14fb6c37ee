from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.model import AccountNames
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_column_account_of_a_sheet_says_whose_each_row_is(tmp_path: Path, workbook: Callable[..., bytes]) -> None:
    book = tmp_path / "m.xlsx"
    book.write_bytes(workbook([["ProductKey", "ModuleName", "Account"], ["p1", "a", 1234], ["p1", "b", "tset"]]))

    with open_input(str(book), ReadSettings(), accounts=AccountNames(("1234", "test"))) as reader:
        (rows,) = reader.batches()
        assert reader.found.accounts_column

    assert rows.accounts == ["1234"]
    assert [(line, code, account) for line, _, code, _, account in rows.invalid] == [(3, "account.unknown", None)]
