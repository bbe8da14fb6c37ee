"""`bulk check` as a command: what it shows of a comparison, and what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable


def write(name: str, *rows: str) -> None:
    Path(name).write_text("\n".join(("ProductKey,ModuleName,AliasName", *rows, "")), encoding="utf-8")


def test_each_difference_is_shown_with_its_line_and_its_reason(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Lamp00001", "same", "x"), ("a1Lamp00001", "other", "y"), ("a1Lamp00001", "extra")])
    write("a.csv", "a1Lamp00001,same,x", "a1Lamp00001,other,z", "a1Lamp00001,gone,", "a1Lamp00001,not one,")

    exit_code = main(["check", "a.csv", "--surplus"])

    summary, *findings = capsys.readouterr().out.splitlines()
    assert exit_code == 1
    assert summary.startswith("4 rows of a.csv against https://platform-1.example (alibaba): 1 equal, ")
    assert findings[:2] == [
        "  different: line 3, a1Lamp00001 other: AliasName: wanted 'z', found 'y'",
        "  missing: line 4, a1Lamp00001 gone: not there",
    ]
    assert findings[2].startswith("  unread: line 5, a1Lamp00001 not one: ModuleName ")
    assert findings[3] == "  surplus: a1Lamp00001 extra: on the platform, and no row asks for it"


def test_equal_sides_are_exit_0_and_name_nothing(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Lamp00001", "m")])
    write("a.csv", "a1Lamp00001,m,")

    assert main(["check", "a.csv"]) == 0

    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(("count", "last"), [(20, "line 21"), (25, "  and 5 more; -o FILE writes all of them")])
def test_only_the_first_differences_are_shown_and_the_file_has_all(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], count: int, last: str
) -> None:
    make_platform().fill([("a1Lamp00001",)])
    write("a.csv", *(f"a1Lamp00001,m{number}," for number in range(count)))

    main(["check", "a.csv", "-o", "all.csv"])

    assert last in capsys.readouterr().out.splitlines()[-1]
    assert len(Path("all.csv").read_text(encoding="utf-8").splitlines()) == count + 1


def test_finding_names_its_account(make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    box = make_platform("cn", "eu")
    box.fill([("a1Cn0000001",)], account="cn")
    box.fill([("a1Eu0000001", "m")], account="eu")
    Path("a.csv").write_text("Account,ProductKey,ModuleName\ncn,a1Cn0000001,m\neu,a1Eu0000001,m\n", encoding="utf-8")

    main(["check", "a.csv"])

    assert "  missing: line 2, account cn, a1Cn0000001 m: not there" in capsys.readouterr().out


@pytest.mark.parametrize("output", [None, "found.csv"])
def test_two_files_are_compared_without_a_key_or_a_request(
    make_platform: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str | None,
) -> None:
    box = make_platform()
    for name in ("BULK_ENDPOINT", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name)
    write("a.csv", "a1Lamp00001,m,x", "a1Lamp00001,n,")
    write("b.csv", "a1Lamp00001,m,y", "a1Lamp00001,n,")

    exit_code = main(["check", "a.csv", "b.csv", "--json", *(("-o", output) if output else ())])

    assert exit_code == 1
    assert json.loads(capsys.readouterr().out) == {
        "a": "a.csv",
        "b": "b.csv",
        "rows": 2,
        "equal": 1,
        "missing": 0,
        "different": 1,
        "unread": 0,
        "output": output,
        "exit_code": 1,
    }
    assert not box.seen


@pytest.mark.parametrize("name", ["a.csv", "b.csv", "map.csv"])
def test_differences_are_never_written_over_what_is_compared(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    box = make_platform()
    for each in ("a.csv", "b.csv", "map.csv"):
        write(each, "a1Lamp00001,m,")
    before = Path(name).read_bytes()

    assert main(["check", "a.csv", "b.csv", "--product-map", "map.csv", "-o", name]) == 2

    assert f"{name} is an input" in capsys.readouterr().err
    assert Path(name).read_bytes() == before
    assert not box.seen


def test_product_that_can_not_be_listed_is_unread_not_missing(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform(products=frozenset({"a1Lamp00001"})).fill([("a1Lamp00001", "m")])
    write("a.csv", "a1Lamp00001,m,", "a1Gone00001,m,")

    assert main(["check", "a.csv", "--json"]) == 1

    said = json.loads(capsys.readouterr().out)
    assert (said["equal"], said["missing"], said["unread"]) == (1, 0, 1)
