"""Say on a screen what a run would do."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.model import Outcome
from bulk.report.summary import Count, count_lines
from bulk.report.tones import Tone, plain, tone_of
from bulk.report.wording import MEANINGS, cut, outcome_words, spell_count, spell_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.engine.planned import FullProduct, Plan, PlannedRow
    from bulk.model import InputFound
    from bulk.report.tones import Paint

__all__ = ["plan_lines"]

_SHOWN_PRODUCTS = 5
_SHOWN_LINES = 8
"""Lines of a full product's rows that are named; more are counted."""

_TO_CREATE = "to create"
_DELIMITERS = MappingProxyType({",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"})
_WIDEST_CELL = 24
"""Columns of the table that a ProductKey or a ModuleName may take; longer ones are cut."""


def plan_lines(plan: Plan, *, width: int = 80, paint: Paint = plain) -> list[str]:
    """Return the screen that says what a run would do.

    Args:
        plan: What would happen.
        width: Columns of the terminal.
        paint: How to colour.
    """
    basis = "judged by the file alone" if plan.offline else f"asked of {plan.target}"
    lines = [paint(cut(f"Plan for {plan.input}: {spell_count(plan.rows, 'row')}, {basis}", width), Tone.HEADING)]
    if plan.found:
        lines += _found(plan.found, width)
    if plan.stopped:
        lines.append(paint(cut(f"Not whole: {plan.stopped}", width), Tone.BAD))
    lines += ["", *count_lines(list(_counts(plan)), width=width, paint=paint)]
    if plan.full_products:
        lines += ["", paint("Products without a slot for every row", Tone.HEADING), *_full(plan, width)]
    if plan.examples:
        lines += ["", paint("The first rows of each kind", Tone.HEADING), *_table(plan.examples, width)]
    return [*lines, "", *_effort(plan, width)]


def _found(found: InputFound, width: int) -> Iterator[str]:
    cells = f", {_DELIMITERS.get(found.delimiter, repr(found.delimiter))} between cells" if found.delimiter else ""
    header = ""
    if found.format != "jsonl":
        header = f", header on line {found.header_line}" if found.header_line else ", no header"
    written = f"sheet {found.sheet!r}" if found.sheet else found.encoding.upper()
    yield cut(f"Read as {found.format.upper()}, {written}{cells}{header}", width)
    taken = ", ".join(f"{field} from {column!r}" for field, column in found.columns.items())
    yield cut(f"Columns: {taken}", width)
    for notice in found.notices:
        yield cut(notice, width)


def _counts(plan: Plan) -> Iterator[Count]:
    """Tell rows that would be created from those that earlier runs made: to who runs it they are two numbers."""
    if plan.would_create:
        yield Count(plan.would_create, _TO_CREATE, "would be created", Tone.GOOD)
    if plan.already_created:
        yield Count(plan.already_created, "created", "already, by earlier runs of this ledger", Tone.GOOD)
    meanings = {**MEANINGS, Outcome.PENDING: _pending(plan), Outcome.FAILED: "its product could not be listed"}
    for outcome, meaning in meanings.items():
        rows = plan.outcomes.get(outcome, 0)
        if rows and outcome is not Outcome.CREATED:
            yield Count(rows, outcome_words(outcome), meaning, tone_of(outcome))


def _pending(plan: Plan) -> str:
    return "left for another run by --limit or --only" if plan.outside else "not looked at"


def _full(plan: Plan, width: int) -> Iterator[str]:
    for product in plan.full_products[:_SHOWN_PRODUCTS]:
        yield cut(f"  {product.product_key}: no slot for {_line_numbers(product.lines)}", width)
        yield cut(f"    {'; '.join(_holders(product))}", width)
    more = len(plan.full_products) - _SHOWN_PRODUCTS
    if more > 0:
        yield f"  and {spell_count(more, 'more product')}: see --json"


def _holders(product: FullProduct) -> Iterator[str]:
    if product.given_to:
        yield f"the slots left go to {_line_numbers(product.given_to)}"
    if product.taken_by:
        yield f"on the platform: {', '.join(product.taken_by)}"
    elif not product.given_to:
        yield "earlier lines take all ten"


def _line_numbers(lines: Sequence[int]) -> str:
    shown = ", ".join(f"{line}" for line in lines[:_SHOWN_LINES])
    more = f" and {len(lines) - _SHOWN_LINES:,} more" if len(lines) > _SHOWN_LINES else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"


def _table(rows: Sequence[PlannedRow], width: int) -> Iterator[str]:
    order = {outcome: number for number, outcome in enumerate(MEANINGS)}
    grouped = sorted(rows, key=lambda row: (order[row.outcome], row.already, row.line))
    cells = [("line", "becomes", "product", "module", "why"), *map(_cells, grouped)]
    widths = [min(max(map(len, column)), _WIDEST_CELL) for column in zip(*cells, strict=True)]
    line, becomes, product, module, _ = widths
    for number, kind, key, name, why in cells:
        text = f"  {number:>{line}}  {kind:<{becomes}}  {cut(key, product):<{product}}  {cut(name, module):<{module}}"
        yield cut(f"{text}  {why}".rstrip(), width)


def _cells(row: PlannedRow) -> tuple[str, str, str, str, str]:
    to_create = row.outcome is Outcome.CREATED and not row.already
    kind = _TO_CREATE if to_create else outcome_words(row.outcome)
    return f"{row.line}", kind, row.product_key or "-", row.module_name or "-", row.message or ""


def _effort(plan: Plan, width: int) -> Iterator[str]:
    yield cut(f"Requests: {_requests(plan)}", width)
    if plan.ends_at:
        # The zone's own name says more to who reads the clock on the wall than its distance from UTC.
        yield f"Begun now, it would end at {datetime.fromisoformat(plan.ends_at).astimezone():%Y-%m-%d %H:%M %Z}"
    yield f"Ledger: {plan.ledger}"


def _requests(plan: Plan) -> str:
    lists, creates = plan.requests.get("list", 0), plan.requests.get("create", 0)
    if not (lists or creates):
        return "not known, the plan is not whole" if plan.stopped else "none"
    calls = f"{spell_count(lists, 'list')} and {spell_count(creates, 'create')}"
    return (
        f"{calls}, {spell_duration(plan.seconds)} at the rate asked for"
        if plan.seconds
        else f"{calls}, without a limit"
    )
