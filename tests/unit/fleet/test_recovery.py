"""What a machine finds when it goes on: its own ledger, what was shipped, and which of the two knows more."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import StoppedError
from bulk.exits import ExitCode
from bulk.fleet.lease import Host
from bulk.fleet.local import take_local
from bulk.fleet.records import encoded
from bulk.fleet.recovery import answered, refill, shipped_before, unshipped
from bulk.fleet.store import Outage
from bulk.ledger.storage.database import open_for_reading
from bulk.ledger.store import Ledger
from bulk.ledger.writer import LedgerWriter
from bulk.model import Dialect, OtaModule, Outcome, Settlement, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from bulk.fleet.local import LocalShard
    from tests.unit.fleet.conftest import MemoryStore

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

NOW = 1_764_243_333.5
TARGETS = {"eu": Target(Dialect.ALIBABA, "https://platform")}


def record(number: int, outcome: Outcome = Outcome.CREATED, **more: Any) -> Settlement:
    said = {"line": number, "module": OtaModule("pk", f"m{number}", desc="d"), "outcome": outcome, "at": NOW + number}
    return Settlement(**{**said, "account": "eu", **more})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(tmp_path / "ledger.db", targets=TARGETS)) as ledger:
        yield ledger


@pytest.fixture
def here(tmp_path: Path) -> Iterator[LocalShard]:
    with closing(take_local(tmp_path, "split", 0, last=Host())) as here:
        yield here


async def write(ledger: Ledger, *records: Settlement) -> None:
    """Let a run record these; rows of the input ask for the modules."""

    def fail(error: Exception) -> None:
        raise error

    with ledger.intake(name="in.csv", shape="{}", at=NOW) as intake:
        rows = {one.line: one.module for one in records}
        intake.add_slice(
            [("eu", line, row.product_key, row.module_name, "", "d", "[]") for line, row in rows.items()], []
        )
    writer = LedgerWriter(ledger.connection, ledger.path, run_id="r", loop=asyncio.get_running_loop(), on_failure=fail)
    for one in records:
        if one.outcome is Outcome.SENDING:
            await writer.claim([one])
        else:
            writer.settle(one)
    await asyncio.to_thread(writer.close)


def known(path: Path) -> dict[str, str]:
    with closing(open_for_reading(path)) as connection:
        return dict(connection.execute("SELECT module_name, outcome FROM modules").fetchall())


async def test_outcome_that_is_in_the_ledger_and_not_in_the_store_is_to_be_shipped(ledger: Ledger) -> None:
    records = [record(2), record(3, Outcome.FAILED, code="iot.X", message="no"), record(4, request_id="R4")]
    await write(ledger, *records)

    lacking = unshipped(ledger, records[:1])

    assert [(one.line, one.outcome, one.code, one.request_id, one.account) for one in lacking] == [
        (3, Outcome.FAILED, "iot.X", None, "eu"),
        (4, Outcome.CREATED, None, "R4", "eu"),
    ]
    assert unshipped(ledger, [*records[:1], *lacking]) == []


async def test_later_outcome_of_a_module_that_was_shipped_before_is_to_be_shipped(ledger: Ledger) -> None:
    first = record(2, Outcome.FAILED, code="Throttling")
    await write(ledger, first, record(2, at=NOW + 9))

    (lacking,) = unshipped(ledger, [first])

    assert (lacking.line, lacking.outcome) == (2, Outcome.CREATED)


async def test_outcome_that_is_a_minute_older_than_the_last_shipped_one_was_shipped_long_ago(ledger: Ledger) -> None:
    await write(ledger, record(2, at=NOW - 100), record(3, at=NOW - 50))

    assert [one.line for one in unshipped(ledger, [record(9, at=NOW)])] == [3]


async def test_nothing_that_was_shipped_leaves_the_whole_ledger_to_ship(ledger: Ledger) -> None:
    await write(ledger, record(2, at=1.0), record(3))

    assert sorted(one.line or 0 for one in unshipped(ledger, [])) == [2, 3]


async def test_new_ledger_begins_with_the_last_word_on_each_module_and_claims_in_doubt(
    ledger: Ledger, store: MemoryStore
) -> None:
    store.objects["segments/0/1.0"] = encoded([record(number, Outcome.SENDING) for number in (2, 3)])
    store.objects["segments/0/2.0"] = encoded([record(2, Outcome.FAILED), record(2)])

    await refill(ledger, store, 0, StopSignal())

    assert known(ledger.path) == {"m2": "created", "m3": "sending"}


async def test_shard_of_which_nothing_was_shipped_begins_with_an_empty_ledger(
    ledger: Ledger, store: MemoryStore
) -> None:
    await refill(ledger, store, 0, StopSignal())

    assert known(ledger.path) == {}


async def test_ledger_of_this_machine_is_gone_on_with_unless_another_was_ahead(
    here: LocalShard, store: MemoryStore
) -> None:
    here.note_fence(1)
    here.ledger.touch()
    store.objects["segments/0/1.0"] = encoded([record(2)])

    mine = await shipped_before(store, 0, here, StopSignal())
    store.objects["segments/0/2.0"] = encoded([record(3)])
    overtaken = await shipped_before(store, 0, here, StopSignal())

    assert mine == [record(2)]
    assert (overtaken, here.ledger.exists(), here.known_fence) == (None, False, 0)


async def test_ledger_whose_fence_is_not_known_is_removed_before_the_store_is_asked(
    here: LocalShard, store: MemoryStore
) -> None:
    here.ledger.touch()

    assert await shipped_before(store, 0, here, StopSignal()) is None
    assert not here.ledger.exists()
    assert store.asked == []


def test_store_is_asked_each_second_until_it_answers(store: MemoryStore, simulate: Simulate) -> None:
    store.be_silent("get", times=3)

    async def main() -> None:
        store.objects["a"] = b"found"

        assert await answered(lambda: store.get("a"), StopSignal()) == b"found"
        assert asyncio.get_running_loop().time() == pytest.approx(3)

    simulate(main())


@pytest.mark.parametrize(("reason", "said"), [("interrupted by Ctrl-C", "interrupted by Ctrl-C"), ("", "no answer")])
async def test_stop_ends_the_wait_for_a_store_with_its_reason_or_the_stores(reason: str, said: str) -> None:
    async def ask() -> Outage:
        return Outage("no answer")

    stop = StopSignal()
    stop.request(reason, exit_code=ExitCode.INTERRUPTED)

    with pytest.raises(StoppedError, match=said) as stopped:
        await answered(ask, stop)

    assert stopped.value.exit_code == ExitCode.INTERRUPTED
