from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_for_reading
from bulk.ledger.writer import LedgerWriter
from bulk.model import Action, Attempt, ChangeKind, FailureKind, OtaModule, Outcome, Settlement, Trait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bulk.ledger.store import Ledger


def settlement(name: str, outcome: Outcome, *, message: str | None = None) -> Settlement:
    return Settlement(line=2, module=OtaModule("p1", name), outcome=outcome, message=message, at=0.0)


@pytest.fixture
def failures() -> list[LedgerError]:
    return []


@pytest.fixture
async def writer(path: Path, ledger: Ledger, failures: list[LedgerError]) -> AsyncIterator[LedgerWriter]:
    made = LedgerWriter(
        ledger.connection, path, run_id="r1", loop=asyncio.get_running_loop(), on_failure=failures.append
    )
    yield made
    if not failures:
        await asyncio.to_thread(made.close)


def on_disk(path: Path) -> list[tuple[str, str]]:
    connection = open_for_reading(path)
    try:
        return connection.execute("SELECT module_name, outcome FROM modules ORDER BY module_name").fetchall()
    finally:
        connection.close()


async def test_a_claim_is_on_disk_when_it_returns(writer: LedgerWriter, path: Path) -> None:
    await writer.claim([settlement("a", Outcome.SENDING), settlement("b", Outcome.SENDING)])

    assert on_disk(path) == [("a", "sending"), ("b", "sending")]


async def test_a_claim_carries_what_was_handed_over_before_it(writer: LedgerWriter, path: Path) -> None:
    writer.settle(settlement("a", Outcome.CREATED))

    await writer.claim([settlement("b", Outcome.SENDING)])

    assert on_disk(path) == [("a", "created"), ("b", "sending")]


async def test_the_last_word_on_a_module_stands(writer: LedgerWriter, path: Path) -> None:
    writer.settle(settlement("a", Outcome.SENDING))
    writer.settle(settlement("A", Outcome.CREATED))

    await writer.claim([])

    assert on_disk(path) == [("A", "created")]


async def test_what_is_not_known_of_an_outcome_or_a_request_is_null(writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.CREATED))
    writer.note(
        Attempt(
            at=0.0,
            action=Action.LIST,
            product_key="p1",
            module_name=None,
            http_status=None,
            code=None,
            request_id=None,
            latency_s=0.1,
        )
    )

    await asyncio.to_thread(writer.close)

    assert ledger.connection.execute("SELECT code, message, request_id FROM modules").fetchall() == [(None,) * 3]
    assert ledger.connection.execute(
        "SELECT module_name, http_status, code, failure, request_id FROM attempts"
    ).fetchall() == [(None,) * 5]


async def test_a_claim_takes_the_place_of_what_an_earlier_run_knew(writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.FAILED, message="the platform was down"))

    await writer.claim([settlement("a", Outcome.SENDING)])

    assert ledger.connection.execute("SELECT outcome, message FROM modules").fetchall() == [("sending", None)]


def ours(ledger: Ledger) -> list[tuple[object, ...]]:
    return ledger.connection.execute("SELECT outcome, owned, written_alias, written_desc FROM modules").fetchall()


@pytest.mark.parametrize("kind", [ChangeKind.UPDATE, ChangeKind.DELETE])
async def test_no_outcome_overwrites_what_is_ours_on_the_platform(
    kind: ChangeKind, writer: LedgerWriter, ledger: Ledger
) -> None:
    made = settlement("a", Outcome.CREATED)._replace(module=OtaModule("p1", "a", "as written"))
    await writer.claim([made._replace(outcome=Outcome.SENDING)])
    writer.settle(made)
    for outcome in set(Outcome) - Outcome.having(Trait.ABSENT):
        writer.settle(settlement("A", outcome)._replace(module=OtaModule("p1", "A", "another", "text")))
        if outcome is Outcome.CREATED:
            writer.settle(made)

    await writer.claim([made._replace(outcome=Outcome.SENDING, module=OtaModule("p1", "a", "third"), kind=kind)])

    assert ours(ledger) == [("sending", 1, "as written", "")]


@pytest.mark.parametrize("outcome", sorted(Outcome.having(Trait.ABSENT)))
async def test_what_is_absent_is_not_ours_any_more(outcome: Outcome, writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.CREATED))
    writer.settle(settlement("A", outcome))

    await writer.claim([])

    assert ours(ledger) == [(outcome, 0, None, None)]


