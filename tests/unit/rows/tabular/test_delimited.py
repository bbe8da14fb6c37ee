from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.errors import InputError, SettingsError
from bulk.rows.text import lines as lines_module

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[tuple[Any, ...]]]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"


def test_row_carries_line_fields_and_its_cells(read: Read) -> None:
    rows = read("owner,Desc,ModuleName,ProductKey,Alias\nann,Main board,mcu,a1,主控\n")

    assert rows == [(2, "a1", "mcu", "主控", "Main board", '["ann",3,1,0,2]', None)]


def test_optional_columns_may_be_absent_or_empty(read: Read) -> None:
    assert read("ProductKey,ModuleName\na1,mcu\n")[0][1:5] == ("a1", "mcu", None, None)
    assert read(HEADER + "a1,mcu,,\n")[0][1:5] == ("a1", "mcu", None, None)


def test_fields_are_trimmed_and_the_record_is_not(read: Read) -> None:
    row = read(HEADER + " a1 ,mcu\t,  ,\n")[0]

    assert row == (2, "a1", "mcu", None, None, '[" a1 ","mcu\\t","  ",""]', None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_is_where_the_record_starts_whatever_ends_lines(read: Read, end: str) -> None:
    content = end.join(["ProductKey,ModuleName,Desc", "a1,one,x", "", 'a1,two,"of', 'two lines"', ",,", "a1,three,y"])

    rows = read(content)

    assert [(row[0], row[2], row[-1]) for row in rows] == [(2, "one", None), (4, "two", None), (7, "three", None)]
    assert rows[1][4] == f"of{end}two lines"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a1", "1 cell, too few for the 4 columns"),
        ("a1,mcu,x,y,z", "5 cells, too many for the 4 columns"),
        ('a1,"mcu"x,y,z', "has text between a closing quote and the next ','"),
        ("a1,mcu,x,\0", "NUL character"),
        ("a1,m c,x,y", "ModuleName holds space (U+0020)"),
    ],
)
def test_bad_line_is_an_invalid_row_and_the_others_go_on(read: Read, line: str, reason: str) -> None:
    rows = read(f"{HEADER}a1,one,,\n{line}\na1,two,,\n")

    assert [(row[0], row[2]) for row in rows] == [(2, "one"), (3, None), (4, "two")]
    assert reason in str(rows[1][-1])


def test_header_in_the_middle_is_an_invalid_row(read: Read) -> None:
    rows = read(f"{HEADER}a1,one,,\n{HEADER}a1,two,,\n")

    assert [row[2] for row in rows] == ["one", None, "two"]
    assert "several files were joined" in str(rows[1][-1])


def test_nul_in_a_column_of_others_makes_the_row_invalid_too(read: Read) -> None:
    rows = read("ProductKey,ModuleName,note\na1,one,x\0y\na1,two,z\n")

    assert [row[-1] is None for row in rows] == [False, True]


@pytest.mark.parametrize("end", [",", ",,,", ", ,"])
def test_trailing_delimiters_are_no_cells(read: Read, end: str) -> None:
    rows = read(f"ProductKey,ModuleName\na1,mcu{end}\n")

    assert rows[0][1:5] == ("a1", "mcu", None, None)


def test_blank_end_of_the_header_is_no_column(read: Read) -> None:
    rows = read("ProductKey,ModuleName,,\na1,one\na1,two,,\na1,three,,,\n")

    assert [row[2] for row in rows] == ["one", "two", "three"]


def test_lost_quote_costs_one_row_and_says_where_it_opened(read: Read) -> None:
    rows = read(HEADER + 'a1,one,,\na1,two,"x,y\na1,three,,\na1,four,,\n')

    assert [(row[0], row[2]) for row in rows] == [(2, "one"), (3, None), (4, "three"), (5, "four")]
    assert rows[1][-1] == "the line opens a quote that is never closed"
    assert orjson.loads(rows[1][5]) == 'a1,two,"x,y'


def test_lost_quote_costs_one_row_though_a_later_row_is_quoted(read: Read) -> None:
    rows = read(HEADER + 'a1,one,"x,y\na1,two,,\na1,three,,"z"\n')

    assert [(row[0], row[2]) for row in rows] == [(2, None), (3, "two"), (4, "three")]


def test_record_of_several_lines_that_does_not_fit_says_so(read: Read) -> None:
    rows = read(HEADER + 'a1,one,"x\na1,two,",y,z\na1,three,,\n')

    assert [(row[0], row[2]) for row in rows] == [(2, None), (4, "three")]
    assert "read from 2 lines: is a quote missing?" in str(rows[0][-1])


