"""A shard is gone on with: by the ledger that is here, or by what was shipped, whichever knows more."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk import fleet
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError
from bulk.events import RowSettled
from bulk.exits import ExitCode
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import MANIFEST, Manifest
from bulk.fleet.progress import Shards, ShardState, read_shards
from bulk.fleet.segments import segments_of, standing_after
from bulk.fleet.store_url import open_store
from bulk.model import Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bulk.events import Event
    from bulk.model import Summary

ROWS = 60
QUICK = Terms(term_s=1.0, request_timeout_s=0.1, window_s=0.1)


class Job:
    """A fleet of one shard, and its platform."""

    def __init__(self, folder: Path, box: Sandbox) -> None:
        self.folder = folder
        self.box = box
        self.url = str(folder / "store")
        account = AccountSettings(endpoint=box.endpoint, rate_group="g", dialect=Dialect.ALIBABA, qps=0, list_qps=0)
        self.settings = Settings(accounts={"eu": account}, timeout_s=5)

    async def split(self) -> None:
        path = self.folder / "in.csv"
        rows = "".join(f"eu,p{row // 10},m{row}\n" for row in range(ROWS))
        await asyncio.to_thread(path.write_text, f"Account,ProductKey,ModuleName\n{rows}")
        manifest = await fleet.split(str(path), self.settings, self.url)
        await open_store(self.url).overwrite(MANIFEST, replace(manifest, terms=QUICK).encoded())

    async def work(self, machine: str, *, rows: int = ROWS) -> Summary:
        """Work on the shard, until so many more rows have their outcome."""
        stop, settled = StopSignal(), 0

        def listen(event: Event) -> None:
            nonlocal settled
            settled += isinstance(event, RowSettled)
            if settled == rows < ROWS:
                stop.request("enough", exit_code=ExitCode.STOPPED)

        known = self.box.credentials
        keys = StaticCredentials(Credentials(known.access_key_id, known.access_key_secret), source="the test")
        folder = self.folder / machine
        return await fleet.work(self.url, 0, self.settings, folder=folder, credentials=keys, listener=listen, stop=stop)

    async def shipped(self) -> Counter[str]:
        found = await segments_of(open_store(self.url), 0)
        assert isinstance(found, list)
        return Counter(str(one.outcome) for one in standing_after(found))

    async def shards(self) -> Shards:
        found = await read_shards(open_store(self.url))
        assert isinstance(found, Shards)
        return found


@pytest.fixture
async def job(tmp_path: Path) -> AsyncIterator[Job]:
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False)) as box:
        made = Job(tmp_path, box)
        await made.split()
        yield made


async def test_outcomes_that_a_dead_process_had_not_shipped_are_shipped_by_the_next_one(job: Job) -> None:
    await job.work("here")
    (*_, last) = sorted((job.folder / "store" / "segments" / "0").iterdir())
    await asyncio.to_thread(last.unlink)
    assert (await job.shipped())["created"] < ROWS

    summary = await job.work("here")

    assert summary.requests == {"list": 0, "create": 0}
    assert await job.shipped() == {"created": ROWS}
    assert (await fleet.merge(job.url, job.folder / "merged.db")).outcomes["created"] == ROWS


async def test_ledger_that_others_were_ahead_of_is_made_anew(job: Job) -> None:
    await job.work("first", rows=ROWS // 3)
    await job.work("second")
    made = len(job.box.carried_out)

    summary = await job.work("first")

    assert summary.outcomes["created"] == ROWS
    assert summary.recovered == 0
    assert summary.requests == {"list": 0, "create": 0}
    assert len(job.box.carried_out) == made == ROWS


async def test_ledger_that_nobody_was_ahead_of_is_gone_on_with(job: Job) -> None:
    first = await job.work("here", rows=ROWS // 3)
    second = await job.work("here")

    assert second.ledger == first.ledger
    assert second.outcomes["created"] == ROWS
    assert second.requests["create"] == ROWS - first.outcomes["created"]
    assert await job.shipped() == {"created": ROWS}


async def test_progress_says_how_each_holder_ended(job: Job) -> None:
    await job.work("first", rows=ROWS // 3)
    stopped = (await job.shards()).progress[0]
    await job.work("second")
    ended = (await job.shards()).progress[0]

    assert (stopped.fence, stopped.state, stopped.stopped) == (1, ShardState.STOPPED, "enough")
    assert (ended.fence, ended.state, ended.exit_code) == (2, ShardState.ENDED, 0)
    assert 0 < stopped.provisioned < ended.provisioned == ROWS
    assert sum(stopped.outcomes.values()) == stopped.rows == ROWS
    assert ended.accounts["eu"].outcomes == {"created": ROWS}


async def test_slice_that_is_not_what_the_manifest_says_is_refused(job: Job) -> None:
    found = await open_store(job.url).get(MANIFEST)
    assert isinstance(found, bytes)
    (shard,) = Manifest.decoded(found).shards
    await open_store(job.url).overwrite(shard.file, b"[]\n")

    with pytest.raises(SettingsError, match="not what the manifest says"):
        await job.work("here")
