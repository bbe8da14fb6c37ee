"""What a worker tells the store of its work, and how it hears that its driver ends."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.stop import StopSignal
from bulk.errors import LedgerError
from bulk.events import AccountStart, AccountStopped, RowSettled, RunStarted, RunStopping
from bulk.exits import ExitCode
from bulk.fleet.progress import Progress, ShardState
from bulk.fleet.reporting import Reporter, obeying, reported
from bulk.model import AccountSummary, OtaModule, Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bulk.model import Summary
    from tests.unit.fleet.conftest import MemoryStore

    Simulate = Callable[[Coroutine[Any, Any, None]], None]

EVERY_S = 3.0
NAME = "progress/0.2"


def settled(outcome: Outcome = Outcome.CREATED, *, line: int | None = 2, account: str = "eu") -> RowSettled:
    return RowSettled(Settlement(line=line, module=OtaModule("pk", "m"), outcome=outcome, at=1.0, account=account))


def started(**accounts: dict[str, int]) -> RunStarted:
    outcomes: dict[str, int] = {}
    for one in accounts.values():
        outcomes = {name: outcomes.get(name, 0) + one.get(name, 0) for name in {*outcomes, *one}}
    return RunStarted(
        run_id="r",
        ledger="l",
        input="i",
        target="t",
        rows=sum(outcomes.values()),
        outcomes=outcomes,
        rates={},
        accounts={
            name: AccountStart(target="t", rows=sum(one.values()), outcomes=one, rates={})
            for name, one in accounts.items()
        },
    )


def now_s() -> float:
    return asyncio.get_running_loop().time()


def said(store: MemoryStore) -> Progress:
    found = Progress.decoded(store.objects[NAME])
    assert found is not None
    return found


async def written(store: MemoryStore, reporter: Reporter) -> Progress:
    reporter.begin(2)
    await reporter.write(reporter.look())
    return said(store)


async def test_rows_that_were_done_before_are_counted_and_those_to_try_again_are_not(store: MemoryStore) -> None:
    reporter = Reporter(store, 0)
    reporter(started(eu={"created": 5, "failed": 2, "pending": 3, "invalid": 1, "sending": 1}, us={"exists": 4}))

    progress = await written(store, reporter)

    assert progress.rows == 16
    assert progress.outcomes == {"created": 5, "invalid": 1, "exists": 4}
    assert {name: (one.rows, one.outcomes) for name, one in progress.accounts.items()} == {
        "eu": (12, {"created": 5, "invalid": 1}),
        "us": (4, {"exists": 4}),
    }


async def test_only_outcomes_of_rows_are_progress(store: MemoryStore) -> None:
    reporter = Reporter(store, 0)
    reporter(started(eu={"pending": 5}))
    for event in (
        settled(),
        settled(Outcome.FAILED),
        settled(Outcome.SENDING),
        settled(Outcome.UNKNOWN),
        settled(line=None),
        RunStopping("enough"),
    ):
        reporter(event)

    progress = await written(store, reporter)

    assert progress.accounts["eu"].outcomes == progress.outcomes
    assert progress.outcomes["created"] == progress.outcomes["failed"] == 1
    assert "sending" not in progress.outcomes


async def test_account_that_stopped_is_named_while_others_go_on(store: MemoryStore) -> None:
    reporter = Reporter(store, 0)
    reporter(started(eu={"pending": 5}, us={"pending": 5}))
    reporter(AccountStopped(account="us", reason="InvalidAccessKeyId"))

    progress = await written(store, reporter)

    assert progress.state is ShardState.WORKING
    assert {name: one.stopped for name, one in progress.accounts.items()} == {"eu": None, "us": "InvalidAccessKeyId"}


@pytest.mark.parametrize(
    ("exit_code", "state"), [(0, ShardState.ENDED), (1, ShardState.ENDED), (3, ShardState.STOPPED)]
)
def test_last_word_is_that_of_the_summary(
    exit_code: int,
    state: ShardState,
    store: MemoryStore,
    make_summary: Callable[..., Summary],
    simulate: Simulate,
) -> None:
    account = AccountSummary(
        outcomes={"created": 3, "failed": 0}, requests={}, throttled=0, stopped=None, exit_code=exit_code
    )
    summary = make_summary(
        outcomes={"created": 3}, exit_code=exit_code, stopped=None, throttled=2, accounts={"eu": account}
    )

    async def main() -> None:
        reporter = Reporter(store, 0)
        async with reported(reporter, 2, every_s=EVERY_S):
            reporter.conclude(summary)

        progress = said(store)
        assert (progress.state, progress.exit_code, progress.fence) == (state, exit_code, 2)
        assert (progress.outcomes, progress.requests, progress.throttled) == ({"created": 3}, summary.requests, 2)
        assert (progress.accounts["eu"].rows, progress.accounts["eu"].outcomes) == (3, {"created": 3})

    simulate(main())


def test_progress_is_written_every_few_seconds_during_the_work(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        reporter = Reporter(store, 0)
        async with reported(reporter, 2, every_s=EVERY_S):
            await asyncio.sleep(1)
            reporter(started(eu={"pending": 5}))
            before = said(store)
            await asyncio.sleep(EVERY_S)

            assert (before.rows, said(store).rows) == (0, 5)
            assert store.asked.count(("overwrite", NAME)) == 2

    simulate(main())


def test_error_that_ends_the_work_is_its_last_word_with_what_was_done(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        reporter = Reporter(store, 0)
        reporter(started(eu={"pending": 5}))
        reporter(settled())
        with pytest.raises(LedgerError):
            async with reported(reporter, 2, every_s=EVERY_S):
                raise LedgerError("the disk is full: make room")

        progress = said(store)
        assert (progress.state, progress.exit_code) == (ShardState.STOPPED, LedgerError.exit_code)
        assert (progress.stopped, progress.outcomes) == ("the disk is full: make room", {"created": 1})

    simulate(main())


def test_work_that_is_cancelled_says_no_last_word(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        async def work() -> None:
            async with reported(Reporter(store, 0), 2, every_s=EVERY_S):
                await asyncio.Event().wait()

        working = asyncio.create_task(work())
        await asyncio.sleep(1)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

        assert said(store).state is ShardState.WORKING

    simulate(main())


@pytest.mark.parametrize(("silent", "is_said"), [(1, True), (3, True), (4, False)])
def test_last_word_is_tried_for_a_few_seconds_and_then_left(
    silent: int, is_said: bool, store: MemoryStore, make_summary: Callable[..., Summary], simulate: Simulate
) -> None:
    async def main() -> None:
        reporter = Reporter(store, 0)
        async with reported(reporter, 2, every_s=EVERY_S):
            await asyncio.sleep(1)
            store.be_silent("overwrite", times=silent)
            reporter.conclude(make_summary(outcomes={"created": 3}))

        assert now_s() <= 6
        assert (said(store).state is ShardState.ENDED) == is_said

    simulate(main())


def test_store_that_hangs_at_the_end_is_waited_for_no_longer_than_its_lease_can_be_kept(
    store: MemoryStore, make_summary: Callable[..., Summary], simulate: Simulate
) -> None:
    async def hang(name: str, data: object) -> object:
        await asyncio.sleep(3600)
        raise AssertionError(name, data)

    async def main() -> None:
        reporter = Reporter(store, 0)
        async with reported(reporter, 2, every_s=EVERY_S):
            await asyncio.sleep(1)
            store.overwrite = hang  # type: ignore[method-assign, assignment]  # a share whose server is gone
            reporter.conclude(make_summary(outcomes={"created": 3}))

        assert now_s() == pytest.approx(5)

    simulate(main())


def test_writer_of_progress_that_fails_by_a_defect_is_not_hidden(store: MemoryStore, simulate: Simulate) -> None:
    async def fail(name: str, _: object) -> object:
        raise ZeroDivisionError(name)

    async def main() -> None:
        store.overwrite = fail  # type: ignore[method-assign, assignment]  # a defect
        with pytest.raises(ZeroDivisionError):
            async with reported(Reporter(store, 0), 2, every_s=EVERY_S):
                await asyncio.sleep(1)

    simulate(main())


def test_driver_that_ends_ends_its_workers_once_they_look(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        stop = StopSignal()
        async with obeying(store, "stop/token", every_s=EVERY_S, stop=stop):
            await asyncio.sleep(10)
            asked = stop.requested
            store.objects["stop/other"] = b"{}"
            await asyncio.sleep(10)
            others = stop.requested
            store.objects["stop/token"] = b"{}"
            await asyncio.sleep(EVERY_S)
            looks = len(store.asked)
            await asyncio.sleep(60)

            assert len(store.asked) == looks
            assert (asked, others, stop.reason) == (False, False, "the driver of the fleet was stopped")
            assert stop.exit_code == ExitCode.TERMINATED

    simulate(main())


def test_store_that_does_not_answer_ends_no_worker(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        stop = StopSignal()
        store.be_silent()
        async with obeying(store, "stop/token", every_s=EVERY_S, stop=stop):
            await asyncio.sleep(60)

        assert not stop.requested
        assert store.asked.count(("get", "stop/token")) == 20

    simulate(main())


def test_driver_that_reaches_its_workers_by_itself_is_not_looked_for(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        async with obeying(store, None, every_s=EVERY_S, stop=StopSignal()):
            await asyncio.sleep(60)

        assert store.asked == []

    simulate(main())
