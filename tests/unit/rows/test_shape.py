from __future__ import annotations

import orjson
import pytest

from bulk.rows import InputShape, cells, encode_header, encode_record, fields

CSV = InputShape("csv", "utf-8", ";", ("ProductKey", "ModuleName", "note"), {"ProductKey": "ProductKey"})
JSONL = InputShape("jsonl", "utf-8", None, (), {"ProductKey": "pk"})


@pytest.mark.parametrize("shape", [CSV, JSONL])
def test_shape_survives_the_ledger(shape: InputShape) -> None:
    assert InputShape.from_json(shape.to_json()) == shape


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('["a1","mcu","x"]', ["a1", "mcu", "x"]),
        ('["a1"]', ["a1", "", ""]),
        ('["a1","mcu","x","y"]', ["a1", "mcu", "x"]),
        ('"a1;\\"mcu"', ['a1;"mcu', "", ""]),
    ],
)
def test_cells_are_as_many_as_columns(record: str, expected: list[str]) -> None:
    assert cells(CSV, record) == expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('["a1","mcu","x"]', {"ProductKey": "a1", "ModuleName": "mcu", "note": "x"}),
        ('["a1"]', {"ProductKey": "a1", "ModuleName": "", "note": ""}),
        ('["a1","m","x","y",""]', {"ProductKey": "a1", "ModuleName": "m", "note": "x", "_surplus": ["y", ""]}),
        ('["a1","m","x","",""]', {"ProductKey": "a1", "ModuleName": "m", "note": "x"}),
        ('"a1;\\"mcu"', {"_raw": 'a1;"mcu'}),
    ],
)
def test_cells_have_the_names_of_their_columns(record: str, expected: dict[str, object]) -> None:
    assert fields(CSV, record) == expected


def test_columns_of_one_name_and_of_none_are_told_apart() -> None:
    shape = InputShape("csv", "utf-8", ",", ("x", "x", "", "x_2", " "), {})

    assert list(fields(shape, '["1","2","3","4","5"]').items()) == [
        ("x", "1"),
        ("x_2", "2"),
        ("column_3", "3"),
        ("x_2_2", "4"),
        ("column_5", "5"),
    ]


@pytest.mark.parametrize(
    ("record", "expected"),
    [('{"pk":"a1","n":[1]}', {"pk": "a1", "n": [1]}), ("{", {"_raw": "{"}), ("[1]", {"_raw": "[1]"})],
)
def test_keys_of_an_object_are_its_columns(record: str, expected: dict[str, object]) -> None:
    assert fields(JSONL, record) == expected


def test_header_and_records_are_written_as_they_were() -> None:
    assert encode_header(CSV) == "ProductKey;ModuleName;note\n"
    assert encode_record(CSV, '["a1","m;cu","two\\nlines","surplus"]') == 'a1;"m;cu";"two\nlines";surplus\n'
    assert encode_record(CSV, '["a1","a\\rb"]') == 'a1;"a\rb"\n'
    assert encode_record(CSV, '"a1;\\"mcu"') == 'a1;"mcu\n'
    assert encode_header(JSONL) == ""
    assert encode_record(JSONL, '{"pk":"a1"}') == '{"pk":"a1"}\n'


@pytest.mark.parametrize(
    "number", ["123456789012345678901234", "1.10", "1e5", "-0", "-0.0", "12.000000000000000000001", "7"]
)
def test_numbers_of_other_columns_are_given_back_digit_by_digit(number: str) -> None:
    record = f'{{"pk":"a1","serial":{number},"more":{{"of":[{number}]}}}}'

    assert orjson.dumps(fields(JSONL, record)).decode() == record


def test_numbers_in_a_record_stand_for_the_fields_beside_it() -> None:
    values = ("a1", "mcu", None, "text")
    shape = InputShape("csv", "utf-8", ",", ("note", "Desc", "AliasName", "ProductKey", "ModuleName"), {})
    record = '["x",3,2,0,1]'

    assert cells(shape, record, values) == ["x", "text", "", "a1", "mcu"]
    assert fields(shape, record, values)["ProductKey"] == "a1"
    assert encode_record(shape, record, values) == "x,text,,a1,mcu\n"
