"""JSON that is not one object a line, and names that tell the wrong format: never read in part, named with the way."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    Row = tuple[Any, ...]
    Read = Callable[..., list[Row]]

ROWS = [{"ProductKey": "a1", "ModuleName": name, "AliasName": "主控", "n": 1.5} for name in ("one", "two", "three")]
LINES = [json.dumps(row, ensure_ascii=False) for row in ROWS]
MANY = [*ROWS, *({"ProductKey": "a1", "ModuleName": f"m{n}", "note": "x" * 100} for n in range(1_000))]

ARRAYS = {
    "one line": json.dumps(ROWS),
    "a line each": "[" + ",\n ".join(LINES) + "\n]\n",
    "brackets alone": "[\n" + ",\n".join(LINES) + "\n]",
    "pretty": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "long": json.dumps(MANY, indent=1),
    "mark in front": "\ufeff" + json.dumps(ROWS),
    "comma at the end": "[\n" + ",\n".join(LINES) + ",\n]\n",
    "python": "[" + ", ".join(map(repr, ROWS)) + "]",
}
OTHERS = {
    "inside of an array": ",\n".join(LINES) + "\n",
    "inside of an array, with commas all over": "\n".join(f"{line}," for line in LINES) + "\n]\n",
    "pretty objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "many pretty objects": "\n".join(json.dumps(row, indent=2) for row in MANY),
    "on one line": "".join(LINES),
    "wrapped": json.dumps({"data": ROWS}),
    "wrapped, a line each": '{"code": 0, "data": [\n' + ",\n".join(LINES) + "\n]}",
    "wrapped twice": json.dumps({"code": 0, "result": {"the items": ROWS}}, indent=4),
    "wrapped, long": json.dumps({"code": "0", "x": {"y": []}, "data": MANY}),
    "python lines": "\n".join(map(repr, ROWS)) + "\n",
}


@pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.tsv"])
@pytest.mark.parametrize("content", [*ARRAYS.values(), *OTHERS.values()], ids=[*ARRAYS, *OTHERS])
def test_layout_is_named_and_no_row_is_read(read: Read, name: str, content: str) -> None:
    with pytest.raises(InputError, match=r"`.+`"):
        read(content, name=name)


@pytest.mark.parametrize("content", [*ARRAYS.values(), *OTHERS.values()], ids=[*ARRAYS, *OTHERS])
@pytest.mark.parametrize("name", ["m.jsonl", "it's a -.json"])
def test_way_works_when_it_is_pasted(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught, open_input(name, ReadSettings(format="jsonl")):
        pass
    command = re.findall(r"`([^`]+)`", str(caught.value))[0]
    if command.startswith("jq") and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    before = set(tmp_path.iterdir())

    subprocess.run(["bash", "-c", command.replace("python3", sys.executable)], cwd=tmp_path, check=True)

    (made,) = set(tmp_path.iterdir()) - before
    rows = read(made.read_bytes(), name="again.jsonl")
    assert [row[2] for row in rows][:3] == ["one", "two", "three"]
    assert {row[6] for row in rows} == {None}


@pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
def test_json_lines_under_another_name_are_named(read: Read, name: str) -> None:
    with pytest.raises(InputError, match=r"it holds JSON lines, not .*; read it with --format jsonl"):
        read("\n".join(LINES), name=name)

    assert len(read("\n".join(LINES), name=name, format="jsonl")) == 3


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_cells_under_the_name_of_json_lines_are_named(read: Read, delimiter: str) -> None:
    content = "ProductKey,ModuleName\na1,mcu\n".replace(",", delimiter)

    with pytest.raises(InputError, match="it holds CSV; read it with --format csv"):
        read(content, name="m.jsonl")

    assert len(read(content, name="m.jsonl", format="csv")) == 1


def test_commas_under_the_name_of_tabs_are_named(read: Read) -> None:
    content = "ProductKey,ModuleName\na1,mcu\n"

    with pytest.raises(InputError, match="no tab is in it, so it is not TSV; read it with --format csv"):
        read(content, name="m.tsv")

    assert len(read(content, name="m.tsv", delimiter=",")) == 1


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        (LINES[0] + ",", "it ends in a comma"),
        (LINES[0] + LINES[1], "several objects are on it"),
        ('{"ProductKey":"a1","ModuleName":"x","n":NaN}', "neither NaN nor Infinity"),
        ('{"ProductKey":"a1","ModuleName":"x","n":-Infinity}', "neither NaN nor Infinity"),
        (repr(ROWS[0]), "single quotes"),
        ('{"ProductKey":"a1","ModuleName":"x","n":None}', "are Python's"),
        ('{"ProductKey":"a1","ModuleName":"x",}', "a comma is after the last value"),
        ('{"ProductKey":"a1","ModuleName":"NaN },{ \'x\'"', "at character"),
    ],
)
def test_line_that_is_almost_json_says_why(read: Read, line: str, cause: str) -> None:
    rows = read("\n".join([LINES[0], line, LINES[1]]), name="m.jsonl")

    assert [row[2] for row in rows] == ["one", None, "two"]
    assert cause in str(rows[1][6])


def test_mark_in_front_of_a_later_line_is_left_out(read: Read) -> None:
    rows = read("\ufeff\ufeff" + LINES[0] + "\n\ufeff" + LINES[1], name="m.jsonl")

    assert [(row[2], row[5]) for row in rows] == [("one", LINES[0]), ("two", LINES[1])]


def test_torn_first_line_costs_itself(read: Read) -> None:
    rows = read('{"ProductKey":"a1",\n' + "\n".join(LINES), name="m.jsonl")

    assert [row[2] for row in rows] == [None, "one", "two", "three"]


def test_object_with_a_list_of_its_own_is_a_row(read: Read) -> None:
    row = json.dumps(ROWS[0] | {"data": ROWS})

    assert [found[2] for found in read(row, name="m.jsonl")] == ["one"]


WRAPPED = {
    "object": [json.dumps({"_id": "1", "_source": row}) for row in ROWS],
    "text": [json.dumps({"key": "1", "my-value": json.dumps(row)}) for row in ROWS],
    "text alone": [json.dumps(json.dumps(row)) for row in ROWS],
    "deep": [json.dumps({"a": {"b": {"c": row}}}) for row in ROWS],
    "behind a time": [f"2024-01-01T00:00:00Z INFO {line}" for line in LINES],
    "events": [f"data: {line}\n" for line in LINES],
}


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("bash")), reason="jq and bash are needed")
@pytest.mark.parametrize("name", ["m.jsonl", "m.json"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_way_to_wrapped_rows_works_when_it_is_pasted(
    tmp_path: Path, read: Read, wrapped: list[str], name: str, encoding: str
) -> None:
    with pytest.raises(InputError) as refused:
        read("\n".join(wrapped).encode(encoding), name=name)
    way = re.search("`(.*)`", str(refused.value))
    assert way is not None
    subprocess.run(["bash", "-c", way[1]], cwd=tmp_path, check=True)

    assert [row[2] for row in read((tmp_path / "m.lines.jsonl").read_bytes(), name="n.jsonl")] == [
        "one",
        "two",
        "three",
    ]


TABLES = {
    "quoted lines": '"ProductKey,ModuleName"\n"a1,one"\n"a1,two"\n"a1,three"\n',
    "lists": "\n".join(
        json.dumps(cells) for cells in [["ProductKey", "ModuleName"], *(["a1", r["ModuleName"]] for r in ROWS)]
    ),
}


@pytest.mark.skipif(not (shutil.which("jq") and shutil.which("bash")), reason="jq and bash are needed")
@pytest.mark.parametrize("content", TABLES.values(), ids=TABLES)
def test_way_to_a_table_works_when_it_is_pasted(tmp_path: Path, read: Read, content: str) -> None:
    with pytest.raises(InputError) as refused:
        read(content, name="m.jsonl" if content.startswith("[") else "m.csv")
    way = re.search("`(.*)`", str(refused.value))
    assert way is not None
    subprocess.run(["bash", "-c", way[1]], cwd=tmp_path, check=True)

    assert [row[2] for row in read((tmp_path / "m.lines.csv").read_bytes())] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("ProductKey,a1Lamp00001\nModuleName,wifi\n", "lies on its side"),
        ("ProductKey=a1 ModuleName=wifi\n", "pairs of name and value"),
        ("[one]\nProductKey=a1\nModuleName=wifi\n", "pairs of name and value"),
        ("ProductKey:a1\tModuleName:wifi\n", "pairs of name and value"),
        ("{ProductKey: 'a1', ModuleName: 'wifi'}\n", "JavaScript's own notation"),
        ("ProductKey    ModuleName\na1            wifi\n", "aligned with spaces"),
    ],
)
@pytest.mark.parametrize("name", ["m.csv", "m.txt"])
def test_what_no_delimiter_divides_is_named(read: Read, content: str, said: str, name: str) -> None:
    with pytest.raises(InputError, match=said):
        read(content, name=name)


@pytest.mark.parametrize(
    ("content", "looks"),
    [("ProductKey\tModuleName\n", "tsv"), ("title\nProductKey;ModuleName\n", "csv"), (LINES[0] + "\n", "jsonl")],
)
def test_name_that_tells_no_format_is_helped_by_the_text(read: Read, content: str, looks: str) -> None:
    with pytest.raises(InputError, match=rf"jsonl \(it looks like {looks}\)"):
        read(content, name="m.txt")


def test_objects_over_several_lines_that_are_nested_too_deeply_are_left_to_the_reader_of_lines(read: Read) -> None:
    content = '{"ProductKey": "a1",\n"ModuleName": "m", "n": ' + "[" * 100_000

    with pytest.raises(InputError) as caught:
        read(content, name="m.jsonl")

    assert "spread over several lines" not in str(caught.value)


def test_way_of_a_packed_file_unpacks_it_first(read: Read) -> None:
    spread = "\n".join(json.dumps(row, indent=2) for row in ROWS)

    with pytest.raises(InputError, match=re.escape("`jq -c . <(gzip -dc ")) as caught:
        read(gzip.compress(spread.encode()), name="m.jsonl.gz")

    assert "m.lines.jsonl`" in str(caught.value)


def test_way_of_a_packed_file_in_another_encoding_converts_it_too(read: Read) -> None:
    spread = "\n".join(json.dumps(row, indent=2, ensure_ascii=False) for row in ROWS)

    with pytest.raises(InputError, match=re.escape(" | iconv -f gb18030 -t UTF-8)")):
        read(gzip.compress(spread.encode("gb18030")), name="m.jsonl.gz", encoding="gb18030")


@pytest.mark.parametrize("cut", [0, 30])
def test_object_that_is_spread_far_beyond_the_beginning_is_named_so(read: Read, cut: int) -> None:
    content = json.dumps({"ProductKey": "a1", "ModuleName": "m", "notes": ["x" * 100] * 5_000}, indent=1)

    with pytest.raises(InputError, match="each JSON object is spread over several lines"):
        read(content[: len(content) - cut], name="m.jsonl")
