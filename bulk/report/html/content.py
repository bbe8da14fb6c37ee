"""Read from a ledger what its report shows: one snapshot, even if a live run commits meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.ledger.views.history import read_failed_attempts, read_over_budget, read_spans, read_traffic
from bulk.ledger.views.reading import at_one_moment, read_input, read_results
from bulk.ledger.views.status import status_of
from bulk.ledger.views.sync import read_sync
from bulk.model import PROVISIONED_OUTCOMES, ROW_OUTCOMES, Outcome
from bulk.report.html.charts import draw, window_of
from bulk.rows import InputShape, cells

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from bulk.ledger.views.history import CrowdedProduct
    from bulk.ledger.views.reading import Result
    from bulk.ledger.views.status import LedgerStatus
    from bulk.ledger.views.sync import SyncRecord
    from bulk.report.html.charts import RunChart

__all__ = ["MOST_CHANGES", "MOST_PRODUCTS", "MOST_ROWS", "SHOWN_OUTCOMES", "Content", "OpenRow", "read_content"]

MOST_ROWS = 2_000
"""Most rows on a page that a phone can still scroll."""

MOST_PRODUCTS = 100
MOST_CHANGES = 50
"""Most changes of each kind on the page; the plan has the rest."""

_MOST_CHARTS = 10
_RECORD_CHARACTERS = 200

SHOWN_OUTCOMES = frozenset(ROW_OUTCOMES) - PROVISIONED_OUTCOMES - {Outcome.PENDING}
"""Rows that are listed one by one. Those not sent yet need no look: the next run sends them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """A row that is not provisioned."""

    line: int
    product_key: str | None
    module_name: str | None
    record: tuple[str, ...] | None
    """The row's cells as they were, shortened; only where it could not be read as a module."""

    outcome: str
    code: str | None
    message: str | None
    account: str | None = None
    """Its account; ``None``: the row does not say, or no accounts are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that a report shows."""

    path: str
    """The ledger's path as given, which opens it. The path in the status is for display."""

    status: LedgerStatus
    input_format: str | None
    """``csv``, ``tsv`` or ``jsonl``; ``None``: no input was read yet."""

    charts: tuple[RunChart, ...]
    """Charts of the last runs that sent anything, the latest first."""

    crowded: tuple[CrowdedProduct, ...]
    """At most `MOST_PRODUCTS`."""

    rows: tuple[OpenRow, ...]
    """At most `MOST_ROWS`, in the input's order."""

    sync: SyncRecord
    """Its lists have at most `MOST_CHANGES` of each kind."""


def read_content(ledger: Path) -> Content:
    """Read a ledger, also while a run is at work on it.

    Raises:
        LedgerError: There is no such ledger, or it can't be read.
    """
    with at_one_moment(ledger) as connection:
        status = status_of(connection, ledger)
        shape = _shape(connection, ledger)
        return Content(
            path=str(ledger),
            status=status,
            input_format=shape.format if shape else None,
            charts=tuple(_charts(connection, ledger, status)),
            crowded=read_over_budget(connection, ledger, products=MOST_PRODUCTS),
            rows=tuple(_rows(connection, ledger, shape)) if shape else (),
            sync=read_sync(connection, ledger, changes=MOST_CHANGES),
        )


def _charts(connection: sqlite3.Connection, ledger: Path, status: LedgerStatus) -> list[RunChart]:
    spans = read_spans(connection, ledger, runs=_MOST_CHARTS)
    windows = [window_of(span) for span in spans]
    return draw(
        spans,
        read_traffic(connection, ledger, windows),
        read_failed_attempts(connection, ledger, windows),
        # The chart shows what all accounts sent: a line for the rate of one account would mislead.
        {} if status.accounts else {run.run_id: run.create_per_s for run in status.runs},
    )


def _shape(connection: sqlite3.Connection, ledger: Path) -> InputShape | None:
    text = read_input(connection, ledger)
    return None if text is None else InputShape.from_json(text)


def _rows(connection: sqlite3.Connection, ledger: Path, shape: InputShape) -> Iterator[OpenRow]:
    for result in read_results(connection, ledger, outcomes=SHOWN_OUTCOMES, limit=MOST_ROWS):
        yield OpenRow(
            line=result.line,
            product_key=result.product_key,
            module_name=result.module_name,
            record=None if result.product_key else _as_it_was(shape, result),
            outcome=result.outcome,
            code=result.code,
            message=result.message,
            account=result.account or None,
        )


def _as_it_was(shape: InputShape, result: Result) -> tuple[str, ...]:
    record = [result.record] if shape.format == "jsonl" else cells(shape, result.record, result.values)
    return tuple(_shortened(record))


def _shortened(record: Iterable[str]) -> Iterator[str]:
    """Yield a row's cells, up to `_RECORD_CHARACTERS` in all."""
    left = _RECORD_CHARACTERS
    for cell in record:
        if len(cell) > left:
            yield f"{cell[:left]}…"
            return
        yield cell
        left -= len(cell)