def test_cell_beyond_the_limit_is_an_invalid_row_and_the_limit_stays(read: Read) -> None:
    limit = csv.field_size_limit()

    rows = read(f"{HEADER}a1,one,,{'x' * (limit + 1)}\na1,two,,\n")

    assert [(row[0], row[2]) for row in rows] == [(2, None), (3, "two")]
    assert f"more than {limit:,} characters" in str(rows[0][-1])
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("quote", ["", '"'])
def test_line_of_megabytes_is_cut_and_the_others_go_on(read: Read, quote: str) -> None:
    long = "x" * (3 * lines_module.MAX_RECORD_CHARS)

    rows = read(f"{HEADER}a1,one,,\na1,two,,{quote}{long}{quote}\na1,three,,\n")

    assert [(row[0], row[2]) for row in rows] == [(2, "one"), (3, None), (4, "three")]
    assert rows[1][-1] == "the line is longer than 1,048,576 characters"
    assert len(rows[1][5]) < 3_000


def test_record_may_reach_over_a_block_of_lines(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 7)

    rows = read(HEADER + 'a1,one,,"a text\nof three\nlines"\na1,two,,\n')

    assert [(row[0], row[2], row[4]) for row in rows] == [(2, "one", "a text\nof three\nlines"), (5, "two", None)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiter_is_as_the_header_says(read: Read, delimiter: str) -> None:
    rows = read("ProductKey,ModuleName,Desc\na1,mcu,text\n".replace(",", delimiter))

    assert rows[0][1:5] == ("a1", "mcu", None, "text")


def test_delimiter_is_told_by_the_fields_not_by_the_number_of_cells(read: Read) -> None:
    rows = read('ProductKey;ModuleName;"a,b,c,d,e"\na1;mcu;x\n')

    assert rows[0][1:3] == ("a1", "mcu")


@pytest.mark.parametrize("said", ["|", "tab", "TAB", "\\t"])
def test_delimiter_is_as_asked_for(read: Read, said: str) -> None:
    delimiter = said if said == "|" else "\t"

    rows = read("ProductKey,ModuleName\na1,mcu\n".replace(",", delimiter), delimiter=said)

    assert rows[0][1:3] == ("a1", "mcu")


@pytest.mark.parametrize("said", ["", ",,", '"', "\n", "\0"])
def test_delimiter_that_can_not_be_one_is_refused(read: Read, said: str) -> None:
    with pytest.raises(SettingsError, match="delimiter"):
        read(HEADER, delimiter=said)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
def test_line_that_tells_excel_the_delimiter_is_understood(read: Read, first: str) -> None:
    rows = read(f"{first}\r\nProductKey;ModuleName\r\na1;mcu\r\n")

    assert rows[0][:3] == (3, "a1", "mcu")


def test_blank_lines_before_the_header_are_counted(read: Read) -> None:
    assert read("\n,,,\n" + HEADER + "a1,mcu,,\n")[0][:3] == (4, "a1", "mcu")


def test_header_may_be_quoted_and_of_several_lines(read: Read) -> None:
    rows = read('"ProductKey","Module\nName","Desc"\na1,mcu,x\n')

    assert rows[0][:3] == (3, "a1", "mcu")


def test_tsv_is_separated_by_tabs(read: Read) -> None:
    assert read("ProductKey\tModuleName\tDesc\na1\tmcu\ta, b\n", name="m.tsv")[0][4] == "a, b"


def test_header_alone_is_no_error(read: Read) -> None:
    assert read(HEADER) == []


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", ",,,\n", "sep=;\n"])
def test_file_without_header_is_refused(read: Read, content: str) -> None:
    with pytest.raises(InputError, match="it is empty"):
        read(content)


def test_wrong_delimiter_shows_what_was_read_as_header(read: Read) -> None:
    header = r"the columns are 'ProductKey\^ModuleName'; it is one cell: .* --delimiter '\^'"

    with pytest.raises(InputError, match=f"line 1: no column for .*{header}"):
        read("ProductKey^ModuleName\n")


@pytest.mark.parametrize(("header", "reason"), [('"ProductKey', "never closed"), ('"a"b,c', "closing quote")])
def test_malformed_header_is_refused(read: Read, header: str, reason: str) -> None:
    with pytest.raises(InputError, match=rf"line 2: the header .*{reason}"):
        read(f"\n{header}\na1,mcu\n")


def test_header_with_a_cell_beyond_the_limit_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="line 1: the header holds a cell of more than"):
        read("x" * (csv.field_size_limit() + 1))


def test_header_of_megabytes_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match="line 1: the header has more than"):
        read("x" * (2 * lines_module.MAX_RECORD_CHARS))
