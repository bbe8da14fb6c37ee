"""`bulk run` as a command, against a platform: the ways on that it prints, and what it says once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def printed_command(screen: str, label: str) -> list[str]:
    (line,) = [line for line in screen.splitlines() if line.startswith(label)]
    return shlex.split(line.partition(label)[2])[1:]


def test_command_for_what_stopped_reaches_only_the_accounts_that_stopped(
    make_platform: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform("cn", "eu")
    box.fill([("a1Cn0000001",)], account="cn")
    box.fill([("a1Eu0000001",)], account="eu")
    Path("m.csv").write_text("Account,ProductKey,ModuleName\ncn,a1Cn0000001,m\neu,a1Eu0000001,m\n", encoding="utf-8")
    right = box.credentials_of("eu").access_key_secret
    monkeypatch.setenv("EU_ACCESS_KEY_SECRET", "another")

    assert main(["run", "m.csv"]) == 3
    again = printed_command(capsys.readouterr().out, "After the fix, only what stopped:")
    monkeypatch.setenv("EU_ACCESS_KEY_SECRET", right)
    before = len(box.seen)
    assert main(again) == 0

    assert again == ["run", "--account", "eu", "m.csv"]
    assert {seen.account for seen in list(box.seen)[before:]} == {"eu"}
    assert box.texts("a1Eu0000001", "eu") == {"m": ("", "")}


def test_remark_about_the_input_is_made_once_where_a_plan_goes_first(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Lamp00001",)])
    Path("m.csv").write_text("ProductKey,ModuleName,Owner\na1Lamp00001,m,me\n", encoding="utf-8")

    assert main(["run", "m.csv", "--plan", "--yes"]) == 0

    said = capsys.readouterr()
    assert (said.out + said.err).count("'Owner'") == 1


def test_remark_about_the_input_is_made_without_a_plan_too(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform().fill([("a1Lamp00001",)])
    Path("m.csv").write_text("ProductKey,ModuleName,Owner\na1Lamp00001,m,me\n", encoding="utf-8")

    main(["run", "m.csv"])

    assert capsys.readouterr().err.count("'Owner'") == 1


def test_metrics_that_can_no_longer_be_written_are_told_and_the_rows_are_done(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()
    box.fill([("a1Lamp00001",)])
    Path("m.csv").write_text("ProductKey,ModuleName\na1Lamp00001,m\n", encoding="utf-8")
    folder = Path("metrics")
    folder.mkdir()
    box.let_in(lambda *_: folder.exists() and folder.rename("away"))

    assert main(["run", "m.csv", "--metrics-file", "metrics/bulk.prom"]) == 0

    assert "metrics.lost" in capsys.readouterr().err
    assert "m" in box.texts("a1Lamp00001")