async def test_the_claim_of_a_create_says_that_a_listing_did_not_show_ours(
    writer: LedgerWriter, ledger: Ledger
) -> None:
    writer.settle(settlement("a", Outcome.CREATED))

    await writer.claim([settlement("a", Outcome.SENDING)])

    assert ours(ledger) == [("sending", 0, None, None)]


async def test_an_update_says_what_was_written_and_makes_nobody_the_owner(writer: LedgerWriter, ledger: Ledger) -> None:
    updated = settlement("a", Outcome.UPDATED)._replace(written=OtaModule("p1", "a", "new", None))
    writer.settle(updated)

    await writer.claim([])

    assert ours(ledger) == [("updated", 0, "new", None)], "what the row leaves out was not written on our own account"


async def test_a_recovered_create_that_may_be_somebody_elses_is_not_ours(writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.CREATED)._replace(recovered=True, owned=False))

    await writer.claim([])

    assert ours(ledger) == [("created", 0, None, None)]


async def test_a_doubt_keeps_the_kind_of_its_claim_until_it_is_over(writer: LedgerWriter, ledger: Ledger) -> None:
    claim = settlement("a", Outcome.SENDING)._replace(kind=ChangeKind.UPDATE, found=OtaModule("p1", "a", "old"))
    await writer.claim([claim])
    writer.settle(settlement("a", Outcome.UNKNOWN)._replace(in_doubt=True))
    await writer.claim([])
    assert ledger.connection.execute("SELECT claimed FROM modules").fetchall() == [("update",)]

    writer.settle(settlement("a", Outcome.UPDATED))
    await writer.claim([])

    assert ledger.connection.execute("SELECT claimed FROM modules").fetchall() == [(None,)]


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.CREATED}))
async def test_what_this_ledger_did_not_create_is_not_its_own(
    outcome: Outcome, writer: LedgerWriter, ledger: Ledger
) -> None:
    writer.settle(settlement("a", outcome)._replace(module=OtaModule("p1", "a", "x", "y")))

    await writer.claim([])

    assert ours(ledger) == [(outcome, 0, None, None)]


async def test_a_claim_keeps_its_kind_and_what_it_replaces(writer: LedgerWriter, ledger: Ledger) -> None:
    wanted, found = OtaModule("p1", "a", "new", None), OtaModule("p1", "a", "old", "text")
    update = settlement("a", Outcome.SENDING)._replace(module=wanted, kind=ChangeKind.UPDATE, found=found)
    delete = settlement("b", Outcome.SENDING)._replace(kind=ChangeKind.DELETE, found=found, line=None, account="acme")

    await writer.claim([update, delete, settlement("c", Outcome.SENDING)])

    assert ledger.connection.execute(query("claims_in_doubt")).fetchall() == [
        ("", "p1", "a", "new", None, "update", 2, "old", "text"),
        ("", "p1", "c", None, None, "create", None, None, None),
        ("acme", "p1", "b", None, None, "delete", None, "old", "text"),
    ]
    writer.settle(settlement("c", Outcome.CREATED))
    await writer.claim([])
    assert len(ledger.connection.execute(query("claims_in_doubt")).fetchall()) == 2


async def test_accounts_keep_their_modules_apart(writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.CREATED)._replace(account="acme"))
    writer.settle(settlement("a", Outcome.FAILED)._replace(account="other"))

    await writer.claim([])

    assert ledger.connection.execute("SELECT account, outcome, owned FROM modules").fetchall() == [
        ("acme", "created", 1),
        ("other", "failed", 0),
    ]


@pytest.mark.parametrize("rows", [1, 127, 128, 300])
async def test_every_record_of_a_group_is_written_once(rows: int, writer: LedgerWriter, path: Path) -> None:
    names = [f"m{number:03d}" for number in range(rows)]

    await writer.claim([settlement(name, Outcome.SENDING) for name in names])

    assert on_disk(path) == [(name, "sending") for name in names]


async def test_closing_writes_what_is_left(writer: LedgerWriter, path: Path) -> None:
    writer.settle(settlement("a", Outcome.CREATED))

    await asyncio.to_thread(writer.close)

    assert on_disk(path) == [("a", "created")]


