from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError
from bulk.model import Action, Outcome
from bulk.report.html import content as content_module
from bulk.report.html.content import read_content

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_attempts_are_counted_by_second_action_and_code(book: Any) -> None:
    book.begin("r1")
    book.send("r1", 0.1, action=Action.LIST, latency_ms=8.04)
    book.send("r1", 0.2, latency_ms=123.4)
    book.send("r1", 0.9, code="Throttling.User", latency_ms=7_654.0)
    book.send("r1", 2.0, latency_ms=45_678.0)

    (chart,) = book.content().charts

    assert chart.per_s["create"] == [2.0, 0.0, 1.0]
    assert chart.per_s["list"] == [1.0, 0.0, 0.0]
    assert chart.throttled == [1, None, None]
    assert (chart.p50_ms[0], chart.p99_ms[0], chart.p50_ms[2]) == (120.0, 7_700.0, 46_000.0)


def test_each_run_has_its_own_chart_the_last_first(book: Any) -> None:
    for number, run_id in enumerate(["r1", "r2"]):
        book.begin(run_id, create_per_s=5.0 + number)
        book.send(run_id, 1_000.0 * number)
    book.begin("r3")

    charts = book.content().charts

    assert [(chart.run_id, chart.asked_per_s, chart.requests["create"]) for chart in charts] == [
        ("r2", 6.0, 1),
        ("r1", 5.0, 1),
    ]


def test_rows_not_sent_yet_are_not_listed(book: Any) -> None:
    book.read_in(("a1", "m1"), ("a1", "m2"), ("a1", "m3"))
    book.settle("a1", "m1", Outcome.CREATED)
    book.settle("a1", "m2", Outcome.UNKNOWN, message="sent")

    (row,) = book.content().rows

    assert (row.line, row.product_key, row.module_name, row.outcome) == (3, "a1", "m2", "unknown")


def test_an_invalid_row_is_shown_as_it_was_and_cut_where_it_is_long(book: Any) -> None:
    book.read_in(invalid=(f'["a 1","{"m" * 300}"]', "ProductKey holds ' '"))

    (row,) = book.content().rows

    assert row.product_key is None
    assert row.record == ("a 1", f"{'m' * 197}…")


def test_products_over_budget_say_who_holds_their_slots(book: Any) -> None:
    book.read_in(("a1", "m1"), ("a2", "m1"), ("a2", "m2"))
    for key, name in [("a1", "m1"), ("a2", "m1"), ("a2", "m2")]:
        book.settle(key, name, Outcome.OVER_BUDGET, message=f"held by {key}, told to {name}")

    crowded = book.content().crowded

    assert crowded == (("a2", 2, 3, "held by a2, told to m1", ""), ("a1", 1, 2, "held by a1, told to m1", ""))


def test_no_more_rows_are_read_than_a_page_can_hold(book: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "MOST_ROWS", 2)
    book.read_in(*[("a1", f"m{number}") for number in range(5)])
    for number in range(5):
        book.settle("a1", f"m{number}", Outcome.FAILED)

    assert [row.line for row in book.content().rows] == [2, 3]


def test_a_ledger_without_input_has_a_report(book: Any) -> None:
    read = book.content()

    assert (read.rows, read.charts, read.crowded) == ((), (), ())


def test_a_missing_ledger_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nowhere\.db: there is no such ledger"):
        read_content(tmp_path / "nowhere.db")


def test_a_ledger_that_is_being_written_can_be_read(finished: Callable[[], Any]) -> None:
    book = finished()
    book.ledger.connection.execute("BEGIN IMMEDIATE")
    book.send("r1", 5)

    (chart,) = book.content().charts

    assert chart.requests["create"] == 1
