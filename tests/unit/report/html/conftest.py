from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.sql import query
from bulk.ledger.store import Ledger
from bulk.ledger.times import iso_utc
from bulk.model import Action, Dialect, Outcome, ReadRows, Target
from bulk.report.html.content import read_content
from bulk.report.html.page import render
from bulk.rows import InputShape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.report.html.content import Content

BEGAN_AT = 1_800_000_000.0
SHAPE = InputShape("csv", "utf-8", ",", ("ProductKey", "ModuleName"), {})


@dataclass
class Book:
    """A ledger that a test writes, row by row and request by request."""

    ledger: Ledger

    @property
    def path(self) -> Path:
        return self.ledger.path

    def read_in(
        self, *names: tuple[str, str], name: str = "modules.csv", invalid: tuple[str, str] | None = None
    ) -> None:
        rows = ReadRows([(line, *pair, "", "", "[]") for line, pair in enumerate(names, 2)])
        if invalid:
            record, problem = invalid
            rows.invalid.append((len(names) + 2, record, "record.json", problem))
        with self.ledger.intake(name=name, shape=SHAPE.to_json(), at=BEGAN_AT) as intake:
            intake.add(rows)

    def begin(self, run_id: str, *, at: float = BEGAN_AT, create_per_s: float = 10.0) -> None:
        self.ledger.begin_run(
            run_id,
            at=at,
            version="0.1",
            input_name="modules.csv",
            rates={Action.CREATE: create_per_s, Action.LIST: 10.0},
        )

    def end(self, run_id: str, *, at: float = BEGAN_AT + 60, exit_code: int = 1, summary: str | None = None) -> None:
        self.ledger.end_run(run_id, at=at, exit_code=exit_code, stopped=None, summary=summary)

    def settle(
        self, key: str, name: str, outcome: Outcome, *, code: str | None = None, message: str | None = None
    ) -> None:
        settled = (1, 0, 0, iso_utc(BEGAN_AT), "r1", 0, None, None)
        values = ("", key, name, None, None, outcome, code, message, None, *settled)
        self.ledger.connection.execute(query("record"), values)

    def send(
        self,
        run_id: str,
        after_s: float,
        *,
        action: Action = Action.CREATE,
        code: str | None = None,
        latency_ms: float = 50.0,
    ) -> None:
        values = (run_id, iso_utc(BEGAN_AT + after_s), action, "", "a1", "m", 200, code, None, None, latency_ms)
        self.ledger.connection.execute(query("add_attempt"), values)

    def content(self) -> Content:
        return read_content(self.path)

    def page(self) -> str:
        return render(self.content(), written_at=datetime.fromtimestamp(BEGAN_AT, UTC))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    ledger = Ledger.open(tmp_path / "modules.csv.ledger.db", target=Target(Dialect.TUYA, "https://example.com:8686"))
    yield Book(ledger)
    ledger.close()


@pytest.fixture
def finished(book: Book) -> Callable[[], Book]:
    """Return a maker of a ledger whose only run made one module of two."""

    def make() -> Book:
        book.read_in(("a1", "m1"), ("a1", "m2"))
        book.begin("r1")
        book.send("r1", 0)
        book.settle("a1", "m1", Outcome.CREATED)
        book.settle("a1", "m2", Outcome.FAILED, code="iot.prod.NotExistedProduct", message="no such product")
        book.end("r1")
        return book

    return make
