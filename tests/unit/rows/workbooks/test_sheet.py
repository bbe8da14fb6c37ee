"""Rows of a workbook are those that a person sees; where that is not what was entered, the row is invalid."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from bulk.distribution import DISTRIBUTION
from bulk.errors import InputError, SettingsError
from bulk.rows import encode_header, encode_record, open_input
from bulk.rows.workbooks import cells, package
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Row = tuple[Any, ...]
    ReadBook = Callable[..., list[Row]]
    Workbook = Callable[..., bytes]

HEADER = ["ProductKey", "ModuleName", "AliasName", "Desc"]
KEY = "a1Lamp00001"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
ERROR = '<c {r} t="e"><v>#REF!</v></c>'


def texts(row: Row) -> tuple[object, ...]:
    return row[1:5]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("mcu", "mcu"),
        (12, "12"),
        (12.0, "12"),
        (123456789012345, "123456789012345"),
        (1.5, "1.5"),
        ((7, "000"), "007"),
        ((7.6, "1"), "8"),
        ((1.1, "0.00"), "1.10"),
        ((12, "@"), "12"),
        ((12, "49"), "12"),
        ((123456789012, "0.00E+00"), "123456789012"),
        ("<c {r}><f>A1</f><v>7</v></c>", "7"),
        ('<c {r} t="str"><f>A1&amp;B1</f><v>led.main</v></c>', "led.main"),
        ('<c {r} t="inlineStr"><is><r><t>rich</t></r><r><t>.text</t></r></is></c>', "rich.text"),
        ("a_x005F_b", "a_b"),
        (" mcu ", "mcu"),
        (True, "TRUE"),
    ],
)
def test_key_is_what_a_person_sees(read_book: ReadBook, cell: object, text: str) -> None:
    (row,) = read_book([HEADER, [KEY, cell]])

    assert texts(row) == (KEY, text, None, None), row[-1]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (1234567890123456, "more than 15 digits"),
        ("<c {r}><v>1.23456789012346E+17</v></c>", "more than 15 digits"),
        (ERROR, "'#REF!' is the error of a formula"),
        ('<c {r} t="e"><f>1/0</f><v>#DIV/0!</v></c>', "'#DIV/0!' is the error"),
        ("<c {r}><f>A1</f></c>", "is a formula without a result"),
        ("<c {r}><f>A1</f><v></v></c>", "is a formula without a result"),
        ((45293, "d-mmm"), "'2-Jan' is a date"),
        ((45293, "14"), "is a date"),
        ((1234.5, "[>1000]0.0"), "a format that is not read"),
        ((5, "00-00"), "a format that is not read"),
    ],
)
@pytest.mark.parametrize("column", [0, 1])
def test_key_that_is_not_what_was_entered_makes_its_row_invalid(
    read_book: ReadBook, cell: object, said: str, column: int
) -> None:
    row = [KEY, "mcu"]
    row[column] = cell  # type: ignore[call-overload]  # any cell is what is tested

    good, bad = read_book([HEADER, [KEY, "good"], row])

    assert (good[2], bad[0]) == ("good", 3)
    assert said in str(bad[-1])


@pytest.mark.parametrize("cell", [ERROR, 1234567890123456, "<c {r}><f>A1</f></c>", (1.5, "# ?/?")])
@pytest.mark.parametrize("column", [2, 3])
def test_optional_field_that_is_lost_is_never_taken_for_absent(read_book: ReadBook, cell: object, column: int) -> None:
    row: list[object] = [KEY, "mcu", "", ""]
    row[column] = cell

    (bad,) = read_book([HEADER, row])

    assert bad[-1] is not None


def test_error_that_null_names_is_absent(read_book: ReadBook) -> None:
    (row,) = read_book([HEADER, [KEY, "mcu", "", ERROR]], null_texts=("#REF!",))

    assert texts(row) == (KEY, "mcu", None, None)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ((45293, "yyyy-mm-dd"), "2024-01-02"),
        ((45293, "d/m/yy"), "2/1/24"),
        ((45293.5, "yyyy/mm/dd hh:mm"), "2024/01/02 12:00"),
        ((45293, "14"), "2024-01-02"),
        ((0.25, "9"), "25%"),
        ((1234.5, "#,##0.00"), "1,234.50"),
        ((-3, "0.0"), "-3.0"),
        ("two\nlines", "two\nlines"),
        ("a_x000D_\nb", "a\r\nb"),
    ],
)
def test_description_is_shown_by_its_format(read_book: ReadBook, cell: object, text: str) -> None:
    (row,) = read_book([HEADER, [KEY, "mcu", "", cell]])

    assert row[4] == text, row[-1]


def test_lost_cell_of_a_carried_column_costs_nothing(read_book: ReadBook) -> None:
    rows = read_book([[*HEADER, "note"], *[[KEY, f"m{at}", "", "", ERROR] for at in range(60)]])

    assert [row[-1] for row in rows] == [None] * 60
    assert '"#REF!"' in rows[0][5]


def test_lines_are_the_rows_of_the_sheet(read_book: ReadBook) -> None:
    rows = read_book([["标题"], [], HEADER, [], [KEY, "two\nlines"], [KEY, "mcu", "", "two\nlines"], [], [KEY, "led"]])

    assert [(row[0], row[2]) for row in rows] == [(5, None), (6, "mcu"), (8, "led")]


def test_rules_of_tables_of_text_hold(read_book: ReadBook) -> None:
    rows = read_book(
        [
            ["Product Key*", "模块名称"],
            [KEY, "mcu"],
            ["Product Key*", "模块名称"],
            ["合计", "3"],
            ["共 3 行"],
            [KEY, "NULL"],
            ['="a1Lamp00002"', "led"],
        ]
    )

    assert [(row[0], row[2]) for row in rows] == [(2, "mcu"), (3, None), (4, None), (6, None), (7, "led")]


def test_columns_may_begin_anywhere_and_have_the_sheets_numbers(read_book: ReadBook) -> None:
    rows = [[None, None, KEY, "mcu"]]

    assert texts(read_book(rows, no_header=True, columns={"ProductKey": "3", "ModuleName": "4"})[0])[:2] == (KEY, "mcu")


def test_cells_below_a_merged_one_are_not_guessed(read_book: ReadBook, workbook: Workbook) -> None:
    book = workbook([HEADER, [KEY, "mcu"], [None, "led"], [KEY, "wifi"]], merged="A2:A3")

    good, bad, other = read_book(book)

    assert (good[2], other[2]) == ("mcu", "wifi")
    assert "ProductKey is in a merged cell" in str(bad[-1])


def test_hidden_rows_are_read_and_said(tmp_path: Path, workbook: Workbook) -> None:
    path = tmp_path / "b.xlsx"
    path.write_bytes(workbook([HEADER, [KEY, "mcu"], [KEY, "led"]], hidden=[3]))

    with open_input(str(path), ReadSettings()) as reader:
        batches = list(reader.batches())
        found = reader.found

    assert [row[2] for batch in batches for row in batch.valid] == ["mcu", "led"]
    assert "Read like the others: 1 hidden row of sheet 'Sheet1'" in found.notices
    assert (found.format, found.sheet, found.delimiter) == ("xlsx", "Sheet1", None)


ROWS = [HEADER, [KEY, "mcu"]]


def test_only_sheet_with_content_is_read(read_book: ReadBook, workbook: Workbook) -> None:
    book = workbook({"empty": [], "rows": ROWS, "kept": ROWS}, states={"kept": "hidden"})

    assert len(read_book(book)) == 1


@pytest.mark.parametrize(
    ("sheets", "states", "said"),
    [
        ({"一月": ROWS, "b": ROWS}, {}, r"2 sheets.* --sheet: '一月', 'b'"),
        ({"a": ROWS, "b": ROWS}, {"a": "hidden", "b": "veryHidden"}, r"hidden: choose one with --sheet: 'a', 'b'"),
        ({"a": [], "b": []}, {}, "it is empty"),
    ],
)
def test_sheet_that_is_not_clear_is_asked_for(
    read_book: ReadBook, workbook: Workbook, sheets: object, states: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_book(workbook(sheets, states=states))


@pytest.mark.parametrize("name", ["模块", " 模块 ", "kept"])
def test_named_sheet_is_read_even_if_it_is_hidden(read_book: ReadBook, workbook: Workbook, name: str) -> None:
    book = workbook({"a": ROWS, "模块": ROWS, "Kept": ROWS}, states={"Kept": "hidden"})

    assert len(read_book(book, sheet=name)) == 1


def test_unknown_sheet_is_told_the_others(read_book: ReadBook, workbook: Workbook) -> None:
    with pytest.raises(
        InputError, match=r"no sheet 'Modles'; did you mean 'Modules'\? Its sheets are 'Notes', 'Modules'"
    ):
        read_book(workbook({"Notes": ROWS, "Modules": ROWS}), sheet="Modles")


def test_sheet_of_a_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("ProductKey,ModuleName\na1,mcu\n")

    with (
        pytest.raises(SettingsError, match="sheet is for workbooks"),
        open_input(str(tmp_path / "m.csv"), ReadSettings(sheet="a")),
    ):
        pass


def test_workbook_is_read_from_stdin_and_from_gzip(workbook: Workbook) -> None:
    for content in (workbook(ROWS), gzip.compress(workbook(ROWS))):
        with open_input("-", ReadSettings(format="xlsx"), stdin=io.BytesIO(content)) as reader:
            assert sum(map(len, reader.batches())) == 1


@pytest.mark.parametrize("name", ["m.csv", "m"])
def test_workbook_under_another_name_is_told_its_format(tmp_path: Path, workbook: Workbook, name: str) -> None:
    (tmp_path / name).write_bytes(workbook(ROWS))

    with (
        pytest.raises(InputError, match="this is an Excel workbook; read it with --format xlsx"),
        open_input(str(tmp_path / name), ReadSettings()),
    ):
        pass


def test_text_under_a_workbooks_name_is_told_its_format(read_book: ReadBook) -> None:
    with pytest.raises(InputError, match=r"it is no workbook, but text; add --format .*it looks like csv"):
        read_book(b"ProductKey,ModuleName\na1,mcu\n")


def test_without_the_extra_it_is_said_how_to_install_it(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    (tmp_path / "b.xlsx").write_bytes(packed.getvalue())

    with (
        patch.dict(sys.modules, {"python_calamine": None}),
        pytest.raises(InputError, match=rf"pip install '{DISTRIBUTION}\[excel\]'`, or save the sheet as CSV"),
        open_input(str(tmp_path / "b.xlsx"), ReadSettings()),
    ):
        pass


@pytest.mark.parametrize("length", [100, 900, -30])
def test_damaged_workbook_is_said_to_be_so(read_book: ReadBook, workbook: Workbook, length: int) -> None:
    with pytest.raises(InputError, match="that is damaged"):
        read_book(workbook(ROWS)[:length])


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        ("<worksheet><sheetData><row>", "that is damaged"),
        (f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1"><v>1</v></c></row>', "that is damaged"),
        (f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"></c></row></sheetData>', "that is damaged"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet>&a;</worksheet>', "document type"),
    ],
)
def test_sheet_that_is_no_sound_xml_is_refused(read_book: ReadBook, workbook: Workbook, sheet: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_book(workbook({"a": sheet}), sheet="a")


def test_what_unpacks_to_too_much_is_refused_whatever_it_claims(
    read_book: ReadBook, workbook: Workbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MAX_UNPACKED_BYTES", 10_000)
    book = workbook([HEADER, *[[KEY, "m" * 60] for _ in range(500)]])
    lying = book.replace((len(_part(book))).to_bytes(4, "little"), (99).to_bytes(4, "little"))

    for content in (book, lying):
        with pytest.raises(InputError, match="more than 0 MiB when it is unpacked"):
            read_book(content)


def _part(book: bytes) -> bytes:
    return zipfile.ZipFile(io.BytesIO(book)).read("xl/worksheets/sheet1.xml")


def test_cells_far_apart_are_refused_before_memory_is_set_aside(read_book: ReadBook, workbook: Workbook) -> None:
    far = f'<worksheet xmlns="{MAIN}"><sheetData>'
    far += '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    far += "</sheetData></worksheet>"

    with pytest.raises(InputError, match="spread over 1,048,576 rows and 16,384 columns"):
        read_book(workbook({"a": far}))


@pytest.mark.parametrize("where", ["a binary workbook", "no Excel workbook"])
def test_other_office_files_are_named(read_book: ReadBook, where: str) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("xl/workbook.bin" if "binary" in where else "docProps/app.xml", "")

    pytest.importorskip("python_calamine")
    with pytest.raises(InputError, match=where):
        read_book(packed.getvalue())


def test_rows_are_written_again_as_csv(tmp_path: Path, workbook: Workbook) -> None:
    path = tmp_path / "b.xlsx"
    path.write_bytes(workbook([["标题"], HEADER, [KEY, 7, "主控", "two\nlines"], [KEY, "mo dule"]]))

    with open_input(str(path), ReadSettings()) as reader:
        (batch,) = reader.batches()
        shape = reader.shape
    records = [row[5] for row in batch.valid] + [row[1] for row in batch.invalid]
    again = tmp_path / "again.csv"
    again.write_text(encode_header(shape) + "".join(encode_record(shape, each) for each in records), shape.encoding)

    with open_input(str(again), ReadSettings()) as reader:
        (reread,) = reader.batches()
    assert [row[1:5] for row in reread.valid] == [row[1:5] for row in batch.valid] == [(KEY, "7", "主控", "two\nlines")]
    assert len(reread.invalid) == 1


def test_table_of_texts_that_claims_too_many_is_refused_before_memory_is_set_aside(
    read_book: ReadBook, workbook: Workbook
) -> None:
    packed = io.BytesIO(workbook(ROWS))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", '<sst count="1" uniqueCount="99999999999"><si><t>a</t></si></sst>')

    with pytest.raises(InputError, match="shorter than it claims"):
        read_book(packed.getvalue())


@pytest.mark.parametrize(("number", "code"), [("1e300", "[h]:mm"), ("-1e300", "yyyy-mm-dd"), ("99999999", "[h]:mm")])
def test_date_beyond_all_calendars_is_no_crash(read_book: ReadBook, number: str, code: str) -> None:
    try:
        (row,) = read_book([HEADER, [KEY, "mcu", "", (number, code)]])
    except InputError as exc:
        assert "that is damaged" in str(exc)  # noqa: PT017 - either way out is one
    else:
        assert row[4] == "2399999976:00"


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e308"])
def test_number_beyond_all_is_lost(read_book: ReadBook, number: str) -> None:
    (row,) = read_book([HEADER, [KEY, f"<c {{r}}><v>{number}</v></c>"]])

    assert "more than 15 digits" in str(row[-1])


@pytest.mark.parametrize("count", [1, 47, 48, 49, 200, 1_000])
def test_flaw_is_found_wherever_its_row_is(read_book: ReadBook, count: int) -> None:
    rows: list[list[object]] = [[KEY, f"m{at}"] for at in range(count)]
    rows[count // 2][1] = ERROR

    found = read_book([HEADER, *rows])

    assert [row[0] for row in found if row[-1] is not None] == [2 + count // 2]
    assert len(found) == count


def test_column_of_csv_in_one_cell_is_told_what_to_do(read_book: ReadBook) -> None:
    with pytest.raises(InputError, match="divide it in a spreadsheet program"):
        read_book([["ProductKey;ModuleName"], ["a1;mcu"]])


def test_limits_are_those_of_the_program() -> None:
    assert (package.MAX_UNPACKED_BYTES, cells.MAX_CELLS) == (1 << 30, 32_000_000)
