"""Show on a screen what a sync did, or would do, and what waits for approval."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.control.reasons import kept_words, withheld_words
from bulk.control.reconcile import Withheld
from bulk.ledger.planning import ADOPT
from bulk.model import Outcome
from bulk.model.inputs import has_no_place
from bulk.report.summary import summary_lines
from bulk.report.tones import Tone, plain
from bulk.report.wording import columns_of, cut, spell_count, wrapped
from bulk.shell import shell_join, shell_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bulk.engine.sync.planning import SyncPlan
    from bulk.ledger.planning import PlannedEntry
    from bulk.model import Summary
    from bulk.report.tones import Paint

__all__ = ["plan_sync_lines", "sync_lines"]

_VERBS = MappingProxyType(
    {
        "create": "to create",
        "update": "to update",
        "delete": "to delete",
        ADOPT: "to adopt, which sends nothing and counts as updates",
    }
)
_SHOWN_NOTES = 6
_FIELDS = ("AliasName", "Desc")
_SAID_BY_A_NOTE = frozenset({Withheld.MAX_UPDATES, Withheld.MAX_DELETES, Withheld.FEWER_ROWS, Withheld.FEWER_PRODUCTS})
"""Reasons that withhold all changes of a kind: a note shows them with their figures."""


def sync_lines(
    summary: Summary,
    *,
    width: int = 80,
    paint: Paint = plain,
    program: Sequence[str] = ("bulk",),
    approve: str | None = None,
    resume: str | None = None,
    platform: Sequence[str] = (),
    input_format: str | None = None,
    pending: str | None = None,
    accept: Sequence[str] = (),
) -> list[str]:
    """Return the screen that ends a sync.

    Args:
        summary: How it ended.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
        program: What starts `bulk` here.
        approve: The command that approves what is withheld; ``None``: nothing is withheld.
        resume: The command that goes on; ``None``: nothing is left to do.
        platform: Options that name the platform, for the command that undoes the sync.
        input_format: As in `bulk.report.summary.summary_lines`.
        pending: As there.
        accept: The commands that accept an input that lost much; none: it did not, or an approval accepts it.
    """
    lines = summary_lines(
        summary,
        width=width,
        paint=paint,
        program=program,
        resume=resume,
        platform=platform,
        input_format=input_format,
        pending=pending,
        changed=list(_changed(summary, width, program)),
    )
    return [*lines, *_withheld(summary, width, paint, approve), *_accepting(accept)]


def plan_sync_lines(
    plan: SyncPlan,
    *,
    width: int = 80,
    paint: Paint = plain,
    output: str | None = None,
    approve: str | None = None,
    accept: Sequence[str] = (),
) -> list[str]:
    """Return the screen that says what a sync would do.

    Args:
        plan: What was decided.
        width: Columns of the terminal; commands are never broken.
        paint: Adds colours, or nothing.
        output: Where the whole plan was written; ``None``: nowhere.
        approve: The command that carries it out.
        accept: As of `sync_lines`.
    """
    lines = [*wrapped(f"Plan of a sync for {plan.summary.input}: nothing was changed", width), ""]
    lines = [*(paint(line, Tone.HEADING) for line in lines[:-1]), ""]
    if plan.summary.stopped:
        lines = [*(paint(line, Tone.BAD) for line in wrapped(f"Stopped: {plan.summary.stopped}", width)), *lines]
    kinds = [(kind, plan.planned[kind]) for kind in _VERBS if plan.planned.get(kind)]
    lines += [f"  {count:>6,}  {_VERBS[kind]}" for kind, count in kinds] or [_nothing(plan)]
    lines += _reasons("Withheld, because", plan.withheld, width, withheld_words)
    lines += _notes(plan.summary.notes, width)
    lines += _reasons("Left the file and stay, because", plan.surplus, width, kept_words)
    for kind, count in kinds:
        shown = [entry for entry in plan.examples if entry.kind == kind]
        heading = f"The first of {count:,} {_VERBS[kind]}" if count > len(shown) else _VERBS[kind].capitalize()
        lines += ["", paint(heading, Tone.HEADING), *(line for entry in shown for line in _example(entry, width))]
    if plan.summary.stopped:
        return [*lines, "", "Not all products were listed: this is only a part, and no plan was written."]
    if output:
        lines += ["", f"All changes: {output}"]
    if approve:
        lines.append(f"Carry it out:  {approve}")
    return [*lines, *_accepting(accept)]


def _nothing(plan: SyncPlan) -> str:
    return "  nothing is known yet" if plan.summary.stopped else "  nothing to change"


def _changed(summary: Summary, width: int, program: Sequence[str]) -> Iterator[str]:
    changes = ", ".join(f"{count:,} {what}" for what, count in (summary.changes or {}).items())
    yield from wrapped(f"Changed: {changes}", width)
    if summary.surplus:
        reasons = sum((Counter(figures.surplus) for figures in summary.figures.values()), Counter())
        yield from wrapped(f"Left the file and stay: {spell_count(summary.surplus, 'module')}", width)
        for reason, count in reasons.most_common():
            yield from wrapped(f"  {count:,}: {kept_words(reason)}", width)
        yield f"  {shell_join(program)} results {shell_path(summary.ledger)} --outcome surplus"


def _withheld(summary: Summary, width: int, paint: Paint, approve: str | None) -> Iterator[str]:
    counts = {kind: count for kind, count in (summary.withheld or {}).items() if count}
    notes = _notes(summary.notes, width)
    if not counts:
        if notes:
            yield from ("", *(line.removeprefix("  ") for line in notes))
        return
    what = ", ".join(f"{count:,} {kind if count > 1 else kind.removesuffix('s')}" for kind, count in counts.items())
    yield ""
    yield paint(cut(f"Withheld, until you approve: {what}", width), Tone.WARNING)
    for reason in summary.reasons:
        if reason.outcome is Outcome.WITHHELD and reason.code not in _SAID_BY_A_NOTE:
            yield cut(f"  {spell_count(reason.rows, 'row')}: {withheld_words(reason.code or '')}", width)
    yield from notes
    if summary.plan:
        yield f"  Read it:     {summary.plan}"
    elif has_no_place(summary.input):
        yield from wrapped("  No plan was written: stdin can't be read again. Run the sync on a file.", width)
    if approve:
        yield f"  Approve it:  {approve}"


def _accepting(commands: Sequence[str]) -> list[str]:
    return ["", "To accept the input as it is now:", *(f"  {command}" for command in commands)] if commands else []


def _notes(notes: Sequence[str], width: int) -> list[str]:
    """Return the first notes only: 150 accounts may have two each."""
    lines = [line for note in notes[:_SHOWN_NOTES] for line in wrapped(f"  {note}", width)]
    more = len(notes) - _SHOWN_NOTES
    return [*lines, f"  and {spell_count(more, 'more note')} of this kind"] if more > 0 else lines


def _reasons(heading: str, counts: Mapping[str, int], width: int, words: Callable[[str], str]) -> Iterator[str]:
    if counts:
        yield ""
        yield heading
        for reason, count in counts.items():
            yield from wrapped(f"  {count:>6,}  {words(reason)}", width)


def _example(entry: PlannedEntry, width: int) -> Iterator[str]:
    place = f"  line {entry.line}, " if entry.line else "  "
    of = f"{entry.account}, " if entry.account else ""
    name = f"{place}{of}{entry.product_key} {entry.module_name}"
    if entry.kind != "update":
        texts = list(_texts(entry))
        yield cut(f"{name}: {', '.join(texts)}" if texts else name, width)
        return
    yield cut(name, width)
    yield from _differences(entry, width)


def _differences(entry: PlannedEntry, width: int) -> Iterator[str]:
    """Yield the fields that differ, old → new: on one line, or, if they are too long, one above the other."""
    found, wanted = (entry.found_alias, entry.found_desc), (entry.wanted_alias, entry.wanted_desc)
    for name, before, after in zip(_FIELDS, found, wanted, strict=True):
        if (before or "") != (after or ""):
            line = f"    {name:<9}  {_shown(before)} → {_shown(after)}"
            if columns_of(line) <= width:
                yield line
            else:
                yield cut(f"    {name:<9}    {_shown(before)}", width)
                yield cut(f"    {'':<9}  → {_shown(after)}", width)


def _texts(entry: PlannedEntry) -> Iterator[str]:
    """Yield the fields that a new or a deleted module has."""
    found, wanted = (entry.found_alias, entry.found_desc), (entry.wanted_alias, entry.wanted_desc)
    for name, text in zip(_FIELDS, wanted if entry.found_name is None else found, strict=True):
        if text:
            yield f"{name} {_shown(text)}"


def _shown(text: str | None) -> str:
    """Return a text between quotes, so that you see blanks at its ends. An absent text gets no quotes."""
    return f'"{text}"' if text else "nothing"
