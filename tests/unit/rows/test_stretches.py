"""Rows below another header, in a merge conflict, or swapped: each looks like a good one, none is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[tuple[Any, ...]]]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"


def valid(rows: list[tuple[Any, ...]]) -> list[tuple[str, str]]:
    return [(row[1], row[2]) for row in rows if row[-1] is None]


def reasons(rows: list[tuple[Any, ...]]) -> list[str]:
    return [str(row[-1]) for row in rows if row[-1] is not None]


@pytest.mark.parametrize(
    "other",
    [
        "ModuleName,ProductKey,AliasName,Desc",
        "ProductKey,Owner",
        "AliasName,Desc,ProductKey,ModuleName",
        "ProductKey,ModuleName,Desc,AliasName",
    ],
)
def test_rows_below_a_header_of_other_columns_are_not_sent(read: Read, other: str) -> None:
    rows = read(f"{HEADER}a1,wifi,,\n{other}\nled,mcu,x,y\n" + "a2,led,x,y\n" * 500)

    assert valid(rows) == [("a1", "wifi")]
    assert "is another header" in reasons(rows)[0]
    assert "below another header, line 3" in reasons(rows)[-1]


@pytest.mark.parametrize("again", ["ProductKey,ModuleName", "product_key,module_name,alias,desc"])
def test_rows_below_a_header_of_the_same_columns_are_rows(read: Read, again: str) -> None:
    assert valid(read(f"{HEADER}a1,wifi,,\n{again}\na2,led,,\n")) == [("a1", "wifi"), ("a2", "led")]


CONFLICT = ["<<<<<<< HEAD", "{ours}", "=======", "{theirs}", ">>>>>>> feature/x, y"]


@pytest.mark.parametrize("base", [[], ["||||||| merged common ancestors", "{ours}"]])
def test_no_side_of_a_merge_conflict_is_sent(read: Read, base: list[str]) -> None:
    lines = [*CONFLICT[:2], *base, *CONFLICT[2:]]
    text = "\n".join(["a1,wifi,,", *lines, "a1,mcu,,"]).format(ours="a1,led,,x", theirs="a1,led,,y")

    rows = read(HEADER + text + "\n")

    assert valid(rows) == [("a1", "wifi"), ("a1", "mcu")]
    assert all("conflict" in reason for reason in reasons(rows))
    assert len(reasons(rows)) == len(lines)


def test_no_side_of_a_merge_conflict_is_sent_from_json_lines(read: Read) -> None:
    row = '{{"ProductKey":"a1","ModuleName":"{}"}}'
    text = "\n".join([row.format("wifi"), *CONFLICT, row.format("mcu")])

    rows = read(text.replace("{ours}", row.format("led")).replace("{theirs}", row.format("ble")), name="m.jsonl")

    assert valid(rows) == [("a1", "wifi"), ("a1", "mcu")]


def test_line_of_equals_signs_outside_of_a_conflict_is_a_line_of_dashes(read: Read) -> None:
    assert len(read(HEADER + "=======\na1,wifi,,\n")) == 1


@pytest.mark.parametrize("types", ["string,string,string,string", "varchar(64),varchar(64),,", "必填,必填,选填,选填"])
def test_line_of_types_below_the_header_is_no_module(read: Read, types: str) -> None:
    rows = read(f"{HEADER}{types}\na1,wifi,,\n")

    assert valid(rows) == [("a1", "wifi")]
    assert "take it out" in reasons(rows)[0]
    assert len(valid(read(f"{HEADER}string,string,,\na1,wifi,,\n", lenient_keys=True))) == 2


def test_swapped_columns_are_invalid_unless_lenient(read: Read) -> None:
    swapped = HEADER + "wifi,a1Lamp00001,,\n"

    assert "swapped" in reasons(read(swapped))[0]
    assert valid(read(swapped, lenient_keys=True)) == [("wifi", "a1Lamp00001")]
    assert valid(read(HEADER + "a1Lamp00002,a1Lamp00001,,\n")) == [("a1Lamp00002", "a1Lamp00001")]


@pytest.mark.parametrize("cells", ["a1,led,x,Wi-Fi\\, board", "“a1”,“led”,“x”,“y, z”", "a1，led，L，y", "a1;led;L;y"])
def test_row_that_is_divided_in_another_way_says_how(read: Read, cells: str) -> None:
    reason = reasons(read(f"{HEADER}{cells}\n"))[0]

    assert any(word in reason for word in ("backslash", "plain double ones", "divided by '，'", "divided by ';'"))
