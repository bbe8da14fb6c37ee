from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError, SettingsError
from bulk.rows import encode_header, encode_record, open_input
from bulk.rows.tabular.header import reason
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Read = Callable[..., list[tuple[Any, ...]]]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
ROW = "a1Lamp00001,wifi,W,x\n"


def advised(error: InputError) -> dict[str, Any]:
    """Return the settings that the flags in a message amount to, read as a shell and the command would."""
    flags = shlex.split(re.split(r"; or add|; if it is", str(error))[0])
    columns = dict(value.strip(";,").split("=", 1) for flag, value in itertools.pairwise(flags) if flag == "--map")
    skip = next((int(value) for flag, value in itertools.pairwise(flags) if flag == "--skip-lines"), 0)
    return {"columns": columns, "no_header": "--no-header" in flags, "skip_lines": skip}


@pytest.mark.parametrize(
    ("above", "delimiter"),
    [
        ("Lamp modules - weekly report\n\n", ";"),
        ("Report,,,\n", ","),
        ("# exported\n# by ann, bob\n", ","),
        ("-- dump 1, of 2\n", "|"),
        ("+----+----+\n", "|"),
        ("sep=;\n", ";"),
    ],
)
def test_header_is_found_below_titles_and_comments(read: Read, above: str, delimiter: str) -> None:
    rows = read(above + (HEADER + ROW).replace(",", delimiter))

    assert [row[:3] for row in rows] == [(above.count("\n") + 2, "a1Lamp00001", "wifi")]


@pytest.mark.parametrize("above", ["Date,2024-01-02,,\n", ROW])
def test_what_may_be_a_row_above_the_header_is_refused_and_the_flag_works(read: Read, above: str) -> None:
    with pytest.raises(InputError, match="line 1: it looks like a row above the header, which is line 2") as caught:
        read(above + HEADER + ROW)

    assert [row[0] for row in read(above + HEADER + ROW, **advised(caught.value))] == [3]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a1Lamp00001,wifi\na1Lamp00002,zigbee\n", [("a1Lamp00001", "wifi"), ("a1Lamp00002", "zigbee")]),
        ("wifi;a1Lamp00001;x\nled;a1Lamp00002;y\n", [("a1Lamp00001", "wifi"), ("a1Lamp00002", "led")]),
    ],
)
def test_file_without_header_is_refused_and_the_flags_lose_no_row(
    read: Read, content: str, expected: list[tuple[str, str]]
) -> None:
    with pytest.raises(
        InputError, match="line 1 looks like a row: if the file has no header, add --no-header"
    ) as caught:
        read(content)

    assert [row[1:3] for row in read(content, **advised(caught.value))] == expected


@pytest.mark.parametrize(
    "columns", [{"ProductKey": "1", "ModuleName": "2"}, {"ProductKey": "a1Lamp00001", "ModuleName": "wifi"}]
)
def test_map_never_makes_a_header_of_the_first_row(read: Read, columns: dict[str, str]) -> None:
    content = "a1Lamp00001,wifi\na1Lamp00002,led\n"

    with pytest.raises(InputError, match="taken for the header, but looks like a row") as caught:
        read(content, columns=columns)

    assert len(read(content, **advised(caught.value))) == 2


def test_columns_without_header_are_in_the_fields_order_unless_mapped(read: Read) -> None:
    assert read(ROW * 2, no_header=True)[0][1:5] == ("a1Lamp00001", "wifi", "W", "x")
    assert read(ROW, no_header=True, columns={"ProductKey": "1", "ModuleName": "3"})[0][1:5] == (
        "a1Lamp00001",
        "W",
        None,
        None,
    )


def test_columns_of_a_header_may_be_given_by_number(read: Read) -> None:
    rows = read("pk,name\na1Lamp00001,wifi\n", columns={"ProductKey": "1", "ModuleName": "2"})

    assert rows[0][:3] == (2, "a1Lamp00001", "wifi")


def test_near_misses_are_named_with_the_whole_line_and_it_works(read: Read) -> None:
    content = "Report\nProduct Kei;Modul Name;Alais\na1Lamp00001;wifi;W\n"

    with pytest.raises(InputError, match="line 2: no column for ProductKey and ModuleName") as caught:
        read(content)

    assert read(content, **advised(caught.value))[0][1:4] == ("a1Lamp00001", "wifi", "W")


