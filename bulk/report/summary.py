"""Say on one screen how a run ended: what became of the rows, why some are not provisioned, and how to go on."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.model import PROVISIONED_OUTCOMES, REASONED_OUTCOMES, Action, Outcome
from bulk.model.inputs import WORKBOOK_SUFFIXES, has_no_place
from bulk.report.accounts import FOLDED, Gravity, account_line, account_table
from bulk.report.remedies import remedy
from bulk.report.tones import Tone, plain, tone_of
from bulk.report.wording import MEANINGS, cut, outcome_words, spell_count, spell_duration, wrapped
from bulk.shell import shell_join, shell_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.model import Reason, Summary
    from bulk.report.tones import Paint

__all__ = [
    "Count",
    "count_lines",
    "outcome_lines",
    "reason_lines",
    "restore_command",
    "retry_command",
    "stopped_accounts",
    "summary_lines",
    "undo_command",
]

_SCREEN_LINES = 23
"""A terminal of 24 lines, less the prompt."""

_KIND_COLUMNS = 11
_FEWEST_REASONS = 1
_ROOMY_LINES = 10
"""With less room than this for all reasons, an example gets one line instead of two."""

_TIGHT_LINES = 5
"""With less room than this, what to do about it gets one line too."""

_ACCOUNT_LINES = 16
"""Lines for accounts; with the rest, a screen with accounts may be longer than one without."""

_FOR_A_RETRY = REASONED_OUTCOMES - {Outcome.WITHHELD}
"""Rows that a file of their own helps with; those that wait for a person need an approval."""

_HARD_SPACE = "\u00a0"


def summary_lines(
    summary: Summary,
    *,
    width: int = 80,
    paint: Paint = plain,
    program: Sequence[str] = ("bulk",),
    pending: str | None = None,
    input_format: str | None = None,
    resume: str | None = None,
    resume_accounts: str | None = None,
    changed: Sequence[str] = (),
) -> list[str]:
    """Return the screen that ends a run, or the part of a sync's screen that a run's has too.

    Args:
        summary: How the run ended.
        width: Columns of the terminal; commands are never broken, so that they can be copied.
        paint: How to colour.
        program: What starts `bulk` here.
        pending: What `pending` means here, where a run was told to leave some rows.
        input_format: ``csv``, ``tsv`` or ``jsonl``, where it is known.
        resume: The command that goes on; ``None``: nothing is left to do.
        resume_accounts: The command that goes on with those accounts alone that stopped; ``None``: none is needed.
        changed: Lines below the first: what a sync changed.
    """
    meanings = MEANINGS if pending is None or summary.stopped else {**MEANINGS, Outcome.PENDING: pending}
    outcomes = outcome_lines(summary.outcomes, width=width, paint=paint, meanings=meanings)
    head = [*_title(summary, width, paint), *changed, "", *outcomes, *_accounts(summary, width, paint, pending)]
    commands = [
        line
        for label, command in _ways_on(summary, program, input_format, resume, resume_accounts)
        for line in _command(paint, label, command, width)
    ]
    foot = ["", *_effort(summary, width), *commands]
    room = _SCREEN_LINES - len(head) - len(foot) - 2
    # What is withheld has a place of its own on a sync's screen, with the command that approves it.
    told = [reason for reason in summary.reasons if reason.outcome is not Outcome.WITHHELD or summary.changes is None]
    reasons = reason_lines(told, width=width, room=room)
    if reasons:
        head += ["", paint("Why rows are not provisioned", Tone.HEADING), *reasons]
    return head + foot


def outcome_lines(
    outcomes: Mapping[str, int],
    *,
    width: int,
    paint: Paint = plain,
    meanings: Mapping[Outcome, str] = MEANINGS,
) -> list[str]:
    """Return one line an outcome that has rows: its count, its name, what it means.

    Args:
        outcomes: Outcome → rows.
        width: Columns of the terminal.
        paint: How to colour.
        meanings: What each outcome means.
    """
    counts = [
        Count(outcomes[outcome], outcome_words(outcome), meanings[outcome], tone_of(outcome))
        for outcome in MEANINGS
        if outcomes.get(outcome)
    ]
    return count_lines(counts, width=width, paint=paint)


@dataclass(frozen=True, slots=True)
class Count:
    """So many rows of a kind."""

    rows: int
    kind: str
    meaning: str
    tone: Tone


def count_lines(counts: Sequence[Count], *, width: int, paint: Paint = plain) -> list[str]:
    """Return one line a kind, the figures below each other.

    Args:
        counts: What there is.
        width: Columns of the terminal.
        paint: How to colour.
    """
    digits = max((len(f"{count.rows:,}") for count in counts), default=0)
    lines = []
    for count in counts:
        kind = paint(f"{count.kind:<{_KIND_COLUMNS}}", count.tone)
        meaning = cut(count.meaning, width - digits - _KIND_COLUMNS - 6)
        lines.append(f"  {count.rows:>{digits},}  {kind}  {meaning}".rstrip())
    return lines or ["  no rows"]


def reason_lines(reasons: Sequence[Reason], *, width: int, room: int, all_by: str = "bulk status") -> list[str]:
    """Return the most frequent reasons, each with an example and what to do, in no more lines than there is room for.

    Args:
        reasons: Most frequent first.
        width: Columns of the terminal.
        room: Lines that may be used; the first reason is shown whatever it is.
        all_by: The command that shows those for which there is no room.
    """
    lines: list[str] = []
    example_lines, remedy_lines = (2 if room >= enough else 1 for enough in (_ROOMY_LINES, _TIGHT_LINES))
    for number, reason in enumerate(reasons):
        block = _reason(reason, width, example_lines=example_lines, remedy_lines=remedy_lines)
        over_full = len(lines) + len(block) + (number + 1 < len(reasons)) > room
        if over_full and number >= _FEWEST_REASONS:
            lines.append(f"  and {spell_count(len(reasons) - number, 'more reason')}: see `{all_by}`")
            break
        lines += block
    return lines


def retry_command(
    ledger: str, input_name: str, *, program: Sequence[str] = ("bulk",), input_format: str | None = None
) -> str:
    """Return the command that writes the rows not provisioned into a file of their own.

    Args:
        ledger: The ledger's path.
        input_name: The input's path; ``-`` for stdin.
        program: What starts `bulk` here.
        input_format: ``csv``, ``tsv``, ``jsonl`` or ``xlsx``; stdin has no name that would tell it.
    """
    path = PurePath(input_name) if not has_no_place(input_name) else _name_for_stdin(ledger, input_format)
    name = path.name.removesuffix(".gz")
    stem, dot, suffix = name.rpartition(".")
    if f"{dot}{suffix}".lower() in WORKBOOK_SUFFIXES:
        suffix = "csv"  # as which rows of a workbook are written
    retry = path.with_name(f"{stem}.retry.{suffix}" if dot and stem else f"{name}.retry")
    return f"{shell_join(program)} results {shell_path(ledger)} --retry-file {shell_path(str(retry))}"


def restore_command(undo_file: str, run_id: str, *, program: Sequence[str] = ("bulk",)) -> str:
    """Return the command that restores what an undo file has, without --prune.

    Its ledger is its own, and that of no other undo file: a ledger takes the next file for another job's. There is no
    limit to its updates: you asked for each of them.
    """
    of_run = "" if run_id[:8] in PurePath(undo_file).name else f".{run_id[:8]}"
    ledger = shell_path(f"{undo_file}{of_run}.ledger.db")
    return f"{shell_join(program)} sync {shell_path(undo_file)} --ledger {ledger} --max-updates 100%"


def undo_command(ledger: str, *, program: Sequence[str] = ("bulk",)) -> str:
    """Return the command that writes the input that restores what the last changing run replaced."""
    return f"{shell_join(program)} results {shell_path(ledger)} --undo-file {shell_path(f'{ledger}.undo.csv')}"


def _name_for_stdin(ledger: str, input_format: str | None) -> PurePath:
    """Return what the input might have been called: as the ledger, with the ending that tells its format."""
    path = PurePath(re.sub(r"(?<=[^/])(\.(ledger|sandbox))?\.db$", "", ledger))
    named = input_format is None or path.suffix == f".{input_format}"
    return path if named else path.with_name(f"{path.name}.{input_format}")


def stopped_accounts(summary: Summary) -> list[str]:
    """Return the accounts that stopped for a reason of their own, not for that of the whole run."""
    return [name for name, account in summary.accounts.items() if account.stopped not in (None, summary.stopped)]


def _stopped_as_a_whole(summary: Summary) -> bool:
    return not summary.accounts or any(account.stopped == summary.stopped for account in summary.accounts.values())


def _accounts(summary: Summary, width: int, paint: Paint, pending: str | None) -> list[str]:
    if not summary.accounts:
        return []
    # Where the whole run stopped, its first line says why: once is enough.
    alone = stopped_accounts(summary)
    lines = [
        account_line(
            name,
            account.outcomes,
            exit_code=account.exit_code,
            stopped=account.stopped if name in alone else None,
            open_note=None if summary.stopped else pending,
        )
        for name, account in summary.accounts.items()
    ]
    all_by = f"bulk status {shell_path(summary.ledger)} --json"
    table = account_table(
        lines,
        ("exit", "provisioned"),
        width=width,
        room=_ACCOUNT_LINES,
        all_by=all_by,
        nameless=summary.rows - sum(sum(account.outcomes.values()) for account in summary.accounts.values()),
        paint=paint,
        folded=FOLDED if pending is None or summary.stopped else {**FOLDED, Gravity.OPEN: pending},
    )
    return ["", *table]


def _title(summary: Summary, width: int, paint: Paint) -> list[str]:
    done = sum(summary.outcomes.get(outcome, 0) for outcome in PROVISIONED_OUTCOMES)
    share = f"{done:,} of {spell_count(summary.rows, 'row')} provisioned, {spell_duration(summary.elapsed_s)}"
    if summary.stopped:
        alone = len(stopped_accounts(summary))
        of_accounts = f"{alone:,} of {spell_count(len(summary.accounts), 'account')}; the others went through"
        why = wrapped(f"Stopped: {summary.stopped if _stopped_as_a_whole(summary) else of_accounts}", width)
        return [*(paint(line, Tone.BAD) for line in why), *wrapped(share, width)]
    tone = Tone.GOOD if summary.exit_code == ExitCode.DONE else Tone.WARNING
    return [paint(line, tone) for line in wrapped(f"Finished: {share}", width)]


def _effort(summary: Summary, width: int) -> Iterator[str]:
    extras = {"retries": summary.retries, "throttled": summary.throttled, "recovered": summary.recovered}
    figures = [*_requests(summary), *(f"{number:,} {name}" for name, number in extras.items() if number)]
    # A figure stays on one line with its noun.
    kept = ", ".join(figure.replace(" ", _HARD_SPACE) for figure in figures)
    yield from (line.replace(_HARD_SPACE, " ") for line in wrapped(f"Requests: {kept}", width))
    if summary.absent and summary.changes is None:
        absent = f"Absent: {spell_count(summary.absent, 'module')} of earlier inputs not in this one"
        yield from wrapped(absent, width)
    yield f"Ledger: {summary.ledger}"


def _requests(summary: Summary) -> Iterator[str]:
    """Yield each action that was sent; of a run listings and creates also where none was."""
    for action in (Action.LIST, *(action for action in Action if action is not Action.LIST)):
        requests = summary.requests.get(action.figure, 0)
        if requests or action is Action.LIST or (action is Action.CREATE and summary.changes is None):
            noun = "list" if action is Action.LIST else action.noun
            rate = f" ({requests / summary.elapsed_s:.1f}/s)" if requests and summary.elapsed_s else ""
            yield spell_count(requests, noun) + (rate if action is Action.CREATE else "")


def _ways_on(
    summary: Summary,
    program: Sequence[str],
    input_format: str | None,
    resume: str | None,
    resume_accounts: str | None,
) -> Iterator[tuple[str, str]]:
    if resume:
        yield "Go on with:", resume
    if resume_accounts:
        yield "Once fixed, only what stopped:", resume_accounts
    if summary.undo:
        yield "To undo its changes:", restore_command(summary.undo, summary.run_id, program=program)
    if any(summary.outcomes.get(outcome) for outcome in _FOR_A_RETRY):
        command = retry_command(summary.ledger, summary.input, program=program, input_format=input_format)
        yield "Rows not provisioned:", command


def _command(paint: Paint, label: str, command: str, width: int) -> list[str]:
    """Show a command on one line, so that it can be copied whole."""
    heading = paint(label, Tone.HEADING)
    return [f"{heading} {command}"] if len(label) + 1 + len(command) <= width else [heading, f"  {command}"]


def _reason(reason: Reason, width: int, *, example_lines: int, remedy_lines: int) -> list[str]:
    code = f", {reason.code}" if reason.code else ""
    head = f"  {spell_count(reason.rows, 'row')} {outcome_words(reason.outcome)}{code}"
    of = f" of {reason.example_account}" if reason.example_account else ""
    example = f"line {reason.example_line}{of}: {reason.example_message or 'no message'}"
    to_do = f"to do: {remedy(reason)}"
    return [cut(head, width), *_indented(example, width, example_lines), *_indented(to_do, width, remedy_lines)]


def _indented(text: str, width: int, lines: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent="    ",
        subsequent_indent="      ",
        max_lines=lines,
        placeholder=" …",
        break_on_hyphens=False,
    )
