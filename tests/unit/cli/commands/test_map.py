"""`bulk map` as a command: which products it leaves to you, and how it says so."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def write_export(rows: Iterable[tuple[str, ...]], *columns: str) -> None:
    with Path("e.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns or ("ProductKey", "ModuleName", "ProductName"), *rows])


def test_every_product_with_its_target_is_exit_0(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()
    box.console().add_product("p1Lamp00001", product_name="Lamp")
    write_export([("a1Lamp00001", "m", "Lamp")])

    assert main(["map", "e.csv", "-o", "map.csv"]) == 0

    said = capsys.readouterr()
    assert said.out == "1 product in map.csv\n"
    assert "p1Lamp00001" in Path("map.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(("count", "more"), [(20, []), (23, ["and 3 more"])])
def test_products_without_a_target_are_named_with_the_reason(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], count: int, more: list[str]
) -> None:
    make_platform().console().add_product("p1Lamp00001", product_name="Lamp")
    write_export([("a1Lamp00001", "m", "Lamp"), *((f"a1Fan{number:06}", "m", "Fan") for number in range(count))])

    assert main(["map", "e.csv", "-o", "map.csv"]) == 1

    said = capsys.readouterr()
    named = [line for line in said.err.splitlines() if line.startswith("a1Fan")]
    assert len(named) == 20
    assert named[0].startswith("a1Fan000000 (Fan): ")
    assert [line for line in said.err.splitlines() if line.startswith("and ")] == more
    assert said.out == (
        f"{count + 1} products in map.csv; {count} open: write their TargetProductKey, or take out their lines\n"
    )


def test_json_lists_the_open_products(make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    make_platform().console().add_product("p1Lamp00001", product_name="Lamp")
    write_export([("a1Lamp00001", "m", "Lamp"), ("a1Fan000001", "m", "")])

    assert main(["map", "e.csv", "-o", "map.csv", "--json"]) == 1

    printed = capsys.readouterr()
    said = json.loads(printed.out)
    assert (said["products"], said["mapped"], said["output"], said["exit_code"]) == (2, 1, "map.csv", 1)
    assert [each["product_key"] for each in said["open"]] == ["a1Fan000001"]
    # A product without a name is named by its key alone.
    assert f"a1Fan000001: {said['open'][0]['reason']}" in printed.err


def test_open_product_is_named_with_the_account_it_comes_from(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform()
    write_export([("cn", "a1Fan000001", "m", "Fan")], "Account", "ProductKey", "ModuleName", "ProductName")

    assert main(["map", "e.csv", "-o", "map.csv"]) == 1

    assert "account cn, a1Fan000001 (Fan): " in capsys.readouterr().err


@pytest.mark.parametrize(("output", "words"), [("e.csv", "e.csv is an input"), ("map.csv", "map.csv")])
def test_file_that_is_there_is_never_written_over(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], output: str, words: str
) -> None:
    box = make_platform()
    write_export([("a1Lamp00001", "m", "Lamp")])
    Path("map.csv").write_text("mine", encoding="utf-8")
    before = Path(output).read_bytes()

    assert main(["map", "e.csv", "-o", output]) == 2

    assert words in capsys.readouterr().err
    assert Path(output).read_bytes() == before
    assert not box.seen
