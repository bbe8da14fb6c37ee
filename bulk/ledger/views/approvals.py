"""Read what waits for a person: the changes that the last sync of each account withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.ledger.planning import plan_path
from bulk.ledger.sql import query

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Approval", "read_approvals"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What waits for a person in one account."""

    account: str
    """Empty where no accounts are named."""

    made_at: str
    """When it was decided; `bulk apply` takes a plan for 24 hours, unless ``--max-age`` says otherwise."""

    plan: str
    """Path of the plan that lists it."""

    changes: Mapping[str, int]
    """Kind → changes."""

    reasons: Mapping[str, int]
    """Why they wait → changes."""


def read_approvals(connection: sqlite3.Connection, path: Path) -> tuple[Approval, ...]:
    """Return what waits, an account after the other."""
    found: dict[tuple[str, str, str], tuple[dict[str, int], dict[str, int]]] = {}
    for account, run_id, made_at, kind, withheld, count in connection.execute(query("pending_approvals")):
        changes, reasons = found.setdefault((account, run_id, made_at), ({}, {}))
        changes[kind] = changes.get(kind, 0) + count
        reasons[withheld] = reasons.get(withheld, 0) + count
    return tuple(
        Approval(account=account, made_at=made_at, plan=str(plan_path(path, run_id)), changes=changes, reasons=reasons)
        for (account, run_id, made_at), (changes, reasons) in found.items()
    )
