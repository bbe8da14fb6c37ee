from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.ledger import retention
from bulk.ledger.retention import KEEP_DAYS, forget_old
from bulk.ledger.sql import query
from bulk.ledger.times import iso_utc

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.ledger.store import Ledger

NOW = 1_800_000_000.0
DAY_S = 86_400.0


def attempt(ledger: Ledger, name: str | None, *, days_ago: float, code: str | None = "x") -> None:
    ledger.connection.execute(
        "INSERT INTO attempts (run_id, at, action, product_key, module_name, code, latency_ms) "
        "VALUES ('r', ?, 'a', 'p', ?, ?, 1)",
        (iso_utc(NOW - days_ago * DAY_S), name, code),
    )


def claim(ledger: Ledger, name: str, *, days_ago: float) -> None:
    ledger.connection.execute(
        "INSERT INTO claims (product_key, module_name, kind, found_alias, run_id, at) "
        "VALUES ('p', ?, 'update', 'x', 'r', ?)",
        (name, iso_utc(NOW - days_ago * DAY_S)),
    )


def module(ledger: Ledger, name: str, outcome: str, *, in_doubt: bool = False) -> None:
    ledger.connection.execute(
        "INSERT INTO modules (product_key, module_name, outcome, in_doubt, settled_at, run_id) "
        "VALUES ('p', ?, ?, ?, '', 'r')",
        (name, outcome, in_doubt),
    )


def kept(ledger: Ledger, table: str) -> list[str | None]:
    return [name for (name,) in ledger.connection.execute(f"SELECT module_name FROM {table} ORDER BY id")]


def test_old_attempts_and_undo_data_are_removed_and_young_ones_stay(ledger: Ledger, path: Path) -> None:
    for name, days_ago in (("old", KEEP_DAYS + 1), (None, KEEP_DAYS + 1), ("young", KEEP_DAYS - 1)):
        attempt(ledger, name, days_ago=days_ago)
    claim(ledger, "old", days_ago=KEEP_DAYS + 1)
    claim(ledger, "young", days_ago=KEEP_DAYS - 1)

    removed = forget_old(ledger.connection, path, at=NOW)

    assert removed == 3
    assert kept(ledger, "attempts") == ["young"]
    assert kept(ledger, "claims") == ["young"]
    assert forget_old(ledger.connection, path, at=NOW + 3 * DAY_S) == 2


@pytest.mark.parametrize(("outcome", "in_doubt"), [("sending", False), ("unknown", False), ("failed", True)])
def test_nothing_of_a_key_in_doubt_is_removed(outcome: str, in_doubt: bool, ledger: Ledger, path: Path) -> None:
    module(ledger, "Doubt", outcome, in_doubt=in_doubt)
    module(ledger, "sure", "created")
    for name in ("doubt", "sure"):
        attempt(ledger, name, days_ago=1_000)
        claim(ledger, name, days_ago=1_000)

    forget_old(ledger.connection, path, at=NOW)

    assert kept(ledger, "attempts") == ["doubt"]
    assert kept(ledger, "claims") == ["doubt"]


def test_the_first_request_that_was_accepted_stays_and_with_it_the_binding(ledger: Ledger, path: Path) -> None:
    for name, code in (("refused", "x"), ("first", None), ("second", None)):
        attempt(ledger, name, days_ago=1_000, code=code)

    forget_old(ledger.connection, path, at=NOW)

    assert kept(ledger, "attempts") == ["first"]
    assert ledger.connection.execute(query("is_bound"), {"account": ""}).fetchone() == (1,)


def test_records_are_removed_in_portions_until_the_run_is_stopped(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_TOGETHER", 2)
    for number in range(7):
        attempt(ledger, f"m{number}", days_ago=1_000)
    answers = iter([False, False, True, True])

    assert forget_old(ledger.connection, path, at=NOW, stopped=lambda: next(answers)) == 4
    assert forget_old(ledger.connection, path, at=NOW) == 3


def test_keys_in_doubt_do_not_hide_old_records_behind_them(
    ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_TOGETHER", 2)
    module(ledger, "doubt", "sending")
    for name in ("doubt", "doubt", "doubt", "old", "old"):
        attempt(ledger, name, days_ago=1_000)

    forget_old(ledger.connection, path, at=NOW)

    assert kept(ledger, "attempts") == ["doubt"] * 3


def test_the_file_stops_growing(ledger: Ledger, path: Path) -> None:
    def a_quarter(number: int) -> int:
        for _ in range(500):
            attempt(ledger, "m", days_ago=-number * KEEP_DAYS)
        forget_old(ledger.connection, path, at=NOW + number * KEEP_DAYS * DAY_S + 1)
        (pages,) = ledger.connection.execute("PRAGMA page_count").fetchone()
        return int(pages)

    sizes = [a_quarter(number) for number in range(6)]

    assert sizes[2] == sizes[-1]


def test_old_plans_are_removed_with_their_changes(ledger: Ledger, path: Path) -> None:
    plans = (("old", KEEP_DAYS + 1, True), ("left", KEEP_DAYS + 1, False), ("young", 1, True))
    for run_id, days_ago, finished in plans:
        at = iso_utc(NOW - days_ago * DAY_S)
        ledger.connection.execute(
            "INSERT INTO plans (run_id, made_at, input, input_sha256, flags, finished_at) VALUES (?, ?, '', '', '', ?)",
            (run_id, at, at if finished else None),
        )
        ledger.connection.execute(
            "INSERT INTO planned (run_id, product_key, module_name, kind) VALUES (?, 'p', 'm', 'update')", (run_id,)
        )

    forget_old(ledger.connection, path, at=NOW)

    for table in ("plans", "planned"):
        assert ledger.connection.execute(f"SELECT run_id FROM {table}").fetchall() == [("young",)]
