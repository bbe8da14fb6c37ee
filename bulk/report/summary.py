"""Show on one screen how a run ended: the results, why some rows are not provisioned, and how to go on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.ledger.undo_names import ledger_of_undo, undo_file_of
from bulk.model import OPEN_OUTCOMES, PROVISIONED_OUTCOMES, REASONED_OUTCOMES, Action, Outcome
from bulk.model.inputs import WORKBOOK_SUFFIXES, has_no_place
from bulk.report.accounts import FOLDED, Gravity, account_line, account_table
from bulk.report.remedies import message_of, remedy
from bulk.report.tones import Tone, plain, tone_of
from bulk.report.wording import MEANINGS, cut, filled, outcome_words, spell_count, spell_duration, wrapped
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
"""Lines of a usual terminal, 24, minus one for the prompt."""

_KIND_COLUMNS = 11
_FEWEST_REASONS = 1
_ROOMY_LINES = 10
"""With less room than this for all reasons, an example gets one line instead of two."""

_TIGHT_LINES = 5
"""With less room than this, the remedy gets one line too."""

_ACCOUNT_LINES = 16
"""Lines for accounts. A screen with accounts may therefore be longer than one without."""

_FOR_A_RETRY = REASONED_OUTCOMES - {Outcome.WITHHELD}
"""Outcomes whose rows you can fix in a separate file. Withheld rows need an approval instead."""

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
    platform: Sequence[str] = (),
    changed: Sequence[str] = (),
) -> list[str]:
    """Return the screen that ends a run, or the part of it that a sync's screen shares.

    Args:
        summary: How the run ended.
        width: Columns of the terminal; commands stay on one line, so that they can be copied.
        paint: Adds colours, or nothing.
        program: What starts `bulk` here.
        pending: What `pending` means here, if the user limited which rows to try.
        input_format: ``csv``, ``tsv`` or ``jsonl``, if known.
        resume: The command that goes on; ``None``: nothing is left to do.
        resume_accounts: The command that goes on with only the accounts that stopped; ``None``: none is needed.
        platform: Options that name the platform, for the command that undoes a sync.
        changed: Lines about what a sync changed, shown below the first line.
    """
    meanings = MEANINGS if pending is None or summary.stopped else {**MEANINGS, Outcome.PENDING: pending}
    outcomes = outcome_lines(summary.outcomes, width=width, paint=paint, meanings=meanings)
    head = [*_title(summary, width, paint), *changed, "", *outcomes, *_accounts(summary, width, paint, pending)]
    commands = [
        line
        for label, command in _ways_on(summary, program, input_format, resume, resume_accounts, platform)
        for line in _command(paint, label, command, width)
    ]
    foot = ["", *_effort(summary, width), *commands]
    room = _SCREEN_LINES - len(head) - len(foot) - 2
    # A sync's screen has its own part for withheld changes, with the command that approves them.
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
    """Return one line for each outcome that has rows: its count, its name, what it means.

    Args:
        outcomes: Outcome → rows.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
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
    """Number of rows of a kind."""

    rows: int
    kind: str
    meaning: str
    tone: Tone


def count_lines(counts: Sequence[Count], *, width: int, paint: Paint = plain) -> list[str]:
    """Return one line for each kind, with the figures aligned.

    Args:
        counts: The kinds and their numbers.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
    """
    digits = max((len(f"{count.rows:,}") for count in counts), default=0)
    lines = []
    for count in counts:
        kind = paint(f"{count.kind:<{_KIND_COLUMNS}}", count.tone)
        meaning = cut(count.meaning, width - digits - _KIND_COLUMNS - 6)
        lines.append(f"  {count.rows:>{digits},}  {kind}  {meaning}".rstrip())
    return lines or ["  no rows"]


