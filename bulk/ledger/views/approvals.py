"""Read what needs approval: the changes that the last sync of each account withheld."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bulk.ledger.planning import MAX_AGE_S, plan_path
from bulk.ledger.sql import query
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Approval", "CutOff", "read_approvals", "read_cut_off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What needs approval in one account. Its fields are keys of ``approvals`` in `bulk status --json`."""

    account: str
    """Empty where no accounts are named."""

    made_at: str
    """When it was decided."""

    until: str
    """How long `bulk apply` accepts the plan without ``--max-age``."""

    plan: str | None
    """Path of the plan that lists it; accounts of one sync share it. ``None``: it is not there."""

    changes: Mapping[str, int]
    """Kind → changes: a `ChangeKind`, or ``adopt``."""

    reasons: Mapping[str, int]
    """Why they wait → changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """An apply that did not finish: run the same command again to continue."""

    plan: str | None
    """Path of its plan; ``None``: you named it yourself, and the ledger does not know the path."""

    changes: int
    """Changes that are left, as far as they were decided before it ended."""


def read_cut_off(connection: sqlite3.Connection, path: Path) -> CutOff | None:
    """Return the last run if it is an apply that was cut off; the next sync decides again."""
    found = connection.execute(query("cut_off_apply")).fetchone()
    return CutOff(plan=_plan(path, found[0]), changes=found[1]) if found else None


def read_approvals(connection: sqlite3.Connection, path: Path) -> tuple[Approval, ...]:
    """Return what waits, account by account."""
    found: dict[tuple[str, str, str], tuple[dict[str, int], dict[str, int]]] = {}
    for account, run_id, made_at, kind, withheld, count in connection.execute(query("pending_approvals")):
        changes, reasons = found.setdefault((account, run_id, made_at), ({}, {}))
        changes[kind] = changes.get(kind, 0) + count
        reasons[withheld] = reasons.get(withheld, 0) + count
    return tuple(
        Approval(
            account=account,
            made_at=made_at,
            until=_until(made_at),
            plan=_plan(path, run_id),
            changes=changes,
            reasons=reasons,
        )
        for (account, run_id, made_at), (changes, reasons) in found.items()
    )


def _until(made_at: str) -> str:
    return iso_utc((datetime.fromisoformat(made_at) + timedelta(seconds=MAX_AGE_S)).timestamp())


def _plan(ledger: Path, run_id: str) -> str | None:
    plan = plan_path(ledger, run_id)
    return str(plan) if plan.is_file() else None
