from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click
import pytest

from bulk.cli.app import COMMANDS, app, main
from bulk.cli.commands.fleet import FLEET_COMMANDS
from bulk.errors import InputError, LedgerHeldError, LedgerTargetError, NotSentError, SettingsError
from bulk.events import RunStopping
from bulk.model import Summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.settings import Settings

RUN = ("run", "in.csv", "--sandbox")
SECRET = "s3cr3tS3cr3tS3cr3t"
CONTRACT_KEYS = (
    *("run_id", "ledger", "input", "target", "rows", "outcomes", "absent", "requests", "retries", "throttled"),
    *("recovered", "elapsed_s", "exit_code", "stopped", "resume"),
)


class Engine:
    """Stands in for the engine: returns or raises what it is given, and remembers what it was asked."""

    def __init__(self, ending: Summary | BaseException) -> None:
        self.ending = ending
        self.asked: dict[str, Any] = {}
        self.stops_with: int | None = None

    async def run(self, input_name: str, settings: Settings, **asked: Any) -> Summary:
        self.asked = {"input_name": input_name, "settings": settings, **asked}
        asked["listener"](RunStopping("the stand-in stops"))
        if self.stops_with is not None:
            asked["stop"].request("stopped", exit_code=self.stops_with)
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, make_summary: Callable[..., Summary]) -> Engine:
    stand_in = Engine(make_summary())
    monkeypatch.setattr("bulk.engine.run.run", stand_in.run)
    return stand_in