def test_near_miss_of_an_optional_field_is_refused_until_it_is_said(read: Read) -> None:
    content = "ProductKey,ModuleName,Alais Name\na1,wifi,W\n"

    with pytest.raises(InputError, match=r"'Alais Name' looks like AliasName; to send it add .*; to keep it for"):
        read(content)

    assert read(content, columns={"AliasName": "Alais Name"})[0][3] == "W"
    assert read(content, columns={"AliasName": ""})[0][3] is None


def test_near_miss_is_no_matter_where_the_field_has_its_column(read: Read) -> None:
    assert read("ProductKey,ModuleName,AliasName,old_alias\na1,wifi,W,V\n")[0][3] == "W"


def test_required_field_needs_a_column(read: Read) -> None:
    with pytest.raises(SettingsError, match="every row needs a ProductKey"):
        read(HEADER, columns={"ProductKey": ""})


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", ","])
def test_header_with_line_breaks_is_read_with_any_delimiter(read: Read, delimiter: str) -> None:
    rows = read(f'"Product\nKey"{delimiter}"ModuleName"\na1{delimiter}wifi\n')

    assert rows[0][:3] == (3, "a1", "wifi")


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (HEADER + ROW, {}),
        ("Report\n\n" + HEADER + ROW, {}),
        ("Date,2024-01-02,,\n" + HEADER + ROW, {"skip_lines": 1}),
        ("sep=;\n" + (HEADER + ROW).replace(",", ";"), {}),
        (ROW, {"no_header": True}),
        ("x\n" + ROW, {"no_header": True, "skip_lines": 1}),
    ],
)
def test_a_file_written_again_is_read_by_the_same_command(tmp_path: Path, content: str, how: dict[str, Any]) -> None:
    path, again = tmp_path / "m.csv", tmp_path / "again.csv"
    path.write_text(content)
    with open_input(str(path), ReadSettings(**how)) as reader:
        rows = [row for batch in reader.batches() for row in batch.valid]
    shape = type(reader.shape).from_json(reader.shape.to_json())
    text = encode_header(shape) + "".join(encode_record(shape, row[5], row[1:5]) for row in rows)
    again.write_text(text)

    assert text == content
    with open_input(str(again), ReadSettings(**how)) as reader:
        assert [row for batch in reader.batches() for row in batch.valid] == rows


def test_shape_of_an_earlier_ledger_has_a_header() -> None:
    from bulk.rows import InputShape

    text = '{"format":"csv","encoding":"utf-8","delimiter":",","header":["ProductKey","ModuleName"],"columns":{}}'

    assert encode_header(InputShape.from_json(text)) == "ProductKey,ModuleName\n"


def test_lines_of_jsonl_are_not_skipped(read: Read) -> None:
    with pytest.raises(SettingsError, match="--skip-lines is for CSV and TSV"):
        read('{"ProductKey":"a1","ModuleName":"mcu"}\n', name="m.jsonl", skip_lines=1)


@pytest.mark.parametrize("skip_lines", [-1, 10_001])
def test_skipped_lines_are_within_bounds(skip_lines: int) -> None:
    with pytest.raises(SettingsError, match="skip_lines takes 0 to 10,000"):
        ReadSettings(skip_lines=skip_lines)


@pytest.mark.parametrize("content", ["\n \n\n", "sep=;\n\n"])
def test_file_without_header_and_rows_is_empty(read: Read, content: str) -> None:
    with pytest.raises(InputError, match="it is empty"):
        read(content, no_header=True)


def test_single_key_among_cells_that_name_nothing_is_no_row_to_lose(read: Read) -> None:
    with pytest.raises(InputError, match="no column for ProductKey and ModuleName") as caught:
        read("a1Lamp00001,!!!\n")

    assert "looks like a row" not in str(caught.value)


def test_line_that_is_malformed_in_a_way_of_its_own_is_told_with_the_readers_words() -> None:
    assert reason("new-line character seen in unquoted field", ",") == (
        "is malformed (new-line character seen in unquoted field)"
    )
