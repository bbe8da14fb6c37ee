from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., list[tuple[Any, ...]]]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"


@pytest.mark.parametrize(
    ("rows", "lines", "inside"),
    [
        ('a1Lamp00001,lcd,,"slim\na1Lamp00002,wifi,,x\na1Lamp00003,lcd,,7"\n', 3, "2 of them are rows of their"),
        ('a1Lamp00001,lcd,,"slim\na1Lamp00002,lcd,,7"\n', 2, "1 of them is a row of its"),
        ('p1,lcd,,"slim\np1,wifi,,7"\n', 2, "1 of them is a row of its"),
        ('a1Lamp00001,"lcd,,x\na1Lamp00002,lcd,,7"\n', 2, "1 of them is a row of its"),
    ],
)
def test_quote_that_swallows_rows_costs_its_own_row_only(read: Read, rows: str, lines: int, inside: str) -> None:
    found = read(HEADER + rows + "a1Lamp00009,wifi,,ok\n")

    assert [(row[0], row[-1] is None) for row in found] == [(2, False), *((line, True) for line in range(3, lines + 3))]
    assert f"{lines} lines were read as one, and {inside}" in str(found[0][-1])
    assert found[-2][4] == '7"'


def test_quote_that_swallows_rows_up_to_a_quoted_cell_says_how_many(read: Read) -> None:
    found = read(HEADER + 'a1,lcd,"W,\na2,wifi,,x\na3,"lcd",,y\na4,x,,\n')

    assert [(row[0], row[-1] is None) for row in found] == [(2, False), (3, True), (4, True), (5, True)]
    assert "3 lines were read as one" in str(found[0][-1])


@pytest.mark.parametrize(
    "desc", ["one, two\nthree, four, five, six", "a,b,c,d\ne,f,g,h", "see a1Lamp00002\nwifi,led", "x\n\n,,,\ny"]
)
def test_description_of_several_lines_with_commas_stays_one(read: Read, desc: str) -> None:
    assert read(f'{HEADER}a1Lamp00001,lcd,,"{desc}"\na1Lamp00002,wifi,,x\n')[0][4] == desc


@pytest.mark.parametrize(
    ("row", "desc"),
    [
        ('a1, wifi, W, "ceiling lamp"', "ceiling lamp"),
        ('a1, wifi, ,  "ceiling,\nlamp ""x"""', 'ceiling,\nlamp "x"'),
        ('a1,wifi,W,"""quoted"""', '"quoted"'),
        ('a1,wifi,W,"x, ""y"""', 'x, "y"'),
        ('a1,wifi,W," ""y"""', '"y"'),
    ],
)
def test_quotes_after_a_space_are_quotes_and_those_of_a_text_its_own(read: Read, row: str, desc: str) -> None:
    found = read(f"{HEADER}{row}\n")

    assert (found[0][4], found[0][-1]) == (desc, None)


def test_space_before_a_quote_is_seen_in_a_block_of_good_rows(read: Read) -> None:
    found = read(HEADER + "a1,m,W,x\n" * 60 + 'a1,m,W, "x"\n')

    assert {row[4] for row in found} == {"x"}


def test_quote_behind_a_backslash_is_invalid_with_the_cause(read: Read) -> None:
    found = read(HEADER + 'a1,lcd,,"7\\" panel"\na1,led,,ok\n')

    assert "has a quote behind a backslash: write quotes twice instead" in str(found[0][-1])
    assert found[1][-1] is None


@pytest.mark.parametrize("row", ["a1,wifi", "a1,wifi,W"])
def test_row_may_lack_optional_cells_at_its_end(read: Read, row: str) -> None:
    assert read(f"ProductKey,ModuleName,AliasName,Desc,owner\n{row}\n")[0][1:3] == ("a1", "wifi")


def test_row_that_lacks_cells_at_the_end_of_a_cut_file_is_invalid(read: Read) -> None:
    assert "is the file cut off?" in str(read(HEADER + "a1,wifi,W,x\na1,wi")[1][-1])


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\x1a\x1a"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("m.csv", HEADER + "a1,wifi,W,x"), ("m.jsonl", '{"ProductKey":"a1","ModuleName":"wifi","Desc":"x"}')],
)
def test_ctrl_z_at_the_end_is_no_text(read: Read, name: str, content: str, end: str) -> None:
    found = read(content + end, name=name)

    assert [(row[4], row[-1]) for row in found] == [("x", None)]
