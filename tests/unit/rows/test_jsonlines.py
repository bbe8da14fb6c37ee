from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.errors import InputError, SettingsError
from bulk.rows.text import lines as lines_module

if TYPE_CHECKING:
    from collections.abc import Callable

    Row = tuple[Any, ...]
    Read = Callable[..., list[Row]]

GOOD = '{"ProductKey": "a1", "ModuleName": "mcu"}'


def nested(depth: int) -> str:
    return '{"ProductKey":"a1","ModuleName":"x","n":' + "[" * depth + "]" * depth + "}"


@pytest.fixture
def read_lines(read: Read) -> Callable[..., list[Row]]:
    """Read lines, the first of which is a good row."""

    def read_after_good(*lines: str, **settings: Any) -> list[Row]:
        return read("\n".join([GOOD, *lines]), name="modules.jsonl", **settings)[1:]

    return read_after_good


def test_row_carries_line_fields_and_its_own_text(read: Read) -> None:
    text = '{"desc":"Main board","module_name":"mcu","ProductKey":"a1","alias":"主控","tags":["x"]}'

    rows = read(f"\n{text}\r\n", name="modules.ndjson")

    assert rows == [(2, "a1", "mcu", "主控", "Main board", text, None)]


def test_blank_lines_are_counted_and_skipped(read_lines: Read) -> None:
    assert [row[0] for row in read_lines("", "  ", GOOD, "", GOOD, "")] == [4, 6]


def test_keys_may_be_spelled_differently_from_line_to_line(read_lines: Read) -> None:
    rows = read_lines('{"product_key":"a1","moduleName":"one"}', '{"Module Name":"two","x":1,"productkey":"a1"}')

    assert [row[1:3] for row in rows] == [("a1", "one"), ("a1", "two")]


def test_whole_numbers_stand_for_their_digits_and_null_for_nothing(read_lines: Read) -> None:
    rows = read_lines('{"ProductKey":123,"ModuleName":7,"AliasName":null,"Desc":0}')

    assert rows[0][1:5] == ("123", "7", None, "0")


def test_other_columns_may_hold_anything(read_lines: Read) -> None:
    rows = read_lines('{"ProductKey":"a1","ModuleName":"one","more":{"a":[1.5,true,{"ProductKey":"x"}],"at":"12:30"}}')

    assert rows[0][-1] is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("a1,mcu", "not JSON"),
        (GOOD + ",", "not JSON"),
        ('{"ProductKey":"a1","ModuleName":"\0"}', "not JSON"),
        (r'{"ProductKey":"a1","ModuleName":"\ud800"}', "not JSON"),
        ("NaN", "not JSON"),
        ("[1]", "the line is a list, not an object"),
        ('"text"', "the line is text, not an object"),
        ("1", "the line is a number, not an object"),
        ("null", "the line is null, not an object"),
        ("true", "the line is true or false, not an object"),
        ("{}", "ProductKey is missing; ModuleName is missing"),
        ('{"ProductKey":"a1"}', "ModuleName is missing"),
        ('{"ProductKey":"a1","ModuleName":null}', "ModuleName is missing"),
        ('{"ProductKey":"a1","ModuleName":" "}', "ModuleName is missing"),
        ('{"ProductKey":"a1","ModuleName":1.0}', "ModuleName is a number with a fraction"),
        (
            '{"ProductKey":"a1","ModuleName":1000000000000000000000}',
            "ModuleName is a number with a fraction, or too large",
        ),
        ('{"ProductKey":"a1","ModuleName":"x","ModuleName":"y","n":1000000000000000000000}', "is given 2 times"),
        (
            '{"ProductKey":true,"ModuleName":["x"]}',
            "ProductKey is true or false; write it as text, in quotes",
        ),
        ('{"ProductKey":"a1","ModuleName":"x","Desc":false}', "Desc is true or false"),
        ('{"ProductKey":"a1","ModuleName":"x","AliasName":{}}', "AliasName is an object"),
        ('{"ProductKey":"a1","ModuleName":"x","ModuleName":"y"}', "the key 'ModuleName' is given 2 times"),
        ('{"ProductKey":"a1","ModuleName":"x","n" :1,"n" :2}', "the key 'n' is given 2 times"),
        ('{"ProductKey":"a1","ModuleName":"x","product_key":"a2"}', "'ProductKey' and 'product_key' both mean"),
        ('{"ProductKey":"a1","ModuleName":"x y"}', "ModuleName holds space (U+0020)"),
        (r'{"ProductKey":"a1","ModuleName":"x\u0000"}', "U+0000"),
        (nested(2_000), "not JSON"),
    ],
)
def test_bad_line_is_an_invalid_row_and_the_others_go_on(read_lines: Read, line: str, reason: str) -> None:
    rows = read_lines(line, GOOD)

    assert rows[0][:6] == (2, None, None, None, None, line)
    assert reason in str(rows[0][-1])
    assert rows[1][:3] == (3, "a1", "mcu")


def test_deep_nesting_spoils_no_other_row(read_lines: Read) -> None:
    rows = read_lines(nested(1_000), GOOD)

    # How deep a close look can follow is the interpreter's matter: from 3.12 on it goes deeper.
    assert rows[0][-1] in {None, "the line is nested too deeply"}
    assert rows[0][5] == nested(1_000)
    assert rows[1][:3] == (3, "a1", "mcu")