async def test_attempts_are_kept_for_the_auditor(writer: LedgerWriter, ledger: Ledger) -> None:
    attempt = Attempt(
        at=1_800_000_000.25,
        action=Action.CREATE,
        product_key="p1",
        module_name="a",
        http_status=200,
        code="Throttling",
        request_id="R-1",
        latency_s=0.0123,
        failure=FailureKind.THROTTLED,
    )

    writer.note(attempt)
    await asyncio.to_thread(writer.close)

    (kept,) = ledger.connection.execute(
        "SELECT run_id, at, action, http_status, request_id, latency_ms, code, failure FROM attempts"
    ).fetchall()
    assert kept == ("r1", "2027-01-15T08:00:00.250Z", "CreateOTAModule", 200, "R-1", 12.3, "Throttling", "throttled")


async def test_a_full_disk_fails_the_claim_and_says_so_once(
    writer: LedgerWriter, ledger: Ledger, path: Path, failures: list[LedgerError]
) -> None:
    writer.settle(settlement("kept", Outcome.CREATED))
    await writer.claim([])
    (pages,) = ledger.connection.execute("PRAGMA page_count").fetchone()
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(LedgerError, match="the disk is full: make room and run the same command again"):
        await writer.claim([settlement(f"m{number}", Outcome.SENDING) for number in range(1_000)])
    with pytest.raises(LedgerError):
        await writer.claim([settlement("late", Outcome.SENDING)])
    with pytest.raises(LedgerError):
        await asyncio.to_thread(writer.close)

    assert len(failures) == 1
    assert on_disk(path) == [("kept", "created")]


async def test_a_record_that_cannot_be_stored_keeps_nobody_waiting(
    writer: LedgerWriter, failures: list[LedgerError]
) -> None:
    writer.settle(settlement("a", Outcome.FAILED, message="\ud800"))

    with pytest.raises(LedgerError, match="a record could not be written"):
        await writer.claim([])

    assert len(failures) == 1
    with pytest.raises(LedgerError):
        await asyncio.to_thread(writer.close)


async def test_what_is_no_outcome_is_committed_with_those_before_it(writer: LedgerWriter, ledger: Ledger) -> None:
    writer.settle(settlement("a", Outcome.CREATED))
    await writer.claim([])
    before = ours(ledger)

    writer.amend("end_ownership", "", "p1", "a")
    await writer.claim([])

    assert before == [("created", 1, "", "")]
    assert ours(ledger) == [("created", 0, None, None)]


async def test_a_claim_that_nobody_waits_for_any_more_keeps_no_other_waiting(
    writer: LedgerWriter, path: Path, failures: list[LedgerError]
) -> None:
    given_up = asyncio.ensure_future(writer.claim([settlement("a", Outcome.SENDING)]))
    await asyncio.sleep(0)  # it has handed its rows over, and the thread can't have answered on this loop yet
    given_up.cancel()

    await writer.claim([settlement("b", Outcome.SENDING)])

    assert given_up.cancelled()
    assert on_disk(path) == [("a", "sending"), ("b", "sending")]
    assert failures == []


async def test_a_commit_that_sqlite_has_rolled_back_by_itself_is_said_as_it_was(
    writer: LedgerWriter, ledger: Ledger, path: Path, failures: list[LedgerError]
) -> None:
    ledger.connection.execute(
        "CREATE TRIGGER no_more BEFORE INSERT ON modules BEGIN SELECT RAISE(ROLLBACK, 'no more of them'); END"
    )
    writer.settle(settlement("a", Outcome.FAILED))

    with pytest.raises(LedgerError, match="no more of them"):
        await writer.claim([])

    assert on_disk(path) == []
    assert len(failures) == 1
    with pytest.raises(LedgerError):
        await asyncio.to_thread(writer.close)


async def test_claims_from_many_lanes_share_commits(writer: LedgerWriter, ledger: Ledger) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    ledger.connection.set_trace_callback(count)
    await asyncio.gather(*(writer.claim([settlement(f"m{number}", Outcome.SENDING)]) for number in range(100)))

    assert 1 <= commits <= 3


def test_sqlite_is_new_enough() -> None:
    assert sqlite3.sqlite_version_info >= (3, 35)
