"""Three accounts in one process that is signalled or killed: every one of them is as its own platform saw it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.sandbox.accounts.account import Account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Any

    from bulk.sandbox import Seen
    from tests.crash.conftest import Child, Ended

    ChildIn = Callable[..., AbstractAsyncContextManager[Child]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]

NAMES = ("north", "south", "west")
PRODUCTS = 12
ROWS_A_PRODUCT = 4
ROWS = PRODUCTS * ROWS_A_PRODUCT
RUN = ("run", "modules.csv", "--json", "--concurrency", "3")


@dataclass(frozen=True)
class Job:
    """A folder with settings and an input for three accounts, and their platforms."""

    folder: Path
    boxes: dict[str, Sandbox]

    @property
    def environ(self) -> dict[str, str]:
        return {
            f"{name.upper()}_{part}": f"{name}-{part}-for-tests"
            for name in self.boxes
            for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET")
        }

    def write(self) -> None:
        tables = [
            f'[accounts.{name}]\nendpoint = "{box.endpoint}"\nkey_env = "{name.upper()}"\n'
            for name, box in self.boxes.items()
        ]
        top = 'dialect = "alibaba"\nqps = 0\nlist_qps = 0\n'
        (self.folder / "bulk.toml").write_text("\n".join([top, *tables]))
        lines = [
            f"{name}-p{product},m{row},{name}"
            for product in range(PRODUCTS)
            for name in self.boxes
            for row in range(ROWS_A_PRODUCT)
        ]
        (self.folder / "modules.csv").write_text("\n".join(["ProductKey,ModuleName,Account", *lines, ""]))

    def outcomes(self) -> dict[str, Counter[str]]:
        counted: dict[str, Counter[str]] = {name: Counter() for name in self.boxes}
        with closing(sqlite3.connect(self.folder / "modules.csv.ledger.db")) as connection:
            for account, outcome, rows in connection.execute(
                "SELECT account, outcome, count(*) FROM standing GROUP BY account, outcome"
            ):
                counted[account][outcome] += rows
        return counted

    def nothing_was_made_twice_or_elsewhere(self) -> None:
        for name, box in self.boxes.items():
            made = Counter((made.product_key, made.module_name) for made in box.carried_out)
            assert made.total() == len(made)
            assert {product_key.partition("-")[0] for product_key, _ in made} <= {name}

    def is_done(self) -> None:
        self.nothing_was_made_twice_or_elsewhere()
        assert self.outcomes() == {name: Counter(created=ROWS) for name in self.boxes}
        assert [len(box.carried_out) for box in self.boxes.values()] == [ROWS] * len(self.boxes)


@pytest.fixture
async def job(tmp_path: Path) -> AsyncIterator[Job]:
    async with AsyncExitStack() as stack:
        boxes = {name: await stack.enter_async_context(box_of(name)) for name in NAMES}
        made = Job(tmp_path, boxes)
        made.write()
        yield made


def box_of(name: str) -> Sandbox:
    return Sandbox(
        SandboxConfig(
            qps=0,
            list_qps=0,
            starting_world=False,
            faults=FaultPlan.parse("latency=5-15ms"),
            access_key_id=f"{name}-ACCESS_KEY_ID-for-tests",
            access_key_secret=f"{name}-ACCESS_KEY_SECRET-for-tests",
        )
    )


async def ended_by(number: signal.Signals, after: int, job: Job, child_in: ChildIn, watch: Watch) -> Ended:
    """Run, and signal the run when the platforms have seen so many requests."""
    seen = sum(len(box.seen) for box in job.boxes.values())
    async with child_in(job.folder, *RUN, environ=job.environ) as running:

        def interrupt(_: Seen) -> None:
            if sum(len(box.seen) for box in job.boxes.values()) == seen + after:
                os.kill(running.pid, number)

        for box in job.boxes.values():
            watch(box, interrupt)
        ended = await running.ended()
    for box in job.boxes.values():
        watch(box, lambda _: None)
    return ended


async def finished(job: Job, child_in: ChildIn) -> Ended:
    async with child_in(job.folder, *RUN, environ=job.environ) as running:
        return await running.ended()


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signal_stops_every_account_and_the_next_run_goes_on(
    number: signal.Signals, exit_code: int, job: Job, child_in: ChildIn, watch: Watch
) -> None:
    stopped = await ended_by(number, 40, job, child_in, watch)
    made = {name: len(box.carried_out) for name, box in job.boxes.items()}
    after = await finished(job, child_in)

    summary = stopped.summary
    assert stopped.returncode == summary["exit_code"] == exit_code
    accounts: dict[str, Any] = summary["accounts"]
    assert {name: account["exit_code"] for name, account in accounts.items()} == dict.fromkeys(NAMES, exit_code)
    assert {name: account["outcomes"]["created"] for name, account in accounts.items()} == made
    assert summary["outcomes"]["sending"] == 0
    assert after.returncode == 0
    job.is_done()


@pytest.mark.parametrize("after", [1, 17, 60, 100])
async def test_run_after_a_kill_makes_every_account_right(
    after: int, job: Job, child_in: ChildIn, watch: Watch
) -> None:
    killed = await ended_by(signal.SIGKILL, after, job, child_in, watch)
    job.nothing_was_made_twice_or_elsewhere()
    done = await finished(job, child_in)

    assert killed.returncode == -signal.SIGKILL
    assert done.returncode == 0, done.stderr
    job.is_done()


async def test_wrong_key_of_one_account_is_corrected_and_the_run_goes_on(job: Job, child_in: ChildIn) -> None:
    wrong = job.environ | {"SOUTH_ACCESS_KEY_SECRET": "another-secret-that-nobody-may-read"}
    async with child_in(job.folder, *RUN, "-vv", environ=wrong) as running:
        stopped = await running.ended()

    after = await finished(job, child_in)

    assert stopped.returncode == 3
    assert "another-secret" not in stopped.stderr + stopped.stdout
    accounts = stopped.summary["accounts"]
    assert [accounts[name]["exit_code"] for name in NAMES] == [0, 3, 0]
    assert accounts["south"]["outcomes"]["pending"] == ROWS
    assert "account=south" in stopped.stderr
    assert after.returncode == 0
    job.is_done()


async def test_few_open_files_are_shared_and_said(tmp_path: Path, child_in: ChildIn) -> None:
    names = [f"account{number}" for number in range(40)]
    served = tuple(
        Account(
            name=name,
            access_key_id=f"{name}-ACCESS_KEY_ID-for-tests",
            access_key_secret=f"{name}-ACCESS_KEY_SECRET-for-tests",
            uid=f"1{number:015}",
            qps=0,
            list_qps=0,
        )
        for number, name in enumerate(names)
    )
    config = SandboxConfig(starting_world=False, accounts=served, faults=FaultPlan.parse("latency=20ms"))
    async with Sandbox(config) as box:
        many = Job(tmp_path, dict.fromkeys(names, box))
        many.write()

        async with child_in(tmp_path, *RUN[:3], "-v", environ=many.environ, preexec=_with_few_files) as running:
            ended = await running.ended()

    assert ended.returncode == 0, ended.stderr
    assert "connections.short" in ended.stderr
    assert many.outcomes() == {name: Counter(created=ROWS) for name in names}


def _with_few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