def test_run_prints_the_summary_and_returns_its_exit_code(
    engine: Engine, make_summary: Callable[..., Summary], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.ending = make_summary(outcomes={"created": 2, "failed": 1}, exit_code=1)

    exit_code = main(RUN)

    assert exit_code == 1
    assert capsys.readouterr().out.startswith("Finished: 2 of 3 rows provisioned")


def test_json_run_prints_the_contracts_keys_and_nothing_else(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main([*RUN, "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert exit_code == 0
    assert tuple(printed) == CONTRACT_KEYS
    assert printed["outcomes"]["created"] == 3
    assert engine.asked["input_name"] == "in.csv"


def test_run_is_followed_on_stderr_and_in_the_log(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "run.log"

    main([*RUN, "--log-file", str(log), "--log-format", "json"])

    assert engine.asked["input_name"] == "in.csv"
    assert "Stopping: the stand-in stops" in capsys.readouterr().err
    assert json.loads(log.read_text(encoding="utf-8"))["event"] == "run.stopping"


def test_terminal_gets_colours_unless_told_otherwise(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(RUN)
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(RUN)

    assert engine.asked
    assert "\x1b[32mFinished" in coloured
    assert "\x1b" not in capsys.readouterr().out


def resumed(engine: Engine, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the command that goes on, as it is printed and as the ledger keeps it."""
    main([*arguments, "--json"])
    printed: str = json.loads(capsys.readouterr().out)["resume"]

    assert json.loads(engine.asked["to_json"](engine.ending))["resume"] == printed
    return printed


def test_resume_is_the_command_as_it_was_typed(
    engine: Engine, make_summary: Callable[..., Summary], capsys: pytest.CaptureFixture[str]
) -> None:
    engine.ending = make_summary(exit_code=1)

    resume = resumed(engine, capsys, "run", "my file.csv", "--sandbox", "--map", "Desc=a note")

    assert resume.endswith(" run 'my file.csv' --sandbox --map 'Desc=a note' --json")


@pytest.mark.parametrize(
    ("stops_with", "goes_on"),
    [(130, " run in.csv --sandbox --limit 5 '--only=a1*' --json"), (None, " run in.csv --sandbox --json")],
)
def test_try_that_is_cut_short_goes_on_as_a_try_and_else_as_the_whole_job(
    engine: Engine,
    make_summary: Callable[..., Summary],
    capsys: pytest.CaptureFixture[str],
    stops_with: int | None,
    goes_on: str,
) -> None:
    engine.ending, engine.stops_with = make_summary(exit_code=stops_with or 1), stops_with

    resume = resumed(engine, capsys, "run", "in.csv", "--sandbox", "--limit", "5", "--only=a1*")

    assert resume.endswith(goes_on)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(("typed", "meant"), [(["rn"], "run"), (["fleet", "wrok"], "work"), (["synk"], "sync")])
def test_a_mistyped_command_is_answered_with_the_one_like_it(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*typed, "x"]) == 2
    assert f"No such command '{typed[-1]}'. Did you mean '{meant}'?" in capsys.readouterr().err


def test_nothing_goes_on_after_a_run_that_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    main([*RUN, "--json"])

    assert json.loads(capsys.readouterr().out)["resume"] is None


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (SettingsError("no platform"), 2),
        (InputError("no such file", file="in.csv"), 2),
        (NotSentError("out of reach"), 3),
        (LedgerHeldError("held by run r0"), 4),
        (LedgerTargetError("belongs to another"), 4),
    ],
)
def test_error_is_one_message_and_its_exit_code(
    engine: Engine, error: Exception, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.ending = error

    assert main(RUN) == exit_code

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[1:] == [f"Error: {error}"]


def test_scheduler_reads_json_whatever_happens(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ending = LedgerHeldError("held by run r0")

    main([*RUN, "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert tuple(printed) == CONTRACT_KEYS
    assert (printed["exit_code"], printed["stopped"], printed["outcomes"]) == (4, "held by run r0", {})
    assert printed["requests"] == {"list": 0, "create": 0}


@pytest.mark.parametrize("wrong", [["--qps", "x"], ["--frobnicate"], ["--qps", "-1"], ["--endpoint", "https://h/"]])
def test_flag_that_cannot_be_used_is_exit_2_with_json_if_asked(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main([*RUN, "--json", *wrong])

    printed = capsys.readouterr()
    assert exit_code == 2
    assert json.loads(printed.out)["exit_code"] == 2
    assert wrong[0] in printed.err


def test_unexpected_error_is_called_a_bug_in_one_line(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ending = KeyError("oops")

    exit_code = main(RUN)

    _, line = capsys.readouterr().err.splitlines()
    assert exit_code == 3
    assert line.startswith("Error: KeyError: 'oops' (this is a bug in bulk;")


def test_bug_shows_its_traceback_with_v_but_no_secret(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
    engine.ending = ValueError(f"{SECRET} in https://h/?Signature=abc%3D")

    main([*RUN, "-v"])

    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert SECRET not in printed
    assert "abc%3D" not in printed


def test_bug_names_the_log_that_has_its_traceback(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "run.log"
    engine.ending = ValueError("Signature=abc")

    main([*RUN, "--log-file", str(log)])

    assert f"its traceback is in {log}" in capsys.readouterr().err
    assert "ValueError: Signature=***" in log.read_text(encoding="utf-8")


def test_log_file_that_cannot_be_written_is_exit_2(
    engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main([*RUN, "--log-file", str(tmp_path / "no" / "run.log")])

    assert exit_code == 2
    assert "--log-file" in capsys.readouterr().err
    assert engine.asked == {}


def test_broken_connection_is_no_closed_stdout(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ending = BrokenPipeError("broken")

    assert main([*RUN, "--json"]) == 3

    printed = capsys.readouterr()
    assert "this is a bug in bulk" in printed.err
    assert json.loads(printed.out)["requests"] == {}, "what a bug left behind, only the ledger knows"


def test_interrupt_before_the_loop_is_exit_130(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    engine.ending = KeyboardInterrupt()

    assert main([*RUN, "--json"]) == 130

    assert json.loads(capsys.readouterr().out)["stopped"] == "interrupted by Ctrl-C"


def test_no_command_shows_the_help() -> None:
    assert main([]) == 2


def test_every_command_has_its_line_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0

    assert capsys.readouterr().out.count("Usage: bulk ") == len(COMMANDS)


def test_overview_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])

    overview = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in overview] == []


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_80_columns(name: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"] if name else ["--help"])

    # The sandbox's table of faults is laid out by hand.
    wide = [line for line in capsys.readouterr().out.splitlines() if len(line) > 80 and name != "sandbox"]
    assert wide == []


@pytest.mark.parametrize("name", FLEET_COMMANDS)
def test_help_of_the_commands_of_a_fleet_fits_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", name, "--help"]) == 0

    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


def test_unknown_command_is_a_usage_error() -> None:
    with click.Context(app) as ctx:
        assert app.get_command(ctx, "frobnicate") is None


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["run", "in.csv", "--qps", "x"]])
def test_help_and_mistakes_load_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys; from bulk.cli import main; main(sys.argv[1:])\n"
        "print('LOADED', [m for m in ('aiohttp', 'rich', 'sqlite3', 'structlog', 'asyncio') if m in sys.modules])"
    )

    child = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)

    assert "LOADED []" in child.stdout


@pytest.mark.parametrize(
    ("command", "not_its_own"), [("run", {"changes", "withheld", "surplus", "plan"}), ("sync", set()), ("apply", set())]
)
def test_failure_object_has_every_field_of_a_summary(
    command: str, not_its_own: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([command, str(tmp_path / "none"), "--json", "--sandbox"])

    printed = json.loads(capsys.readouterr().out)
    no_keys = {"reasons", "accounts", "notes", "figures", "undo", "to_accept"}
    of_a_summary = {field.name for field in fields(Summary)} - no_keys | {"resume"}
    assert set(printed) == of_a_summary - not_its_own
    assert printed["exit_code"] == 2


INTERRUPTED_WHILE_LOADING = """
import os, signal, sys
from bulk.cli import main

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.exit(main(["--help"]))
"""


def test_ctrl_c_while_the_program_is_loaded_is_no_traceback() -> None:
    child = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADING], capture_output=True, text=True, timeout=20, check=False
    )

    assert (child.returncode, child.stdout, child.stderr) == (130, "", "")


def test_condition_of_the_machine_is_told_with_its_remedy_and_is_no_bug(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.ending = OSError(28, "No space left on device")

    assert main([*RUN, "--json"]) == 3

    printed = capsys.readouterr()
    assert "make room" in printed.err
    assert "then run the same command again" in printed.err
    assert "bug" not in printed.err
    assert json.loads(printed.out)["stopped"] in printed.err


def test_command_without_a_summary_fails_with_an_object_of_two_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", str(tmp_path / "gone.db"), "--json"]) == 3

    assert set(json.loads(capsys.readouterr().out)) == {"exit_code", "stopped"}


@pytest.mark.parametrize("is_terminal", [False, True])
def test_long_error_is_one_line_in_a_log_and_folded_on_a_terminal(
    *, is_terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)

    assert main(["status", str(tmp_path / "a-ledger-that-is-not-there" / "modules.csv.ledger.db")]) == 3

    lines = capsys.readouterr().err.splitlines()
    assert (len(lines) > 1) is is_terminal
    assert " ".join(line.strip() for line in lines).startswith("Error: ")
