"""Show on a screen what a run would do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.model import Outcome
from bulk.report.accounts import AccountLine, Gravity, account_table, gravity_of, not_provisioned
from bulk.report.summary import Count, count_lines
from bulk.report.tones import Tone, plain, tone_of
from bulk.report.wording import (
    MEANINGS,
    columns_of,
    cut,
    cut_middle,
    filled,
    outcome_words,
    padded,
    spell_count,
    spell_duration,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.engine.planned import FullProduct, Plan, PlannedAccount, PlannedRow
    from bulk.model import InputFound
    from bulk.report.tones import Paint

__all__ = ["plan_lines"]

_SHOWN_PRODUCTS = 5
_SHOWN_LINES = 8
"""Most line numbers that are shown of a full product's rows; the others are only counted."""

_HOLDER_LINES = 2
_ACCOUNT_LINES = 14
_TO_CREATE = "to create"
_DELIMITERS = MappingProxyType({",": "comma", "\t": "tab", ";": "semicolon", "|": "vertical bar"})
_WIDEST_CELL = 24
"""Columns that a ProductKey or a ModuleName may use in the table; longer ones are cut."""


def plan_lines(plan: Plan, *, width: int = 80, paint: Paint = plain) -> list[str]:
    """Return the screen that says what a run would do.

    Args:
        plan: What would happen.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
    """
    basis = "judged by the file alone" if plan.offline else f"listed at {plan.target}"
    lines = [paint(cut(f"Plan for {plan.input}: {spell_count(plan.rows, 'row')}, {basis}", width), Tone.HEADING)]
    if plan.found:
        lines += _found(plan.found, width)
    if plan.stopped:
        lines.append(paint(cut(f"Incomplete: {_stopped(plan)}", width), Tone.BAD))
    lines += ["", *count_lines(list(_counts(plan)), width=width, paint=paint)]
    if plan.accounts:
        lines += ["", *_accounts(plan, width, paint)]
    if plan.full_products:
        lines += ["", paint("Products without a slot for every row", Tone.HEADING), *_full(plan, width)]
    if plan.examples:
        lines += ["", paint("The first rows of each kind", Tone.HEADING), *_table(plan.examples, width)]
    return [*lines, "", *_effort(plan, width)]


def _stopped(plan: Plan) -> str | None:
    reasons = [account.stopped for account in plan.accounts.values() if account.stopped]
    if not reasons or plan.stopped in reasons:
        return plan.stopped
    return f"{len(reasons):,} of {spell_count(len(plan.accounts), 'account')} could not be asked"


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
    """Count rows to create apart from rows that earlier runs made: the reader needs both numbers."""
    if plan.would_create:
        yield Count(plan.would_create, _TO_CREATE, "would be created", Tone.GOOD)
    if plan.already_created:
        yield Count(plan.already_created, "created", "already, by earlier runs of this ledger", Tone.GOOD)
    meanings = {**MEANINGS, Outcome.PENDING: _pending(plan), Outcome.FAILED: "its product could not be listed"}
    for outcome, meaning in meanings.items():
        rows = plan.outcomes.get(outcome, 0)
        if rows and outcome is not Outcome.CREATED:
            yield Count(rows, outcome_words(outcome), meaning, tone_of(outcome))


def _accounts(plan: Plan, width: int, paint: Paint) -> list[str]:
    """Return the table of accounts; of many, only those that are incomplete, in trouble, or take longest."""
    longest = max(account.seconds for account in plan.accounts.values())
    lines = [_account(name, account) for name, account in plan.accounts.items()]
    if longest:
        name = next(name for name, account in plan.accounts.items() if account.seconds == longest)
        lines = [_as_longest(line) if line.name == name else line for line in lines]
    named = sum(account.rows for account in plan.accounts.values())
    return account_table(
        lines,
        ("rows", _TO_CREATE, "takes"),
        width=width,
        room=_ACCOUNT_LINES,
        all_by="see --json",
        nameless=plan.rows - named if plan.found else 0,
        paint=paint,
        folded=_folded(plan.accounts, lines),
    )


