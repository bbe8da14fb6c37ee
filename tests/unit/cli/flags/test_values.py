from __future__ import annotations

import io
from typing import TYPE_CHECKING

import click
import pytest

from bulk.cli.app import main
from bulk.cli.flags.values import (
    read_columns,
    read_delimiter,
    read_duration,
    read_failure_cap,
    read_interval,
    read_outcomes,
)
from bulk.model import Outcome
from bulk.settings import FailureCap

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = click.Command("run")
MAP = click.Option(["--map"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172_800), ("45", 45), ("0.5s", 0.5), ("1.5h", 5400)],
)
def test_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1h30", "-5s", "5 m", "h", "1w"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 90s, 30m or 1h30m"):
        read_duration(text)


def test_failure_cap_is_rows_or_a_share() -> None:
    assert read_failure_cap("50") == FailureCap(rows=50)
    assert read_failure_cap("2%") == FailureCap(percent=2.0)


def test_failure_cap_that_is_neither_is_a_usage_error() -> None:
    with pytest.raises(click.BadParameter, match="neither a number of rows"):
        read_failure_cap("many")


def test_columns_are_divided_at_the_first_equals_sign() -> None:
    columns = read_columns(click.Context(COMMAND), MAP, ["ProductKey=a=b", " Desc = note "])

    assert columns == {"ProductKey": "a=b", "Desc": " note "}


@pytest.mark.parametrize("text", ["ProductKey", "=pk", ""])
def test_column_without_both_sides_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not FIELD=COLUMN"):
        read_columns(click.Context(COMMAND), MAP, [text])


def test_empty_column_is_kept_as_none() -> None:
    assert read_columns(click.Context(COMMAND), MAP, ["Desc="]) == {"Desc": ""}


def test_field_with_two_columns_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="two columns, 'a' and 'b'"):
        read_columns(click.Context(COMMAND), MAP, ["Desc=a", "Desc=b"])


@pytest.mark.parametrize(
    ("text", "character"),
    [("tab", "\t"), ("TAB", "\t"), ("\\t", "\t"), ("\t", "\t"), (";", ";"), ("|", "|")],
)
def test_delimiter_is_one_character(text: str, character: str) -> None:
    assert read_delimiter(text) == character


@pytest.mark.parametrize("text", ['"', "\n", "\r", "\0"])
def test_delimiter_with_a_meaning_of_its_own_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="can't be a delimiter"):
        read_delimiter(text)


@pytest.mark.parametrize("text", ["", ";;", "comma"])
def test_longer_delimiter_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="not one character"):
        read_delimiter(text)


def test_outcomes_may_be_spelled_with_hyphens_and_capitals() -> None:
    assert read_outcomes("Failed, over-budget") == {Outcome.FAILED, Outcome.OVER_BUDGET}


@pytest.mark.parametrize("text", ["failed,lost", ",", ""])
def test_unknown_outcome_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(click.BadParameter, match="there are pending, sending, created"):
        read_outcomes(text)


@pytest.mark.parametrize(("text", "seconds"), [("0.1", 0.1), ("2", 2.0), ("86400", 86_400.0)])
def test_interval_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert read_interval(text) == seconds


@pytest.mark.parametrize("text", ["nan", "inf", "0.01", "-1", "1e300", "soon", ""])
def test_interval_that_nobody_can_wait_for_is_refused_with_its_bounds(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"from 0\.1 to 86,400"):
        read_interval(text)


class Terminal(io.TextIOWrapper):
    """Stdin of somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "count"), [(Terminal, 1), (io.TextIOWrapper, 0)])
def test_only_a_terminal_is_told_how_to_end_its_rows(
    kind: type[io.TextIOWrapper],
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", kind(io.BytesIO(b"ProductKey,ModuleName\npk1,m\n")))

    main(
        ["plan", "-", "--offline", "--format", "csv", "--ledger", "l.db", "--endpoint", "https://h.tuyacloud.com:8686/"]
    )

    assert capsys.readouterr().err.count("Ctrl-D on a line of its own ends them") == count
