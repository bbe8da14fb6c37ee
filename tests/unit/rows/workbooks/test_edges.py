"""Workbooks at the edges: where a block ends, parts that are missing or locked, and what is no damage."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.rows.workbooks import sheet
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Row = tuple[Any, ...]
    ReadBook = Callable[..., list[Row]]
    Workbook = Callable[..., bytes]

HEADER = ["ProductKey", "ModuleName", "AliasName", "Desc"]
KEY = "a1Lamp00001"


def without(book: bytes, part: str) -> bytes:
    """Return a workbook without one of its parts."""
    kept = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as old, zipfile.ZipFile(kept, "w") as new:
        for name in old.namelist():
            if name != part:
                new.writestr(name, old.read(name))
    return kept.getvalue()


@pytest.mark.parametrize("count", [sheet.ROWS_A_BLOCK - 1, sheet.ROWS_A_BLOCK, 2 * sheet.ROWS_A_BLOCK - 1])
def test_no_row_is_lost_or_added_where_a_block_ends(read_book: ReadBook, count: int) -> None:
    rows = read_book([HEADER, *([KEY, f"m{number}"] for number in range(count))])

    assert [row[0] for row in rows] == list(range(2, count + 2))


def test_cell_that_is_written_twice_is_judged_by_what_is_seen(read_book: ReadBook) -> None:
    twice = '<c {r} s="1"><v></v></c><c {r} s="1"><v>7.6</v></c>'

    rows = read_book([HEADER, [KEY, twice, (1, "000")]])

    assert rows[0][2] == "008"


def test_what_else_stands_in_a_cell_is_no_part_of_its_error(read_book: ReadBook) -> None:
    rows = read_book([HEADER, [KEY, '<c {r} t="e"><v>#REF!<x/></v></c>']])

    assert "#REF!" in rows[0][-1]


def test_workbook_without_styles_has_plain_numbers(read_book: ReadBook, workbook: Workbook) -> None:
    rows = read_book(without(workbook([HEADER, [KEY, 12]]), "xl/styles.xml"))

    assert rows[0][2] == "12"


def test_part_that_is_encrypted_is_said_to_need_a_password(read_book: ReadBook, workbook: Workbook) -> None:
    book = bytearray(workbook([HEADER, [KEY, "mcu"]]))
    entry = book.index(b"PK\x01\x02")
    while entry >= 0:
        book[entry + 8] |= 1
        entry = book.find(b"PK\x01\x02", entry + 1)

    with pytest.raises(InputError, match="protected by a password"):
        read_book(bytes(book))


def test_workbook_that_is_too_large_to_unpack_is_refused_while_it_is_read(
    workbook: Workbook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sheet, "MAX_PACKED_BYTES", 100)
    path = tmp_path / "book.xlsx.gz"
    path.write_bytes(gzip.compress(workbook([HEADER, [KEY, "mcu"]])))

    with (
        pytest.raises(InputError, match="a workbook of more than 0 MiB is not read"),
        open_input(str(path), ReadSettings()),
    ):
        pass


def test_ctrl_c_in_the_library_is_no_damaged_workbook(
    read_book: ReadBook, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = workbook([HEADER, [KEY, "mcu"]])
    library = pytest.importorskip("python_calamine")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "load_workbook", interrupted)
    monkeypatch.setattr(library.CalamineWorkbook, "from_filelike", interrupted, raising=False)

    with pytest.raises(KeyboardInterrupt):
        read_book(book)


def test_only_sheet_is_suggested_without_a_list_of_others(read_book: ReadBook, workbook: Workbook) -> None:
    with pytest.raises(InputError, match=r"no sheet 'Modles'; did you mean 'Modules'\?$"):
        read_book(workbook({"Modules": [HEADER, [KEY, "mcu"]]}), sheet="Modles")
