"""Read what the runs of a ledger sent, counted in SQL: a million attempts come out as a few thousand figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import orjson

from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.model import Action

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = [
    "CrowdedProduct",
    "FailedAttempts",
    "Span",
    "Traffic",
    "Window",
    "read_failed_attempts",
    "read_over_budget",
    "read_spans",
    "read_traffic",
]


class Span(NamedTuple):
    """When a run was sending."""

    run_id: str
    first_s: int
    """Second of its first request, since the epoch."""

    last_s: int
    requests: int


class Window(NamedTuple):
    """A run's time, cut into slots of equal length."""

    run_id: str
    start_s: int
    """Where slot 0 begins, in seconds since the epoch."""

    slot_s: int


class Traffic(NamedTuple):
    """Requests of one slot and one action that took equally long."""

    window: int
    """Index of the window."""

    slot: int
    """Number of the slot, starting at 0."""

    latency_ms: float
    """Rounded to two digits."""

    action: Action
    requests: int


class FailedAttempts(NamedTuple):
    """Requests of one slot that failed alike."""

    window: int
    slot: int
    code: str
    http_status: int | None
    requests: int
    failure: str | None = None
    """Class of the failure, a `bulk.model.FailureKind`; ``None``: from a version that did not record it."""


class CrowdedProduct(NamedTuple):
    """A product with rows that got no slot."""

    product_key: str
    rows: int
    first_line: int
    message: str | None
    """What holds its slots, as recorded for that line."""

    account: str
    """The product's account; empty where no accounts are named."""


def read_spans(connection: sqlite3.Connection, ledger: Path, *, runs: int) -> tuple[Span, ...]:
    """Return when the last runs were sending, the last first; runs that sent nothing are left out.

    Args:
        connection: Opened for reading.
        ledger: Its path, for messages.
        runs: At most so many.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        return tuple(Span(*record) for record in connection.execute(query("spans"), {"runs": runs}))


def read_traffic(connection: sqlite3.Connection, ledger: Path, windows: Sequence[Window]) -> Iterator[Traffic]:
    """Yield what was sent, by window, slot and rising latency.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        for record in connection.execute(query("traffic"), {"windows": _as_json(windows)}):
            window, slot, latency_ms, action, requests = record
            yield Traffic(window, slot, latency_ms, Action(action), requests)


def read_failed_attempts(
    connection: sqlite3.Connection, ledger: Path, windows: Sequence[Window]
) -> Iterator[FailedAttempts]:
    """Yield what failed, by window, slot, code, HTTP status and class.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        for record in connection.execute(query("failed_attempts"), {"windows": _as_json(windows)}):
            yield FailedAttempts(*record)


def read_over_budget(connection: sqlite3.Connection, ledger: Path, *, products: int) -> tuple[CrowdedProduct, ...]:
    """Return the products with rows that got no slot, those with most such rows first.

    Args:
        connection: Opened for reading.
        ledger: Its path, for messages.
        products: At most so many.

    Raises:
        LedgerError: The ledger can't be read.
    """
    with translated(ledger):
        found = connection.execute(query("over_budget_products"), {"products": products})
        return tuple(CrowdedProduct(*record) for record in found)


def _as_json(windows: Sequence[Window]) -> str:
    return orjson.dumps([list(window) for window in windows]).decode()