def reason_lines(reasons: Sequence[Reason], *, width: int, room: int, all_by: str = "bulk status") -> list[str]:
    """Return the most frequent reasons that fit into ``room`` lines, each with an example and what to do.

    Args:
        reasons: Most frequent first.
        width: Columns of the terminal.
        room: Lines that may be used; the first reason is always shown.
        all_by: The command that shows the reasons for which there is no room.
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
    """Return the command that writes the rows not provisioned into a separate file.

    Args:
        ledger: The ledger's path.
        input_name: The input's path; ``-`` for stdin.
        program: What starts `bulk` here.
        input_format: ``csv``, ``tsv``, ``jsonl`` or ``xlsx``; needed for stdin, which has no name to take it from.
    """
    path = PurePath(input_name) if not has_no_place(input_name) else _name_for_stdin(ledger, input_format)
    name = path.name.removesuffix(".gz")
    stem, dot, suffix = name.rpartition(".")
    if f"{dot}{suffix}".lower() in WORKBOOK_SUFFIXES:
        suffix = "csv"  # a workbook's rows are written as CSV
    retry = path.with_name(f"{stem}.retry.{suffix}" if dot and stem else f"{name}.retry")
    return f"{shell_join(program)} results {shell_path(ledger)} --retry-file {shell_path(str(retry))}"


def restore_command(
    undo_file: str,
    run_id: str,
    *,
    program: Sequence[str] = ("bulk",),
    platform: Sequence[str] = (),
    rehearsed_in: str | None = None,
) -> str:
    """Return the command that restores the contents of an undo file, without --prune.

    It uses a new ledger for each undo file: a ledger would treat the next file as another job's. Its updates have no
    limit, since you asked for each of them.

    Args:
        undo_file: The undo file's path.
        run_id: The run whose changes are undone.
        program: What starts `bulk` here.
        platform: Options that name the platform, as they were given to the run.
        rehearsed_in: The run's ledger, if it belongs to a sandbox: that sandbox is found by the name of the new ledger.
    """
    of_run = "" if run_id[:8] in PurePath(undo_file).name else f".{run_id[:8]}"
    new = undo_file_of(rehearsed_in, run_id) if rehearsed_in else f"{undo_file}{of_run}"
    command = f"{shell_join(program)} sync {shell_path(undo_file)} --ledger {shell_path(ledger_of_undo(new))}"
    return " ".join([command, "--max-updates 100%", *([shell_join(platform)] if platform else [])])


def undo_command(ledger: str, *, program: Sequence[str] = ("bulk",)) -> str:
    """Return the command that writes an undo file: an input that restores what the last changing run replaced."""
    return f"{shell_join(program)} results {shell_path(ledger)} --undo-file {shell_path(f'{ledger}.undo.csv')}"


def _name_for_stdin(ledger: str, input_format: str | None) -> PurePath:
    """Return a name for an input from stdin: the ledger's name, with the ending of the input's format."""
    path = PurePath(re.sub(r"(?<=[^/])(\.(ledger|sandbox))?\.db$", "", ledger))
    named = input_format is None or path.suffix == f".{input_format}"
    return path if named else path.with_name(f"{path.name}.{input_format}")


def stopped_accounts(summary: Summary) -> list[str]:
    """Return the accounts that stopped for their own reason, not with the whole run."""
    return [name for name, account in summary.accounts.items() if account.stopped not in (None, summary.stopped)]


def _stopped_as_a_whole(summary: Summary) -> bool:
    return not summary.accounts or any(account.stopped == summary.stopped for account in summary.accounts.values())


def _accounts(summary: Summary, width: int, paint: Paint, pending: str | None) -> list[str]:
    if not summary.accounts:
        return []
    # If the whole run stopped, the first line already says why.
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
    took = spell_duration(summary.elapsed_s)
    share = f"{done:,} of {spell_count(summary.rows, 'row')} provisioned, {took}"
    if summary.stopped:
        alone = len(stopped_accounts(summary))
        of_accounts = f"{alone:,} of {spell_count(len(summary.accounts), 'account')}; the others went through"
        why = wrapped(f"Stopped: {summary.stopped if _stopped_as_a_whole(summary) else of_accounts}", width)
        return [*(paint(line, Tone.BAD) for line in why), *wrapped(share, width)]
    if not summary.rows:
        return [paint(f"Finished: the input has no rows, {took}", Tone.WARNING)]
    tone = Tone.GOOD if summary.exit_code == ExitCode.DONE else Tone.WARNING
    return [paint(line, tone) for line in wrapped(f"Finished: {share}", width)]


def _effort(summary: Summary, width: int) -> Iterator[str]:
    extras = {"throttled": summary.throttled, "recovered": summary.recovered}
    retries = [f"{summary.retries:,} {'retry' if summary.retries == 1 else 'retries'}"] if summary.retries else []
    figures = [*_requests(summary), *retries, *(f"{number:,} {name}" for name, number in extras.items() if number)]
    # Keep each figure on one line with its noun.
    kept = ", ".join(figure.replace(" ", _HARD_SPACE) for figure in figures)
    yield from (line.replace(_HARD_SPACE, " ") for line in wrapped(f"Requests: {kept}", width))
    if summary.absent and summary.changes is None:
        absent = f"No longer in the input: {spell_count(summary.absent, 'module')} that it had before"
        yield from wrapped(absent, width)
    yield f"Ledger: {summary.ledger}"


def _requests(summary: Summary) -> Iterator[str]:
    """Yield each action that was sent; for a run, listings and creates even if none was."""
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
    platform: Sequence[str],
) -> Iterator[tuple[str, str]]:
    if resume:
        is_open = any(summary.outcomes.get(outcome) for outcome in OPEN_OUTCOMES)
        yield "Go on with:" if summary.stopped or is_open else "Run again with:", resume
    if resume_accounts:
        yield "After the fix, only what stopped:", resume_accounts
    if summary.undo:
        undo = restore_command(summary.undo, summary.run_id, program=program, platform=platform)
        yield "To undo its changes:", undo
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
    example = f"line {reason.example_line}{of}: {message_of(reason)}"
    to_do = f"to do: {remedy(reason)}"
    return [cut(head, width), *_indented(example, width, example_lines), *_indented(to_do, width, remedy_lines)]


def _indented(text: str, width: int, lines: int) -> list[str]:
    return filled(text, width, first="    ", rest="      ", lines=lines)
