from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.engine.planned import Plan
from bulk.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.engine.stop import StopSignal
    from bulk.model import Summary


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Engine:
    """Stands in for the engine: remembers what it was asked to do, in order."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.asked: list[str] = []
        self.stops_with: int | None = None

    async def run(self, *_: object, **_asked: object) -> Summary:
        self.asked.append("run")
        return self.summary

    async def plan(self, source: str, *_: object, stop: StopSignal, **_asked: object) -> Plan:
        self.asked.append("plan")
        if self.stops_with is not None:
            stop.request("stopped", exit_code=self.stops_with)
        outcomes = dict.fromkeys(Outcome, 0) | {"created": 3}
        return Plan(
            input=source,
            ledger="l.db",
            target="sandbox",
            offline=False,
            rows=3,
            outcomes=outcomes,
            requests={"list": 1, "create": 3},
            seconds=0.3,
            would_create=3,
            stopped=stop.reason,
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, make_summary: Callable[..., Summary]) -> Engine:
    stand_in = Engine(make_summary())
    monkeypatch.setattr("bulk.engine.run.run", stand_in.run)
    monkeypatch.setattr("bulk.cli.screens.confirmation.plan", stand_in.plan)
    return stand_in


RUN = ("run", "in.csv", "--sandbox", "--plan")


@pytest.mark.parametrize(
    ("answer", "asked", "exit_code"), [("y\n", ["plan", "run"], 0), ("n\n", ["plan"], 130), ("\n", ["plan"], 130)]
)
def test_run_goes_on_only_after_a_yes(
    engine: Engine,
    answer: str,
    asked: list[str],
    exit_code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))

    assert main(RUN) == exit_code

    printed = capsys.readouterr()
    assert engine.asked == asked
    assert "Plan for in.csv: 3 rows, listed at sandbox" in printed.err
    assert ("Nothing was created." in printed.err) == (exit_code == 130)
    assert "Error" not in printed.err
    assert "Plan for" not in printed.out


def test_end_of_the_terminal_is_no_yes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))

    assert main(RUN) == 130

    assert engine.asked == ["plan"]


def test_scheduler_says_yes_ahead(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert main([*RUN, "--yes"]) == 0

    assert engine.asked == ["plan", "run"]
    assert "  3  to create    would be created" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"), [(RUN, "add --yes"), (("run", "-", *RUN[2:], "--yes"), "instead of stdin")]
)
def test_plan_that_cannot_be_confirmed_is_exit_2_before_anything_is_asked(
    engine: Engine,
    arguments: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())

    assert main(arguments) == 2

    assert engine.asked == []
    assert says in capsys.readouterr().err


def test_plan_cut_short_is_not_carried_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    engine.stops_with = 3

    assert main(RUN) == 3

    assert engine.asked == ["plan"]
    assert "Nothing was created: the plan is incomplete." in capsys.readouterr().err


def test_summary_says_what_was_left_and_how_to_go_on(
    engine: Engine, make_summary: Callable[..., Summary], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.summary = make_summary(outcomes={"created": 1, "pending": 9}, exit_code=1)

    main(["run", "in.csv", "--sandbox", "--limit", "1", "--only", "a1*"])

    printed = capsys.readouterr().out.splitlines()
    assert "  9  pending      not tried: outside --limit 1 --only a1*" in printed
    assert printed[-1].startswith("Go on with: ")
    assert printed[-1].endswith(" run in.csv --sandbox")
