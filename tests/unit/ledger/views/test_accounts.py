from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.store import Ledger
from bulk.ledger.times import iso_utc
from bulk.ledger.views.accounts import AccountTraffic, read_account_traffic, read_accounts
from bulk.ledger.views.history import Window, read_over_budget
from bulk.ledger.views.pulse import read_pulse
from bulk.ledger.views.reading import at_one_moment, read_results
from bulk.ledger.views.snapshot import Snapshot
from bulk.model import ROW_OUTCOMES, Action, Dialect, ReadRows, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CN = Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com")
SG = Target(Dialect.ALIBABA, "https://iot.ap-southeast-1.aliyuncs.com")


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(path, targets={"cn": CN, "sg": SG, "idle": CN})) as opened:
        yield opened


def read_in(ledger: Ledger, *rows: tuple[str, str, str]) -> None:
    """Replace the rows: ``(account, ProductKey, ModuleName)``, from line 2 on; line 99 does not say whose it is."""
    read = ReadRows([(line, key, name, "", "", "[]") for line, (_, key, name) in enumerate(rows, 2)])
    read.accounts.extend(account for account, _, _ in rows)
    read.invalid.append((99, "[]", "account.blank", "Account is blank", None))
    with ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
        intake.add(read)


def settle(ledger: Ledger, account: str, key: str, name: str, outcome: str, code: str | None = None) -> None:
    ledger.connection.execute(
        "INSERT INTO modules (account, product_key, module_name, outcome, code, message, settled_at, run_id) "
        "VALUES (?, ?, ?, ?, ?, 'why', 't', 'r')",
        (account, key, name, outcome, code),
    )


def send(ledger: Ledger, account: str, run_id: str, action: Action, *, code: str = "", failure: str = "") -> None:
    ledger.connection.execute(
        "INSERT INTO attempts (run_id, at, action, account, product_key, code, failure, latency_ms) "
        "VALUES (?, ?, ?, ?, 'p', nullif(?, ''), nullif(?, ''), 1)",
        (run_id, iso_utc(1_000.0), action, account, code, failure),
    )


def some(**outcomes: int) -> dict[str, int]:
    return dict.fromkeys(map(str, ROW_OUTCOMES), 0) | outcomes


def test_rows_are_counted_in_all_and_by_account(ledger: Ledger, path: Path) -> None:
    read_in(ledger, ("cn", "p1", "a"), ("cn", "p1", "a"), ("cn", "p2", "b"), ("sg", "p1", "a"))
    settle(ledger, "cn", "p1", "a", "created")

    counted = ledger.counted()

    assert counted.outcomes == some(created=1, duplicate=1, pending=2, invalid=1) == ledger.outcomes()
    assert counted.by_account == {"cn": some(created=1, duplicate=1, pending=1), "sg": some(pending=1)}
    assert Snapshot(path).counted() == counted
    assert Snapshot(path).outcomes_by_account() == ledger.outcomes_by_account() == counted.by_account


def test_accounts_are_read_with_their_targets_and_what_is_absent(ledger: Ledger, path: Path) -> None:
    read_in(ledger, ("cn", "p1", "a"))
    settle(ledger, "cn", "p9", "gone", "created")
    settle(ledger, "left", "p1", "a", "created")

    with at_one_moment(path) as connection:
        found = read_accounts(connection, path)

    assert [(each.account, each.target, each.absent) for each in found] == [
        ("cn", CN, 1),
        ("idle", CN, 0),
        ("left", None, 1),
        ("sg", SG, 0),
    ]
    assert found[0].outcomes == some(pending=1)
    assert found[1].outcomes == some()


def test_a_ledger_without_named_accounts_has_none(path: Path) -> None:
    with closing(Ledger.open(path, targets={"": CN})) as ledger, ledger.intake(name="m", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([(2, "p1", "a", "", "", "[]")]))

    with at_one_moment(path) as connection:
        assert read_accounts(connection, path) == ()


def test_reasons_are_those_of_one_account_where_it_is_asked_for(ledger: Ledger) -> None:
    read_in(ledger, ("cn", "p1", "a"), ("cn", "p1", "b"), ("sg", "p1", "a"))
    settle(ledger, "cn", "p1", "a", "failed", "Forbidden")
    settle(ledger, "sg", "p1", "a", "failed", "Arrears")

    assert [(reason.code, reason.rows) for reason in ledger.reasons(account="cn")] == [("Forbidden", 1)]
    assert [reason.code for reason in ledger.reasons(account="sg")] == ["Arrears"]
    assert {reason.code for reason in ledger.reasons()} == {"Forbidden", "Arrears", "account.blank"}


def test_results_and_full_products_say_whose_they_are(ledger: Ledger, path: Path) -> None:
    read_in(ledger, ("cn", "p1", "a"), ("sg", "p1", "a"))
    settle(ledger, "sg", "p1", "a", "over_budget")

    with at_one_moment(path) as connection:
        assert [result.account for result in read_results(connection, path)] == ["cn", "sg", None]
        assert [(full.account, full.rows) for full in read_over_budget(connection, path, products=9)] == [("sg", 1)]


def test_traffic_is_counted_for_each_account(ledger: Ledger, path: Path) -> None:
    send(ledger, "cn", "r1", Action.LIST)
    send(ledger, "cn", "r1", Action.CREATE, code="Throttling.User", failure="throttled")
    send(ledger, "cn", "r1", Action.CREATE, code="Arrears", failure="fatal")
    send(ledger, "sg", "r2", Action.LIST)
    send(ledger, "sg", "other", Action.LIST)

    with at_one_moment(path) as connection:
        found = list(read_account_traffic(connection, path, [Window("r2", 0, 1), Window("r1", 0, 1)]))

    assert found == [
        AccountTraffic(0, "sg", Action.LIST, 1, 0, 0),
        AccountTraffic(1, "cn", Action.CREATE, 2, 2, 1),
        AccountTraffic(1, "cn", Action.LIST, 1, 0, 0),
    ]


def test_the_pulse_tells_accounts_apart(ledger: Ledger, path: Path) -> None:
    for _ in range(5):
        send(ledger, "cn", "r", Action.CREATE)
    send(ledger, "sg", "r", Action.LIST, code="Throttling.User")

    pulse = read_pulse(path, now=1_005.0, span_s=10.0)

    assert pulse.by_account == {"cn": {Action.CREATE: 0.5}, "sg": {Action.LIST: 0.1}}
    assert pulse.per_s == {Action.CREATE: 0.5, Action.LIST: 0.1}
    assert pulse.failures == {"Throttling.User": 1}
    assert "by_account" not in pulse.keys()  # noqa: SIM118 - the keys of its JSON