def test_line_of_megabytes_is_cut_and_the_others_go_on(read_lines: Read) -> None:
    long = '{"ProductKey":"%s"}' % ("x" * (3 * lines_module.MAX_RECORD_CHARS))

    rows = read_lines(long, GOOD)

    assert [(row[0], row[2]) for row in rows] == [(2, None), (3, "mcu")]
    assert rows[0][-1] == "the line is longer than 1,048,576 characters"
    assert len(rows[0][5]) < 3_000


def test_line_of_megabytes_may_come_first(read: Read) -> None:
    rows = read("x" * (2 * lines_module.MAX_RECORD_CHARS) + "\n" + GOOD, name="modules.jsonl")

    assert [(row[0], row[2]) for row in rows] == [(1, None), (2, "mcu")]


def test_map_holds_for_keys(read: Read) -> None:
    rows = read('{"pk":"a1","name":"mcu"}', name="m.jsonl", columns={"ProductKey": "pk", "ModuleName": "Name"})

    assert rows[0][1:3] == ("a1", "mcu")


def test_file_whose_beginning_has_no_key_for_a_field_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"no column for ProductKey; the columns are 'pk', 'ModuleName'.*--map"):
        read('{"pk":"a1","ModuleName":"mcu"}\n', name="m.jsonl")


def test_file_with_a_key_for_each_field_somewhere_at_its_beginning_is_read(read: Read) -> None:
    rows = read('{"ProductKey":"a1"}\nx\n{"ProductKey":"a1","ModuleName":"mcu"}\n', name="m.jsonl")

    assert [row[-1] is None for row in rows] == [False, False, True]


def test_map_to_a_key_that_never_comes_up_is_refused(read: Read) -> None:
    with pytest.raises(InputError, match=r"no column 'nme'; did you mean 'name'\?"):
        read('{"ProductKey":"a1","name":"mcu"}', name="m.jsonl", columns={"ModuleName": "nme"})


def test_map_of_an_unknown_field_is_refused(read: Read) -> None:
    with pytest.raises(SettingsError, match="there is no field"):
        read(GOOD, name="m.jsonl", columns={"Name": "x"})


@pytest.mark.parametrize("content", ["[\n]\n", "ProductKey,ModuleName\na1,mcu\n"])
def test_file_that_is_no_jsonl_is_refused(read: Read, content: str) -> None:
    with pytest.raises(InputError, match="no line at its beginning is a JSON object"):
        read(content, name="m.jsonl")


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_empty_file_is_refused(read: Read, content: str) -> None:
    with pytest.raises(InputError, match="it is empty"):
        read(content, name="m.jsonl")


def test_objects_of_many_shapes_are_read_in_flat_memory(read_lines: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.rows.jsonlines.MAX_KNOWN_KEY_SETS", 3)
    lines = [orjson.dumps({"ProductKey": "a1", f"x{n}": n, "ModuleName": f"m{n}"}).decode() for n in range(20)]

    rows = read_lines(*lines)

    assert [row[2] for row in rows] == [f"m{n}" for n in range(20)]


def test_number_beyond_floating_point_in_the_first_line_hides_no_key(read: Read) -> None:
    text = '{"ProductKey":"a1","ModuleName":"mcu","ratio":1e400}'

    assert [row[:3] for row in read(text, name="m.jsonl")] == [(1, "a1", "mcu")]


def test_rows_of_a_conflict_are_invalid_to_its_end_however_many_they_are(read_lines: Read) -> None:
    rows = read_lines("<<<<<<< ours", *[GOOD] * 200, "=======", GOOD, ">>>>>>> theirs", GOOD)

    assert [row[-1] for row in rows[1:201]] == [
        "the line is in the merge conflict of line 2; resolve the conflict in git, then run again"
    ] * 200
    assert rows[-1][1:3] == ("a1", "mcu")
    assert rows[-2][-1].startswith("the line is git's mark of a merge conflict")


def test_input_that_begins_with_a_line_without_an_end_is_read_from_the_next(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_RECORD_CHARS", 1_000)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 500)

    rows = read('{"ProductKey": "a1", "ModuleName": "' + "x" * 5_000 + '"}\n' + GOOD, name="m.jsonl")

    assert [(row[0], row[1]) for row in rows] == [(1, None), (2, "a1")]
    assert "is longer than" in rows[0][-1]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="json no longer has Python's limit: it looks at all depths")
def test_repeated_key_is_looked_for_even_in_what_is_nested_too_deeply_to_look(read_lines: Read) -> None:
    deep = "[" * 900 + "]" * 900
    line = '{"ProductKey":"a1","ModuleName":"x","note":":","n":' + f"{deep}}}"

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(600)
    try:
        ((*_, problem),) = read_lines(line)
    finally:
        sys.setrecursionlimit(limit)

    assert problem == "the line is nested too deeply"


def test_input_that_is_one_line_without_an_end_has_no_object_at_its_beginning(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_RECORD_CHARS", 1_000)
    monkeypatch.setattr(lines_module, "CHUNK_BYTES", 500)

    with pytest.raises(InputError, match="line 1: no line at its beginning is a JSON object"):
        read('{"ProductKey": "a1", "ModuleName": "' + "x" * 5_000 + '"}\n\n', name="m.jsonl")
