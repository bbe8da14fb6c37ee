from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.views.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.ledger.store import Ledger
    from bulk.model import ValidRow


def test_a_snapshot_shows_nothing_that_was_written_since(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"), valid(3, "p1", "b"), valid(4, "p1", "b"))
    with closing(Snapshot(path)) as snapshot:
        ledger.connection.execute(
            "INSERT INTO modules (product_key, module_name, outcome, settled_at, run_id) "
            "VALUES ('p1', 'a', 'created', '', 'r')"
        )

        counted = snapshot.outcomes()

    assert {outcome: rows for outcome, rows in counted.items() if rows} == {"pending": 2, "duplicate": 1}
    assert ledger.outcomes()["created"] == 1


def test_the_log_can_be_emptied_once_a_snapshot_was_asked(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    empty = "PRAGMA wal_checkpoint(TRUNCATE)"
    read_in(valid(2, "p1", "a"))
    snapshot = Snapshot(path)
    ledger.connection.execute("UPDATE input SET name = 'other.csv'")
    ledger.connection.execute("PRAGMA busy_timeout = 0")
    (held, *_) = ledger.connection.execute(empty).fetchone()

    snapshot.outcomes()

    (held_still, *_) = ledger.connection.execute(empty).fetchone()
    assert (held, held_still) == (1, 0)
    snapshot.close()


def test_a_snapshot_that_was_closed_counts_no_more(path: Path, ledger: Ledger) -> None:  # noqa: ARG001 - lays it out
    snapshot = Snapshot(path)
    snapshot.close()

    with pytest.raises(LedgerError):
        snapshot.outcomes()
