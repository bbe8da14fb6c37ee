from __future__ import annotations

import orjson
import pytest

from bulk.rows.record import CellRecords, object_of, of_cells, of_line, taken_apart, with_own_key

VALUES = ("p1", "a", "主控", None)


@pytest.mark.parametrize(
    ("kept", "whole"),
    [
        ("[0,1,2,3]", ["p1", "a", "主控", ""]),
        ('[3,"0",1,0,"x"]', ["", "0", "a", "p1", "x"]),
        ('[" p1 ","a"]', [" p1 ", "a"]),
        ('"a line"', "a line"),
    ],
)
def test_fields_are_put_back_where_the_record_has_their_numbers(kept: str, whole: list[str] | str) -> None:
    assert taken_apart(kept, VALUES) == whole


@pytest.mark.parametrize("positions", [(0, 1, 2, 3), (3, 1, -1, 0), (2, 0, -1, -1), (1, 1, 0, -1)])
def test_records_of_columns_are_read_back_as_their_cells(positions: tuple[int, ...]) -> None:
    rows = [["w0", "x0", "y0", "z0"], ["w1", "x1", "y1", ""]]
    records = CellRecords(positions, 4).of_columns(list(zip(*rows, strict=True)))

    for row, record in zip(rows, records, strict=False):
        values = tuple(row[position] if position >= 0 else None for position in positions)
        assert taken_apart(record, values) == row  # type: ignore[arg-type]  # four of them


def test_cells_and_lines_are_read_back() -> None:
    assert taken_apart(of_cells(["a", 'b"', "c\nd"])) == ["a", 'b"', "c\nd"]
    assert taken_apart(of_line('a1,"x\r\n')) == 'a1,"x'


@pytest.mark.parametrize("text", ["{", "[1]", "7", '"x"'])
def test_line_that_is_no_object_is_none(text: str) -> None:
    assert object_of(text) is None


@pytest.mark.parametrize(
    ("record", "own"),
    [
        ("[0,1,2,3]", '["source","a","主控",""]'),
        ('["x",1,0]', '["x","a","source"]'),
        ('[0,"0",7]', '["source","0",7]'),
        ('{"ProductKey":"source"}', '{"ProductKey":"source"}'),
    ],
)
def test_record_keeps_the_texts_that_a_map_replaced(record: str, own: str) -> None:
    assert with_own_key(record, ("source", "a", "主控", "")) == own


def test_number_too_large_for_a_double_in_an_object_too_deep_to_spell_is_no_object() -> None:
    text = '{"n":1e999,"deep":' + "[" * 100_000 + "]" * 100_000 + "}"

    assert object_of(text) is None


def test_number_is_spelled_as_in_the_line() -> None:
    found = object_of('{"n":1.50,"big":1e999}')

    assert found is not None
    assert orjson.dumps(found) == b'{"n":1.50,"big":1e999}'
