"""The command `bulk` itself: run one command, and turn every way it can end into one message and an exit code."""

from __future__ import annotations

import io
import sys
import traceback
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from bulk.cli.help import LazyGroup
from bulk.cli.invocation import Invocation
from bulk.cli.output import print_json, screen_width, tell
from bulk.cli.streams import ended_in_time, standard_streams
from bulk.conditions import condition_of
from bulk.distribution import DISTRIBUTION
from bulk.errors import BulkError
from bulk.exits import ExitCode
from bulk.model import NOT_IN_JSON, ONLY_OF_A_SYNC, Summary
from bulk.redaction import masked
from bulk.report.wording import folded

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = MappingProxyType(
    {
        "run": "Create the modules that a file lists, or continue an earlier run.",
        "plan": "Show what run or sync would do; change nothing.",
        "sync": "Make the platform match a file: create, update, delete.",
        "apply": "Carry out what a sync withheld and you approve.",
        "status": "Show how far a job is, also while it runs.",
        "expand": "Write an input: every product of one file with every module of another.",
        "export": "Write an input: the modules that products have on the platform.",
        "map": "Find each exported product's counterpart on another platform.",
        "check": "Compare a file with the platform, or with another file.",
        "results": "Write each row's result, or the rows to try again.",
        "report": "Write one page about a ledger, to read in a browser or print.",
        "fleet": "Share one input among many machines, by a folder or bucket.",
        "doctor": "Test what a run needs, and say what is wrong.",
        "settings": "Show each setting, and where it comes from.",
        "sandbox": "Serve a simulated platform to rehearse against.",
        "completion": "Print the script that lets a shell complete commands and options.",
    }
)
"""Command → its line in the overview."""

_NOTHING_SENT = frozenset({ExitCode.UNUSABLE, ExitCode.REFUSED})
"""Exit codes of a run that ended before it sent anything."""

_NOT_OF_A_FAILURE = NOT_IN_JSON | {"accounts"}
"""Parts of a summary that are not keys of its JSON, or that exist only once work on an account began."""

_ENDING_IN_A_SUMMARY = {
    "run": (ONLY_OF_A_SYNC, ("list", "create")),
    "sync": (frozenset[str](), ("list", "create", "update", "delete")),
    "apply": (frozenset[str](), ("list", "create", "update", "delete")),
}
"""Command → the summary's keys that it does not have, and the figures of the actions that it may send."""

_BUG = "this is a bug in bulk; what the ledger recorded is safe"


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Try it without an account:  bulk run samples/modules.csv --sandbox",
)
@click.version_option(package_name=DISTRIBUTION, message="%(prog)s %(version)s")
def app() -> None:
    """Make the OTA modules of thousands of IoT products match one CSV or JSONL file.

    bulk keeps to each account's rate limit and to ten modules for each product. The ledger, a file beside the input,
    records every row's result. So the same command, given again, goes on where a run stopped.
    """


@dataclass(frozen=True, slots=True)
class _Ending:
    """What a command that could not go on says, and the code it exits with."""

    exit_code: int
    message: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: Without the program's name; ``None``: those of this process.
    """
    with standard_streams():
        return _main(Invocation.here(arguments))


def _main(invocation: Invocation) -> int:
    try:
        exit_code = app.main(list(invocation.arguments), prog_name="bulk", standalone_mode=False, obj=invocation)
    except click.ClickException as exc:
        _show(exc)
        ending = _Ending(exc.exit_code, exc.format_message())
    except BulkError as exc:
        ending = _Ending(exc.exit_code, str(exc))
        _complain(ending.message)
    except (click.Abort, KeyboardInterrupt):
        ending = _Ending(ExitCode.INTERRUPTED, "interrupted by Ctrl-C")
        _complain(ending.message)
    except Exception as exc:  # noqa: BLE001 - the last place that can say it in words
        ending = _unexpected(exc, invocation)
    else:
        return exit_code or ExitCode.DONE
    if invocation.wants_json:
        with ended_in_time(ending.exit_code):
            print_json(_failure(ending, invocation))
    return ending.exit_code


def _unexpected(exc: Exception, invocation: Invocation) -> _Ending:
    """Tell a problem of the machine, such as a full disk, from a bug."""
    said = condition_of(exc)
    if said is None:
        return _bug(exc, invocation)
    ending = _Ending(ExitCode.STOPPED, f"{said}; then run the same command again")
    _complain(ending.message)
    return ending


def _bug(exc: Exception, invocation: Invocation) -> _Ending:
    # Both may show a secret that a library put into its message. Locals are never shown.
    notes = "; ".join([_BUG, *getattr(exc, "__notes__", ())])
    ending = _Ending(ExitCode.STOPPED, masked(f"{type(exc).__name__}: {exc} ({notes})", invocation.secrets))
    _complain(ending.message)
    if invocation.is_verbose:
        tell(masked("".join(traceback.format_exception(exc)).rstrip(), invocation.secrets))
    return ending


def _show(exc: click.ClickException) -> None:
    said = io.StringIO()
    exc.show(said)
    _say(said.getvalue().rstrip())


def _complain(message: str) -> None:
    _say(f"Error: {message}")


def _say(message: str) -> None:
    """Print a message: whole in a file or a pipe, and on a terminal without a line break inside a word."""
    tell(folded(message, screen_width()) if sys.stderr.isatty() else message)


def _failure(ending: _Ending, invocation: Invocation) -> dict[str, object]:
    """Return the JSON object for a scheduler when a command failed before it had a summary."""
    known = {"exit_code": ending.exit_code, "stopped": ending.message}
    if invocation.command not in _ENDING_IN_A_SUMMARY:
        return known
    others, actions = _ENDING_IN_A_SUMMARY[invocation.command]
    not_told = _NOT_OF_A_FAILURE | others
    nothing = {field.name: None for field in fields(Summary) if field.name not in not_told} | {"resume": None}
    requests = dict.fromkeys(actions, 0) if ending.exit_code in _NOTHING_SENT else {}
    return nothing | {"outcomes": {}, "requests": requests} | known
