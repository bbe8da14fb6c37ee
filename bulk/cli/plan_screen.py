"""Say on a screen what a run would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.model import Outcome
from bulk.report.summary import Tone, outcome_lines, plain
from bulk.report.wording import cut, outcome_words, spell_count, spell_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.engine.plan import FullProduct, Plan
    from bulk.report.summary import Paint

__all__ = ["plan_lines"]

_SHOWN_PRODUCTS = 5
_SHOWN_LINES = 8
"""Lines of a full product's rows that are named; more are counted."""


def plan_lines(plan: Plan, *, width: int = 80, paint: Paint = plain) -> list[str]:
    """Return the screen that says what a run would do.

    Args:
        plan: What would happen.
        width: Columns of the terminal.
        paint: How to colour.
    """
    basis = "judged by the file alone" if plan.offline else f"asked of {plan.target}"
    lines = [paint(cut(f"Plan for {plan.input}: {spell_count(plan.rows, 'row')}, {basis}", width), Tone.HEADING)]
    if plan.stopped:
        lines.append(paint(f"Not whole: {plan.stopped}", Tone.BAD))
    lines.append("")
    lines += outcome_lines(plan.outcomes, width=width, paint=paint, meanings={Outcome.CREATED: _created(plan)})
    if plan.full_products:
        lines += ["", paint("Products without a slot for every row", Tone.HEADING), *_full(plan.full_products, width)]
    if plan.examples:
        lines += ["", paint("The first rows of each kind", Tone.HEADING), *_examples(plan, width)]
    return [*lines, "", *_effort(plan, width)]


def _created(plan: Plan) -> str:
    to_create = plan.requests.get("create", 0)
    made = plan.outcomes.get(Outcome.CREATED, 0) - to_create
    if made <= 0:
        return "would be created"
    return f"{to_create:,} would be created, {made:,} were by this ledger" if to_create else "were, by this ledger"


def _full(products: tuple[FullProduct, ...], width: int) -> Iterator[str]:
    for product in products[:_SHOWN_PRODUCTS]:
        shown = ", ".join(f"{line}" for line in product.lines[:_SHOWN_LINES])
        more = f" and {len(product.lines) - _SHOWN_LINES:,} more" if len(product.lines) > _SHOWN_LINES else ""
        yield cut(f"  {product.product_key}: no slot for line {shown}{more}", width)
        held = f"on the platform: {', '.join(product.taken_by)}" if product.taken_by else "earlier lines take all ten"
        yield cut(f"    {held}", width)
    if len(products) > _SHOWN_PRODUCTS:
        yield f"  and {spell_count(len(products) - _SHOWN_PRODUCTS, 'more product')}: see --json"


def _examples(plan: Plan, width: int) -> Iterator[str]:
    digits = max(len(f"{row.line}") for row in plan.examples)
    for row in plan.examples:
        what = f"{row.product_key or '-'} {row.module_name or '-'}"
        message = f": {row.message}" if row.message else ""
        yield cut(f"  line {row.line:<{digits}}  {outcome_words(row.outcome):<11}  {what}{message}", width)


def _effort(plan: Plan, width: int) -> Iterator[str]:
    lists, creates = plan.requests.get("list", 0), plan.requests.get("create", 0)
    calls = f"{spell_count(lists, 'list')} and {spell_count(creates, 'create')}"
    yield cut(f"Requests: {calls}, {spell_duration(plan.seconds)} at the granted rate", width)
    yield f"Ledger: {plan.ledger}"
