"""Say on a screen what a sync did, or would do, and what waits for a person."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.engine.sync.look import withheld_words
from bulk.ledger.planning import ADOPT
from bulk.report.summary import summary_lines
from bulk.report.tones import Tone, plain
from bulk.report.wording import cut, spell_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bulk.engine.sync.planning import SyncPlan
    from bulk.ledger.planning import PlannedEntry
    from bulk.model import Summary
    from bulk.report.tones import Paint

__all__ = ["plan_sync_lines", "sync_lines"]

_VERBS = MappingProxyType({"create": "to create", "update": "to update", "delete": "to delete", ADOPT: "to adopt"})


def sync_lines(
    summary: Summary,
    *,
    width: int = 80,
    paint: Paint = plain,
    program: Sequence[str] = ("bulk",),
    approve: str | None = None,
    resume: str | None = None,
    input_format: str | None = None,
    pending: str | None = None,
) -> list[str]:
    """Return the screen that ends a sync.

    Args:
        summary: How it ended.
        width: Columns of the terminal.
        paint: How to colour.
        program: What starts `bulk` here.
        approve: The command that approves what is withheld; ``None``: nothing is.
        resume: The command that goes on; ``None``: nothing is left to do.
        input_format: As of `bulk.report.summary.summary_lines`.
        pending: As there.
    """
    lines = summary_lines(
        summary,
        width=width,
        paint=paint,
        program=program,
        resume=resume,
        input_format=input_format,
        pending=pending,
    )
    changes = summary.changes or {}
    done = ", ".join(f"{count:,} {what}" for what, count in changes.items())
    lines += ["", cut(f"Changed: {done}", width)]
    if summary.surplus:
        lines.append(cut(f"Left on the platform: {spell_count(summary.surplus, 'module')} that left the file", width))
    lines += _withheld(summary, width, paint, approve)
    return lines


def plan_sync_lines(plan: SyncPlan, *, width: int = 80, paint: Paint = plain, output: str | None = None) -> list[str]:
    """Return the screen that says what a sync would do."""
    summary = plan.summary
    lines = [paint(cut(f"Plan of a sync for {summary.input}: nothing was changed", width), Tone.HEADING), ""]
    kinds = [(kind, plan.planned[kind]) for kind in _VERBS if plan.planned.get(kind)]
    lines += [f"  {count:>6,}  {_VERBS[kind]}" for kind, count in kinds] or ["  nothing to change"]
    lines += _reasons("Withheld, because", plan.withheld, width, withheld_words)
    lines += _reasons("Left the file, and stay", plan.surplus, width, _spoken)
    for kind, _ in kinds:
        shown = [entry for entry in plan.examples if entry.kind == kind]
        lines += ["", paint(f"The first {_VERBS[kind]}", Tone.HEADING), *(_example(entry, width) for entry in shown)]
    if summary.notes:
        lines += ["", *(cut(note, width) for note in summary.notes)]
    if output:
        lines += ["", f"Plan: {output}"]
    return lines


def _withheld(summary: Summary, width: int, paint: Paint, approve: str | None) -> Iterator[str]:
    counts = {kind: count for kind, count in (summary.withheld or {}).items() if count}
    if not counts:
        yield from (cut(note, width) for note in summary.notes)
        return
    what = ", ".join(f"{count:,} {kind if count > 1 else kind.removesuffix('s')}" for kind, count in counts.items())
    yield ""
    yield paint(cut(f"Withheld, until you approve: {what}", width), Tone.WARNING)
    yield from (cut(f"  {note}", width) for note in summary.notes)
    if summary.plan:
        yield f"  Read it:     {summary.plan}"
    if approve:
        yield f"  Approve it:  {approve}"


def _reasons(heading: str, counts: Mapping[str, int], width: int, words: Callable[[str], str]) -> Iterator[str]:
    if counts:
        yield ""
        yield heading
        for reason, count in counts.items():
            yield cut(f"  {count:>6,}  {words(reason)}", width)


def _spoken(reason: str) -> str:
    return reason.replace("_", " ")


def _example(entry: PlannedEntry, width: int) -> str:
    place = f"  line {entry.line}, " if entry.line else "  "
    return cut(f"{place}{entry.product_key} {entry.module_name}: {_texts(entry)}", width)


def _texts(entry: PlannedEntry) -> str:
    found, wanted = (entry.found_alias, entry.found_desc), (entry.wanted_alias, entry.wanted_desc)
    if entry.kind == "update":
        changed = [
            f"{name} {before or ''!r} → {after or ''!r}"
            for name, before, after in zip(("AliasName", "Desc"), found, wanted, strict=True)
            if (before or "") != (after or "")
        ]
        return ", ".join(changed)
    alias, desc = wanted if entry.found_name is None else found
    return f"{alias or ''!r}, {desc or ''!r}"
