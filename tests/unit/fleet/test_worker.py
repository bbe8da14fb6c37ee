"""A worker against platforms in this process: what it sends, what it leaves in the store, and where it goes on."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError, StoppedError
from bulk.events import RowSettled
from bulk.exits import ExitCode
from bulk.fleet import worker
from bulk.fleet.lease import Host, Note, State, Terms
from bulk.fleet.local import take_local
from bulk.fleet.manifest import MANIFEST, Manifest
from bulk.fleet.merging import merge
from bulk.fleet.progress import Progress, Shards, ShardState, read_shards
from bulk.fleet.records import decoded, opened
from bulk.fleet.segments import ShippingWriter, segments_of, standing_after
from bulk.fleet.slices import read_slice
from bulk.fleet.splitting import split
from bulk.fleet.standing import Standing, status
from bulk.ledger.storage.lock import is_held
from bulk.ledger.views.status import read_status
from bulk.model import Dialect
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.events import Event
    from bulk.model import Summary
    from tests.unit.fleet.conftest import MemoryStore

ROWS = [("eu", "p1", f"m{number}") for number in range(4)] + [("us", "q1", f"m{number}") for number in range(3)]
QUICK = Terms(term_s=30.0, request_timeout_s=0.002, window_s=0.001)
"""The next holder of a shard that was released waits for 3 ms."""


@dataclass
class Crew:
    """A fleet of one shard with two accounts, each on a platform of its own."""

    folder: Path
    store: MemoryStore
    boxes: dict[str, Any]
    rows: list[tuple[str, str, str]] = field(default_factory=lambda: ROWS)

    @property
    def settings(self) -> Settings:
        return Settings(
            accounts={
                name: AccountSettings(
                    endpoint=box.endpoint, rate_group=name, dialect=Dialect.ALIBABA, qps=0, list_qps=0
                )
                for name, box in self.boxes.items()
            }
        )

    async def split(self, *, only: tuple[str, ...] = ()) -> None:
        path = self.folder / "in.csv"
        lines = [",".join(row) for row in [("Account", "ProductKey", "ModuleName"), *self.rows]]
        await asyncio.to_thread(path.write_text, "\n".join([*lines, ""]))
        settings = replace(self.settings, only_accounts=only)
        await split(str(path), settings, self.store, stop=StopSignal(), terms=QUICK)

    async def work(self, machine: str = "here", *, until: int = 0, keys: Any = None, **more: Any) -> Summary:
        """Work on the shard on a machine, until so many rows have their outcome where a number is given."""
        stop, settled, first = more.pop("stop", None) or StopSignal(), 0, more.pop("at_first", None)

        def listen(event: Event) -> None:
            nonlocal settled
            settled += isinstance(event, RowSettled)
            if first and settled == 1 and isinstance(event, RowSettled):
                first()
            if until and settled == until:
                stop.request("enough", exit_code=ExitCode.STOPPED)

        known = keys or {name: box.keys() for name, box in self.boxes.items()}
        folder = self.folder / machine
        return await worker.work(
            "url", 0, self.settings, folder=folder, credentials=known, listener=listen, stop=stop, **more
        )

    async def progress(self) -> Progress:
        found = await read_shards(self.store)
        assert isinstance(found, Shards)
        return found.progress[0]

    async def shipped(self) -> Counter[str]:
        found = await segments_of(self.store, 0)
        assert isinstance(found, list)
        return Counter(str(one.outcome) for one in standing_after(found))

    def lease(self, fence: int) -> Note:
        note = Note.decoded(self.store.objects[f"lease/0.{fence}"])
        assert note is not None
        return note

    def segments(self) -> list[bytes]:
        return [data for name, data in self.store.objects.items() if name.startswith("segments/")]

    def created(self) -> int:
        return sum(box.actions()["CreateOTAModule"] for box in self.boxes.values())


@pytest.fixture
async def crew(
    tmp_path: Path, store: MemoryStore, make_box: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Crew:
    monkeypatch.setattr(worker, "open_store", lambda _: store)
    monkeypatch.setattr(worker, "ShippingWriter", partial(ShippingWriter, every_s=0.001))
    monkeypatch.setattr("bulk.fleet.recovery._ASKED_EVERY_S", 0.0)
    crew = Crew(tmp_path, store, {"eu": make_box(), "us": make_box()})
    for name, product in (("eu", "p1"), ("us", "q1")):
        crew.boxes[name].fill([(product,)])
    await crew.split()
    return crew


async def test_shard_is_done_and_the_store_says_so(crew: Crew) -> None:
    summary = await crew.work()

    progress = await crew.progress()
    assert (summary.exit_code, summary.outcomes["created"], crew.created()) == (0, len(ROWS), len(ROWS))
    assert (progress.state, progress.exit_code, progress.provisioned) == (ShardState.ENDED, 0, len(ROWS))
    assert {name: one.outcomes for name, one in progress.accounts.items()} == {
        "eu": {"created": 4},
        "us": {"created": 3},
    }
    assert await crew.shipped() == {"created": len(ROWS)}
    assert crew.lease(1).state is State.RELEASED


async def test_every_create_was_claimed_in_the_store_before_it_left(crew: Crew) -> None:
    box, claimed = crew.boxes["eu"], []
    performed = box.visit

    def visit(call: Any) -> Any:
        claimed.append((str(call.action), sum(data.count(b"sending") for data in crew.segments())))
        return performed(call)

    box.visit = visit

    await crew.work()

    creates = [so_far for action, so_far in claimed if action == "CreateOTAModule"]
    assert len(creates) == 4
    assert all(so_far >= place for place, so_far in enumerate(creates, 1))


async def test_machine_that_is_lost_with_its_disk_is_followed_by_one_that_sends_only_what_is_left(crew: Crew) -> None:
    first = await crew.work("lost", until=3)
    made = crew.created()

    second = await crew.work("other")

    assert first.exit_code == ExitCode.STOPPED
    assert second.outcomes["created"] == len(ROWS) == crew.created()
    assert second.requests["create"] == len(ROWS) - made
    assert (await crew.progress()).fence == 2


async def test_same_machine_goes_on_with_its_ledger_and_ships_what_a_dead_process_had_not(crew: Crew) -> None:
    await crew.work()
    last = max(name for name in crew.store.objects if name.startswith("segments/"))
    del crew.store.objects[last]
    before = await crew.shipped()

    summary = await crew.work()

    assert before["created"] < len(ROWS)
    assert await crew.shipped() == {"created": len(ROWS)}
    assert summary.requests == {"list": 0, "create": 0}
    assert "segments/0/2.0" in crew.store.objects


async def test_segments_of_one_that_goes_on_follow_what_the_dead_process_had_not_shipped(crew: Crew) -> None:
    first = await crew.work(until=3)
    for name in [name for name in crew.store.objects if name.startswith("segments/")]:
        del crew.store.objects[name]

    summary = await crew.work()

    lacking = decoded(crew.store.objects["segments/0/2.0"])
    assert sum(one.outcome == "created" for one in lacking) == first.outcomes["created"] > 0
    sent = [times for data in crew.segments() for actions in opened(data).sent.values() for times in actions.values()]
    assert sum(map(len, sent)) == sum(summary.requests.values())
    assert (summary.exit_code, crew.created()) == (0, len(ROWS))
    assert await crew.shipped() == {"created": len(ROWS)}


async def test_request_leaves_only_while_the_lease_gives_the_right(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead_s, stop, watching = [0.0], StopSignal(), []
    monkeypatch.setattr("bulk.fleet.host.time", SimpleNamespace(time=lambda: time.time() + ahead_s[0]))

    def set_the_clock() -> None:
        ahead_s[0] = 3600.0
        crew.store.be_silent("overwrite", "lease")
        watching.append(asyncio.ensure_future(crew.store.is_asked("overwrite", "lease/0.1")))
        watching[0].add_done_callback(lambda _: stop.request("interrupted by Ctrl-C", exit_code=130))

    summary = await crew.work(stop=stop, at_first=set_the_clock)

    assert (summary.exit_code, watching[0].done()) == (130, True)
    assert crew.created() < len(ROWS)


async def test_ledger_that_others_were_ahead_of_is_made_anew_from_what_they_shipped(crew: Crew) -> None:
    await crew.work("first", until=3)
    await crew.work("second")

    summary = await crew.work("first")

    assert (summary.outcomes["created"], summary.recovered) == (len(ROWS), 0)
    assert summary.requests == {"list": 0, "create": 0}


async def test_account_without_a_right_stops_alone_and_is_named_in_the_store(crew: Crew) -> None:
    keys = {"eu": crew.boxes["eu"].keys(), "us": StaticCredentials(Credentials("LTAI5tNobody", "secret"))}

    summary = await crew.work(keys=keys)

    progress = await crew.progress()
    assert (summary.exit_code, progress.state) == (ExitCode.STOPPED, ShardState.STOPPED)
    assert progress.accounts["eu"].outcomes == {"created": 4}
    assert "InvalidAccessKeyId" in str(progress.accounts["us"].stopped)
    assert (await status(crew.store, url="url")).shards[0].standing is Standing.STOPPED


async def test_driver_that_has_ended_has_its_worker_send_nothing(crew: Crew) -> None:
    crew.store.objects["stop/token"] = b"{}"

    with pytest.raises(StoppedError, match="the driver of the fleet was stopped") as stopped:
        await crew.work(ended_by="stop/token")

    assert stopped.value.exit_code == ExitCode.TERMINATED
    assert crew.created() == 0
    assert [name for name in crew.store.objects if name.startswith("lease")] == []


async def test_stop_during_the_wait_for_another_holder_leaves_its_lease_and_this_machines_folder(crew: Crew) -> None:
    other = Note(holder="other", state=State.SENDING, host=Host(boot_id="there")).encoded()
    crew.store.objects["lease/0.1"] = other
    stop = StopSignal()
    working = asyncio.create_task(crew.work(stop=stop))
    await crew.store.is_asked("get", "lease/0.2")
    stop.request("interrupted by Ctrl-C", exit_code=130)

    with pytest.raises(StoppedError, match=r"Ctrl-C"):
        await working

    assert [name for name in crew.store.objects if name.startswith("lease")] == ["lease/0.1"]
    assert crew.store.objects["lease/0.1"] == other
    (place,) = (crew.folder / "here").glob("*/0.0")
    assert is_held(place / "shard") is False


async def test_process_of_this_machine_that_ended_is_not_waited_for_and_its_folder_is_taken(crew: Crew) -> None:
    manifest = Manifest.decoded(crew.store.objects[MANIFEST])
    with (
        closing(take_local(crew.folder / "here", manifest.split, 0, last=Host())) as other,
        closing(take_local(crew.folder / "here", manifest.split, 0, last=Host())) as here,
    ):
        crew.store.objects["lease/0.1"] = Note(holder="dead", state=State.SENDING, host=here.host).encoded()

    summary = await crew.work()

    assert here.folder != other.folder
    assert (summary.exit_code, crew.lease(2).state) == (0, State.RELEASED)
    assert summary.ledger == str(here.ledger)


@pytest.mark.parametrize("prefix", ["segments", "input", "progress"])
async def test_store_that_misses_a_few_questions_costs_nothing_but_time(prefix: str, crew: Crew) -> None:
    await crew.work("first", until=2)
    for operation in ("get", "save", "names"):
        crew.store.be_silent(operation, prefix, times=2)

    summary = await crew.work("second")

    assert (summary.exit_code, crew.created()) == (0, len(ROWS))


async def test_stop_while_the_slice_is_read_sends_nothing_and_keeps_the_shard_for_another(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = StopSignal()

    def reading(lines: Any) -> Iterator[Any]:
        for rows in read_slice(lines, size=1):
            stop.reason, stop.exit_code = "interrupted by Ctrl-C", 130
            yield rows

    monkeypatch.setattr(worker, "read_slice", reading)

    summary = await crew.work(stop=stop)

    progress = await crew.progress()
    assert (summary.exit_code, summary.stopped, summary.rows) == (130, "interrupted by Ctrl-C", 0)
    assert (crew.created(), progress.state, progress.exit_code) == (0, ShardState.STOPPED, 130)
    assert crew.lease(1).state is State.RELEASED


async def test_settings_that_can_not_be_used_take_no_lease(crew: Crew) -> None:
    with pytest.raises(SettingsError, match="--shard 7"):
        await worker.work("url", 7, crew.settings, folder=crew.folder / "here")

    assert [name for name in crew.store.objects if name.startswith("lease")] == []


async def test_rows_that_are_invalid_or_of_accounts_left_out_are_in_the_ledger_and_the_merge(crew: Crew) -> None:
    crew.store.objects.clear()
    crew.rows = [*ROWS, ("eu", "p1", "not a name!")]
    await crew.split(only=("eu",))

    summary = await crew.work()
    merged = await merge(crew.store, crew.folder / "merged.db", url="url")

    assert (summary.exit_code, summary.rows) == (1, len(ROWS) + 1)
    assert (merged.outcomes["created"], merged.outcomes["pending"], merged.outcomes["invalid"]) == (4, 3, 1)
    assert crew.boxes["us"].actions() == {}
    assert [*read_status(crew.folder / "merged.db").accounts] == ["eu", "us"]
