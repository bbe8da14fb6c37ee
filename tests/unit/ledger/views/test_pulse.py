from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.ledger.sql import query
from bulk.ledger.times import iso_utc
from bulk.ledger.views.pulse import Pulse, read_pulse
from bulk.model import Action

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from bulk.ledger.store import Ledger

NOW = 1_800_000_000.0


def note(ledger: Ledger, action: Action, *, ago_s: float, code: str | None = None) -> None:
    attempt = ("r1", iso_utc(NOW - ago_s), action, "", "pk", None, 200, code, None, None, 1.0)
    ledger.connection.execute(query("add_attempt"), attempt)


def test_pulse_counts_what_was_sent_in_the_last_seconds(ledger: Ledger, path: Path) -> None:
    note(ledger, Action.CREATE, ago_s=6)
    for ago_s in (4, 3, 2, 1):
        note(ledger, Action.CREATE, ago_s=ago_s)
    note(ledger, Action.CREATE, ago_s=0.5, code="Throttling.User")
    note(ledger, Action.LIST, ago_s=0.2, code="ServiceUnavailable")
    note(ledger, Action.LIST, ago_s=0.1, code="Throttling.User")

    pulse = read_pulse(path, now=NOW, span_s=5.0)

    assert pulse == Pulse(
        span_s=5.0,
        per_s={Action.CREATE: 1.0, Action.LIST: 0.4},
        failures={"Throttling.User": 2, "ServiceUnavailable": 1},
    )


def test_pulse_of_a_run_that_sends_nothing_is_zero(ledger: Ledger, path: Path) -> None:
    note(ledger, Action.CREATE, ago_s=60)

    assert read_pulse(path, now=NOW, span_s=10.0) == Pulse(span_s=10.0, per_s={Action.CREATE: 0.0, Action.LIST: 0.0})


def test_pulse_looks_no_further_back_than_it_must(ledger: Ledger, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.ledger.views.pulse._MOST_ATTEMPTS", 2)
    for ago_s in (3, 2, 1):
        note(ledger, Action.CREATE, ago_s=ago_s)

    assert read_pulse(path, now=NOW, span_s=10.0).per_s[Action.CREATE] == 0.2


def test_pulse_has_the_keys_that_its_readers_know() -> None:
    pulse = Pulse(span_s=5.0, per_s={Action.CREATE: 1.0, Action.LIST: 0.4}, failures={"timeout": 1})

    assert pulse.keys() == {"span_s": 5.0, "creates_per_s": 1.0, "lists_per_s": 0.4, "failures": {"timeout": 1}}
