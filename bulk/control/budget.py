"""Decide, from a product's listing, the state of each row: there already, admitted, or without a slot. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.control.diff import Field, differences
from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, ChangeKind, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk.control.diff import Difference
    from bulk.model import OtaModule, Row

__all__ = ["WHAT_FREES_A_SLOT", "Decision", "RowDecision", "decide", "judge", "who_holds_the_slots"]

WHAT_FREES_A_SLOT = "; delete a module that is no longer used, or take the row out"
"""End of the message of a row without a slot. A screen that says what to do leaves it out."""

_GRACE_S = 60.0
"""GmtCreate is exact to the minute only: a module made at 10:00:59 is listed as made at 10:00."""

_MOST_SHOWN_CHARACTERS = 200
"""Most characters shown of a field from the platform. It allows 100, so a longer text is not a module's."""


@dataclass(frozen=True, slots=True)
class RowDecision:
    """What a listing says of a row."""

    row: Row
    outcome: Outcome
    message: str | None = None
    recovered: bool = False
    code: str | None = None
    """The kind of the outcome, if it has several."""

    owned: bool | None = None
    """For a recovered create: whether the module is surely this ledger's; ``None``: as the outcome says."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a listing says of all rows of a product; every row is in exactly one of the three."""

    there: tuple[RowDecision, ...]
    """On the platform already: `exists`, `drifted`, or `created` and now proved."""

    admitted: tuple[Row, ...]
    """Rows that get a slot, in file order; never more than the product has left."""

    over_budget: tuple[RowDecision, ...]
    """No slot is left for them."""


def decide(rows: Sequence[Row], listed: Iterable[OtaModule], *, held: int = 0) -> Decision:
    """Give the slots that a product has left to its rows, in file order.

    Args:
        rows: Open rows of one product, in file order.
        listed: The product's modules, fresh from the platform.
        held: Slots reserved for rows that may still take one.
    """
    modules = {module.key: module for module in listed}
    there = tuple(judge(row, modules[row.module.key]) for row in rows if row.module.key in modules)
    wanting = [row for row in rows if row.module.key not in modules]
    taken = [module.module_name for key, module in modules.items() if key[1] != RESERVED_MODULE_NAME]
    left = max(0, MAX_CUSTOM_MODULES - len(taken) - held)
    admitted, losing = tuple(wanting[:left]), wanting[left:]
    message = who_holds_the_slots(taken, admitted, held) if losing else ""
    return Decision(there, admitted, tuple(RowDecision(row, Outcome.OVER_BUDGET, message) for row in losing))


def judge(row: Row, found: OtaModule) -> RowDecision:
    """Compare a row with the module that the platform has under its key.

    A field that the row leaves out is not compared. If the module is as the row wants it, and a change for the row may
    have been carried out unseen, the module counts as the result of that change.
    """
    if differing := differences(row.module, found):
        how = " and ".join(map(_differs, differing))
        return RowDecision(row, Outcome.DRIFTED, f"on the platform already, but {how}")
    if row.in_doubt and row.doubted is ChangeKind.CREATE:
        return RowDecision(row, Outcome.CREATED, recovered=True, owned=_is_surely_ours(row, found))
    if row.in_doubt and row.doubted is ChangeKind.UPDATE:
        return RowDecision(row, Outcome.UPDATED, recovered=True)
    return RowDecision(row, Outcome.EXISTS)


def _is_surely_ours(row: Row, found: OtaModule) -> bool:
    """Say whether a module was made after this ledger's create was sent: someone else's may look just the same."""
    made_at = found.created_at
    return made_at is not None and row.doubted_since is not None and made_at >= row.doubted_since - _GRACE_S


def _differs(difference: Difference) -> str:
    is_written = "its name is spelled" if difference.field is Field.MODULE_NAME else f"its {difference.field} is"
    return f"{is_written} {_cut(difference.found)!r}, not {difference.wanted!r}"


def who_holds_the_slots(taken: Sequence[str], admitted: Sequence[Row], held: int) -> str:
    """Return why a row gets no slot: the modules there, the rows before it, and modules that may still appear."""
    holders = []
    if taken:
        holders.append(f"{len(taken)} by modules on the platform ({', '.join(map(_shown, sorted(taken)))})")
    if admitted:
        lines = ", ".join(str(row.line) for row in admitted)
        earlier = "an earlier row (line" if len(admitted) == 1 else "earlier rows (lines"
        holders.append(f"{len(admitted)} by {earlier} {lines})")
    if held:
        holders.append(
            "1 by an earlier row that is still open" if held == 1 else f"{held} by earlier rows that are still open"
        )
    return f"the product's {MAX_CUSTOM_MODULES} slots are taken: {', '.join(holders)}{WHAT_FREES_A_SLOT}"


def _shown(name: str) -> str:
    """Return a name from the platform in a form that is safe in messages: it can't control a terminal."""
    name = _cut(name)
    return name if name.isprintable() else repr(name)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN_CHARACTERS else text[: _MOST_SHOWN_CHARACTERS - 1] + "…"
