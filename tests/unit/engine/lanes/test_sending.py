"""What ends the sending early: a stop, failed keys, a ledger that can't be written; and what is left in doubt."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.accounts import Account, OpenedAccount
from bulk.engine.lanes import sending
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.errors import LedgerError, SettingsError
from bulk.ledger.writer import LedgerWriter
from bulk.sandbox import FaultPlan
from bulk.settings import FailureCap
from tests.unit.engine.conftest import carrying

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import Summary

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
OWNED = "Account,ProductKey,ModuleName\n"


def outcomes(summary: Summary) -> dict[str, int]:
    return {outcome: count for outcome, count in summary.outcomes.items() if count}


def on_disk(ledger: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("SELECT module_name, outcome FROM modules ORDER BY module_name").fetchall()


@pytest.fixture
def silenced(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], asyncio.Event]:
    """Let requests for an action be carried out and never answered; return what is set when one was."""

    def silence(action: str) -> asyncio.Event:
        arrived = asyncio.Event()

        async def send(carrier: Any, request: Any, **how: Any) -> Any:
            reply = await carrier.send(request, **how)
            if f"Action={action}&" in request.query:
                arrived.set()
                await asyncio.Event().wait()
            return reply

        monkeypatch.setattr(sending, "HttpTransport", carrying(sending, send))
        return arrived

    return silence


async def test_request_that_a_stop_no_longer_waits_for_is_in_doubt_and_recovered_by_the_next_run(
    write: Write, make_box: Make, silenced: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bulk.engine.lanes.sending._GRACE_S", 0.0)
    box, stop, source = make_box(), StopSignal(), write("m.csv", f"{HEADER}a1A,m,,\n")
    work = vars(sending)["HttpTransport"]
    arrived = silenced("CreateOTAModule")
    running = asyncio.ensure_future(run(source, box.settings(), credentials=box.keys(), stop=stop))
    await arrived.wait()

    stop.request("Ctrl-C", exit_code=130)
    stopped = await running

    assert (stopped.exit_code, stopped.stopped) == (130, "Ctrl-C")
    assert on_disk(tmp_path / "m.csv.ledger.db") == [("m", "sending")]
    monkeypatch.setattr("bulk.engine.lanes.sending.HttpTransport", work)
    again = await run(source, box.settings(), credentials=box.keys())
    assert (again.exit_code, outcomes(again), again.recovered) == (0, {"created": 1}, 1)
    assert box.actions()["CreateOTAModule"] == 1


async def test_timeout_of_a_source_of_keys_is_not_taken_for_the_end_of_the_grace(write: Write, make_box: Make) -> None:
    box = make_box()

    class Slow(StaticCredentials):
        asked = 0

        async def current(self) -> Credentials:
            self.asked += 1
            if self.asked > 1:
                raise TimeoutError("the vault took too long")
            return await super().current()

    keys = box.credentials_of("")
    with pytest.raises(TimeoutError, match="the vault took too long"):
        await run(
            write("m.csv", f"{HEADER}a1A,m,,\n"),
            box.settings(),
            credentials=Slow(Credentials(keys.access_key_id, keys.access_key_secret)),
        )


async def test_account_whose_keys_are_not_there_before_a_stop_keeps_its_rows(
    write: Write, make_box: Make, make_job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, stop = make_box(), StopSignal()
    box.let_in(lambda *_: stop.request("Ctrl-C", exit_code=130))
    settings, _ = make_job({"cn": box, "eu": make_box(), "us": make_box()})

    async def open_keys(account: Account, **_: Any) -> OpenedAccount:
        if account.name == "eu":
            await asyncio.Event().wait()
        if account.name == "us":
            raise SettingsError("there are no keys")
        return OpenedAccount(account=account, credentials=box.keys(), rate_group=account.name)

    monkeypatch.setattr("bulk.engine.sessions.keys.open_account_keys", open_keys)
    monkeypatch.setattr("bulk.engine.sessions.keys._PATIENCE_S", 0.0)
    monkeypatch.setattr("bulk.engine.sessions.keys._OPENED_PER_S", 1e6)

    summary = await run(write("m.csv", f"{OWNED}cn,a1A,m\neu,a1A,m\nus,a1A,m\n"), settings, stop=stop)

    assert (summary.exit_code, outcomes(summary)) == (130, {"pending": 3})
    assert summary.accounts["us"].stopped == "there are no keys"
    assert (summary.accounts["eu"].stopped, summary.accounts["eu"].exit_code) == ("Ctrl-C", 130)


async def test_disk_that_fills_up_ends_the_run_and_every_create_that_arrived_is_in_the_ledger(
    write: Write, make_box: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    box = make_box()

    def nearly_full(connection: sqlite3.Connection, path: Path, **how: Any) -> LedgerWriter:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return LedgerWriter(connection, path, **how)

    monkeypatch.setattr("bulk.engine.lanes.sending.LedgerWriter", nearly_full)
    rows = "".join(f"a1{product:03},m{number},,{'d' * 90}\n" for product in range(30) for number in range(5))

    with pytest.raises(LedgerError, match="the disk is full: make room and run the same command again"):
        await run(write("m.csv", HEADER + rows), box.settings(concurrency=2), credentials=box.keys())

    with closing(sqlite3.connect(tmp_path / "m.csv.ledger.db")) as connection:
        known = set(connection.execute("SELECT product_key, module_name FROM modules").fetchall())
    made = {(one.product_key, one.module_name) for one in box.carried_out}
    assert 0 < len(made) < 150
    assert made <= known


async def test_too_many_failed_rows_stop_the_run(write: Write, make_box: Make) -> None:
    box = make_box(products=frozenset({"a1Z"}))
    rows = "".join(f"a1{number:04},m,,\n" for number in range(9))

    summary = await run(
        write("m.csv", HEADER + rows),
        box.settings(max_failures=FailureCap(rows=2), concurrency=1),
        credentials=box.keys(),
    )

    assert (summary.exit_code, outcomes(summary)) == (3, {"failed": 3, "pending": 6})
    assert summary.stopped == "3 rows failed; the limit is 2 (--max-failures): see their reasons"


async def test_faults_that_pass_leave_every_row_created(write: Write, make_box: Make) -> None:
    faults = "refuse=1x,list:throttle=2x,list:http503=1x@3,create:reset=2x,create:throttle=1x@3,create:http500=1x@4"
    box = make_box(faults=FaultPlan.parse(faults))
    rows = "".join(f"a1A,m{number},,\n" for number in range(5))

    summary = await run(write("m.csv", HEADER + rows), box.settings(), credentials=box.keys())

    assert (summary.exit_code, outcomes(summary)) == (0, {"created": 5})
    assert {*box.texts("a1A")} == {f"m{number}" for number in range(5)}
    assert summary.throttled == 3
    assert summary.recovered == 2