def _account(name: str, account: PlannedAccount) -> AccountLine:
    creates = account.requests.get("create", 0)
    return AccountLine(
        name=name,
        gravity=gravity_of(account.outcomes, stopped=account.stopped),
        weight=creates,
        cells=(f"{account.rows:,}", f"{creates:,}", spell_duration(account.seconds) if account.seconds else "-"),
        note=not_provisioned(account.outcomes),
        reason=f"incomplete: {account.stopped}" if account.stopped else None,
    )


def _as_longest(line: AccountLine) -> AccountLine:
    """Return the line of the account that takes longest: it is named even if it has no problem."""
    note = "; ".join(part for part in (line.note, "takes longest") if part)
    return replace(line, note=note, gravity=min(line.gravity, Gravity.IN_TROUBLE), tone=line.shown_tone)


def _folded(accounts: Mapping[str, PlannedAccount], lines: Sequence[AccountLine]) -> dict[Gravity, str]:
    """Say how many rows the accounts without a line of their own have, and how long they take."""
    texts = {Gravity.OPEN: "rows that this plan did not look at", Gravity.EMPTY: "no rows"}
    well = [accounts[line.name] for line in lines if line.gravity is Gravity.DONE]
    creates = sum(account.requests.get("create", 0) for account in well)
    slowest = max((account.seconds for account in well), default=0.0)
    took = f" in up to {spell_duration(slowest)}" if slowest else ""
    return texts | {Gravity.DONE: f"every row can be provisioned; {spell_count(creates, 'create')}{took}"}


def _pending(plan: Plan) -> str:
    return "left for another run by --limit or --only" if plan.outside else "not looked at"


def _full(plan: Plan, width: int) -> Iterator[str]:
    for product in plan.full_products[:_SHOWN_PRODUCTS]:
        of = f" of {product.account}" if product.account else ""
        yield cut(f"  {product.product_key}{of}: no slot for {_line_numbers(product.lines)}", width)
        yield from filled("; ".join(_holders(product)), width, first="    ", rest="      ", lines=_HOLDER_LINES)
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
    cells = [("line", "becomes", "account", "product", "module", "why"), *map(_cells, grouped)]
    if not any(row.account for row in rows):
        cells = [(*line[:2], *line[3:]) for line in cells]
    widths = [min(max(map(columns_of, column)), _WIDEST_CELL) for column in zip(*cells, strict=True)]
    for number, *texts, why in cells:
        columns = (padded(cut(text, most), most) for text, most in zip(texts, widths[1:], strict=False))
        yield cut("  ".join([f"  {number:>{widths[0]}}", *columns, why]).rstrip(), width)


def _cells(row: PlannedRow) -> tuple[str, ...]:
    to_create = row.outcome is Outcome.CREATED and not row.already
    kind = _TO_CREATE if to_create else outcome_words(row.outcome)
    return (
        f"{row.line}",
        kind,
        cut_middle(row.account or "-", _WIDEST_CELL),
        row.product_key or "-",
        row.module_name or "-",
        row.message or "",
    )


def _effort(plan: Plan, width: int) -> Iterator[str]:
    yield cut(f"Requests: {_requests(plan)}", width)
    if plan.ends_at:
        # People know their time zone by its name, not by its distance from UTC.
        yield f"Would finish at {datetime.fromisoformat(plan.ends_at).astimezone():%Y-%m-%d %H:%M %Z} if started now"
    yield f"Ledger: {plan.ledger}"


def _requests(plan: Plan) -> str:
    lists, creates = plan.requests.get("list", 0), plan.requests.get("create", 0)
    if not (lists or creates):
        return "not known, the plan is incomplete" if plan.stopped else "none"
    calls = f"{spell_count(lists, 'list')} and {spell_count(creates, 'create')}"
    if not plan.seconds:
        return f"{calls}, without a limit"
    how = ", all accounts side by side" if plan.accounts else " at these rates"
    return f"{calls}, {spell_duration(plan.seconds)}{how}"
