"""`bulk export` as a command: what it names, what it leaves out, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable

READS = {"ListOTAModuleByProduct", "QueryProduct", "QueryProductList"}


def test_modules_and_products_are_counted_and_the_manifest_is_named(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()
    box.fill([("a1Own000001", "m"), ("a1Own000001", "n"), ("a1Own000002", "m"), ("a1Empty0001",)])

    exit_code = main(["export", "-o", "o.csv"])

    said = capsys.readouterr()
    assert exit_code == 0
    assert said.out == "3 modules of 3 products in o.csv; manifest in o.csv.manifest.json\n"
    assert "can't be read" not in said.err
    assert "distributed" not in said.err
    assert set(box.actions()) <= READS


def test_json_is_one_object_with_the_files_that_were_written(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Own000001", "m")])

    main(["export", "-o", "o.csv", "--json"])

    said = json.loads(capsys.readouterr().out)
    assert (said["output"], said["manifest"], said["exit_code"]) == ("o.csv", "o.csv.manifest.json", 0)
    assert (said["rows"], said["products"]) == (1, 1)


@pytest.mark.parametrize(
    ("count", "named_last"), [(1, ": a1Dist00000"), (20, "a1Dist00019"), (23, "a1Dist00019 and 3 more")]
)
def test_distributed_products_are_named_and_left_out(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], count: int, named_last: str
) -> None:
    box = make_platform()
    box.fill([("a1Own000001", "m")])
    for number in range(count):
        box.console().add_product(f"a1Dist{number:05}", is_owned=False)

    main(["export", "-o", "o.csv"])

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "distributed to this one" in line]
    assert line.startswith(f"{count} product{'s' if count > 1 else ''} of another account")
    assert "left out; --distributed exports them too" in line
    assert line.endswith(named_last)


def test_distributed_products_are_exported_where_you_ask_for_them(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()
    box.console().add_product("a1Dist00001", is_owned=False)
    box.console().create("a1Dist00001", "m")

    main(["export", "-o", "o.csv", "--distributed"])

    assert "distributed to this one, exported all the same: a1Dist00001" in capsys.readouterr().err
    assert "a1Dist00001,m," in Path("o.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(("count", "more"), [(20, None), (22, "  and 2 more; the manifest names")])
def test_rows_that_a_run_would_read_otherwise_are_named(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], count: int, more: str | None
) -> None:
    make_platform().fill((f"a1P{number:08}", "padded", " x") for number in range(count))

    main(["export", "-o", "o.csv"])

    said = capsys.readouterr().err.splitlines()
    first = next(
        number for number, line in enumerate(said) if "can't be read by a run as the platform has them" in line
    )
    assert said[first].startswith(f"{count} rows of o.csv")
    assert said[first + 1] == "  a1P00000000 padded: AliasName is ' x', and a run reads 'x'"
    assert len([line for line in said if "padded: AliasName" in line]) == 20
    assert [line[: len(more or "")] for line in said if "the manifest names" in line] == ([more] if more else [])


def test_accounts_are_named_with_what_is_odd_about_theirs(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform("cn", "eu")
    box.fill([("a1Cn0000001", "padded", " x")], account="cn")
    box.fill([("a1Eu0000001", "m")], account="eu")
    box.console("eu").add_product("a1Dist00001", is_owned=False)

    exit_code = main(["export", "-o", "o.csv"])

    said = capsys.readouterr().err.splitlines()
    with Path("o.csv").open(encoding="utf-8", newline="") as written:
        owners = [row["Account"] for row in csv.DictReader(written)]
    assert (exit_code, owners) == (0, ["cn", "eu"])
    assert "  account cn, a1Cn0000001 padded: AliasName is ' x', and a run reads 'x'" in said
    assert [line.partition(",")[0] for line in said if "distributed to" in line] == [
        "Account eu: 1 product of another account"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "o.csv", "--excel-safe"), "--excel-safe changes cells"),
        (("-o", "p.csv", "--products", "p.csv"), "p.csv is an input"),
        (("-o", "o.csv", "--products", "o.csv.manifest.json"), "o.csv.manifest.json is an input"),
        (("-o", "o.txt"), "end it in .csv, .jsonl or .ndjson"),
    ],
)
def test_what_would_harm_a_file_is_refused_before_anything_is_asked(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    box = make_platform()
    before = "ProductKey\na1Own000001\n"
    for name in ("p.csv", "o.csv.manifest.json"):
        Path(name).write_text(before, encoding="utf-8")

    assert main(["export", *arguments]) == 2

    assert words in capsys.readouterr().err
    assert not box.seen
    assert {path.name: path.read_text(encoding="utf-8") for path in Path().iterdir()} == {
        "p.csv": before,
        "o.csv.manifest.json": before,
    }


def test_products_of_a_file_are_exported_alone(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Own000001", "m"), ("a1Own000002", "m")])
    Path("p.csv").write_text("ProductKey\na1Own000002\n", encoding="utf-8")

    assert main(["export", "-o", "o.csv", "--products", "p.csv"]) == 0

    assert capsys.readouterr().out.startswith("1 module of 1 product in o.csv")
