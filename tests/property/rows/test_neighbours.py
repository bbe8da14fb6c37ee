"""No valid CSV row, whatever its neighbours, is changed on its way: it is what a plain reader reads, trimmed."""

from __future__ import annotations

import csv
import io
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.rows import encode_header, encode_record, open_input
from bulk.rows.spoiled import NULLS
from bulk.settings import ReadSettings

HEADER = ["ProductKey", "ModuleName", "AliasName", "Desc", "note"]

key = st.text(string.ascii_letters + string.digits, min_size=11, max_size=11)
name = st.text(string.ascii_lowercase + "._", min_size=1, max_size=12).filter(
    lambda value: value != "default" and value not in NULLS
)
alias = st.text("主控无线模块", max_size=8)
prose = st.lists(st.sampled_from(["one", "two, three", 'a "word"', "a,b,c,d,e", "-----", "(2 rows)", ""]), max_size=4)
desc = st.tuples(prose, st.sampled_from(["\n", " "])).map(lambda parts: parts[1].join(parts[0]).strip())
valid = st.tuples(key, name, alias, desc, st.text("x ,\n\"';|主", max_size=8))

NEIGHBOURS = st.sampled_from(
    [
        'a1Lamp00001,mcu,"x',
        'a1Lamp00001,mcu,,"7" panel",',
        'a1Lamp00001,mcu,,"7\\" panel",',
        'a1Lamp00001, mcu, , "spaced", x',
        'a1Lamp00001,mcu,,7" panel,',
        "a1Lamp00001,mcu",
        "a1Lamp00001",
        "a1Lamp00001,mcu,,,,,surplus",
        "Total,2,,,",
        "(2 rows affected)",
        "----------,---,---,---,---",
        "NULL,NULL,NULL,NULL,NULL",
        '="a1Lamp00001","=""mcu""",,,',
        "1.2E+10,mcu,,,",
        ",".join(HEADER),
        "",
        ",,,,",
        "a1Lamp00001,mcu,,a\0b,",
    ]
)


def read(content: str) -> tuple[Any, list[tuple[Any, ...]]]:
    with open_input("-", ReadSettings(format="csv"), stdin=io.BytesIO(content.encode())) as reader:
        return reader.shape, [row for batch in reader.batches() for row in batch.valid]


def encoded(cells: tuple[str, ...]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


@settings(deadline=None, max_examples=200)
@given(
    records=st.lists(
        st.tuples(st.lists(NEIGHBOURS, max_size=3), st.lists(valid, min_size=1, max_size=60)), min_size=1, max_size=4
    )
)
def test_valid_row_is_what_a_plain_reader_reads_whatever_stands_beside_it(
    records: list[tuple[list[str], list[tuple[str, ...]]]],
) -> None:
    text, line = ",".join(HEADER) + "\r\n", 2
    expected: dict[int, tuple[str, ...]] = {}
    for neighbours, rows in records:
        for neighbour in neighbours:
            text += neighbour + "\r\n"
            line += 1
        # An open quote reaches to the next quote: this row, which is evidence of it, must survive, and all behind it.
        expected[line] = ("a1Lamp00001", "fence", "", "")
        text += "a1Lamp00001,fence,,,\r\n"
        line += 1
        for cells in rows:
            record = encoded(cells)
            if '"' not in record:
                expected[line] = tuple(cell.strip() for cell in cells[:4])
            text += record
            line += record.count("\n")

    shape, found = read(text)

    by_line = {row[0]: row[1:5] for row in found}
    assert {at: by_line.get(at) for at in expected} == expected
    _, again = read(encode_header(shape) + "".join(encode_record(shape, row[5], row[1:5]) for row in found))
    assert [row[1:5] for row in again] == [row[1:5] for row in found]


@settings(deadline=None, max_examples=200)
@given(
    rows=st.lists(st.one_of(valid.map(encoded), NEIGHBOURS.filter(lambda row: row.count('"') % 2 == 0)), max_size=120)
)
def test_valid_row_of_any_cells_is_what_a_plain_reader_reads_beside_paired_quotes(rows: list[str]) -> None:
    text, line = ",".join(HEADER) + "\r\n", 2
    expected: dict[int, tuple[str, ...]] = {}
    for row in rows:
        record = row if row.endswith("\r\n") else row + "\r\n"
        if row.endswith("\r\n"):
            (plain,) = csv.reader(io.StringIO(record, newline=""))
            expected[line] = tuple(cell.strip() for cell in plain[:4])
        text += record
        line += record.count("\n") + record.replace("\r\n", "").count("\r")

    _, found = read(text)

    by_line = {row[0]: row[1:5] for row in found}
    assert {at: by_line.get(at) for at in expected} == expected
