"""Merge what shards shipped: a whole ledger with its proof, or none."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main
from bulk.engine.stop import StopSignal
from bulk.errors import LedgerError, LedgerHeldError, SettingsError, StoppedError, UnprovenError
from bulk.fleet.manifest import MANIFEST
from bulk.fleet.merging import merge
from bulk.fleet.progress import GivenUp, Progress, ShardState, failed_name, progress_name
from bulk.fleet.records import Sends, encoded
from bulk.fleet.splitting import split
from bulk.fleet.store_url import open_store
from bulk.ledger.storage.files import lock_of, unfinished_merge_of
from bulk.ledger.storage.lock import hold
from bulk.ledger.store import Ledger
from bulk.ledger.views.status import read_status
from bulk.model import Action, Attempt, OtaModule, Outcome, Settlement
from bulk.report.continuing import continuing_command
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bulk.fleet.manifest import Shard
    from bulk.fleet.store import Store

HEAD = b'{"claimed": [], "bytes": 0, "sent": {}}\n'
STRANGE = b'{"nobody": {"CreateOTAModule": [1]}}'
ACCOUNTS = 4
ROWS = 40

SETTINGS = Settings(
    accounts={
        f"a{number}": AccountSettings(
            endpoint=f"https://platform{number}", rate_group=f"g{number}", key_env=f"K{number}"
        )
        for number in range(ACCOUNTS)
    }
)


def row(line: int, **more: Any) -> Settlement:
    """An outcome of the row of a line, as `Fleet` writes its input."""
    number = line - 2
    account = number % ACCOUNTS
    said: dict[str, Any] = {"outcome": Outcome.CREATED, "at": 1764243333.0 + line, "request_id": f"R{line}"}
    return Settlement(
        line=line,
        account=f"a{account}",
        module=OtaModule(f"pk{account}", f"m{number}", desc=f"Nr. {number}"),
        attempts=1,
        **{**said, **more},
    )


def claim(line: int) -> Settlement:
    return row(line, outcome=Outcome.SENDING, request_id=None)


def sent(account: str, *times_s: float) -> bytes:
    sends = Sends()
    for time_s in times_s:
        sends.note(Attempt(1.0, Action.CREATE, "pk", "m", 200, None, "R", 0.01, account=account, left_s=time_s))
    return encoded([], sends)


class Fleet:
    """A store of two shards, and what a test says that they shipped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = str(folder / "store")
        self.store: Store = open_store(self.url, make=True)
        self.ledger = folder / "merged.db"

    async def split(self) -> None:
        lines = [f"a{number % ACCOUNTS},pk{number % ACCOUNTS},m{number},Nr. {number}" for number in range(ROWS)]
        path = self.folder / "in.csv"
        await asyncio.to_thread(path.write_text, "\n".join(["Account,ProductKey,ModuleName,Desc", *lines, ""]))
        self.manifest = await split(str(path), SETTINGS, self.store, stop=StopSignal(), shards=2)

    def lines_of(self, shard: Shard) -> list[int]:
        return [line for line in range(2, ROWS + 2) if f"a{(line - 2) % ACCOUNTS}" in shard.accounts]

    async def ship(self, shard: int, *segments: Iterable[Settlement] | bytes, fence: int = 1, first: int = 0) -> None:
        for number, segment in enumerate(segments, first):
            data = segment if isinstance(segment, bytes) else encoded(segment)
            await self.store.put_if_absent(f"segments/{shard}/{fence}.{number}", data)

    async def say(self, shard: int, state: ShardState = ShardState.ENDED, **more: Any) -> None:
        said = Progress(shard=shard, fence=1, state=state, holder="process 1 on host", started_at=1.0, at=2.0, **more)
        await self.store.overwrite(progress_name(shard, 1), said.encoded())

    async def finish(self, *, but: int = -1) -> None:
        """Let each shard create its rows, but one of them."""
        for shard in self.manifest.shards:
            if shard.number != but:
                lines = self.lines_of(shard)
                await self.ship(shard.number, map(claim, lines), [*map(row, lines)])
                await self.say(shard.number)

    async def merge(self) -> Any:
        return await merge(self.store, self.ledger, url=self.url)

    async def flaws(self) -> tuple[str, ...]:
        """What a merge finds wrong; it leaves nothing."""
        with pytest.raises(UnprovenError) as unproven:
            await self.merge()
        assert unproven.value.exit_code == 1
        assert not self.ledger.exists()
        assert not unfinished_merge_of(self.ledger).exists()
        return unproven.value.flaws

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute("SELECT line, outcome, code, attempts FROM standing ORDER BY line").fetchall()


@pytest.fixture
async def fleet(tmp_path: Path) -> Fleet:
    fleet = Fleet(tmp_path)
    await fleet.split()
    return fleet


async def test_finished_fleet_becomes_a_ledger_with_every_row(fleet: Fleet) -> None:
    await fleet.finish()

    done = await fleet.merge()

    assert (done.rows, done.outcomes["created"], done.exit_code) == (ROWS, ROWS, 0)
    assert await asyncio.to_thread(fleet.rows) == [(line, "created", None, 1) for line in range(2, ROWS + 2)]
    with closing(sqlite3.connect(fleet.ledger)) as connection:
        assert connection.execute("SELECT count(*), sum(owned), min(written_desc <> '') FROM modules").fetchone() == (
            *(ROWS, ROWS, 1),
        )


def test_commands_read_the_merged_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    line = asyncio.run(merge_with_one_that_failed(fleet))
    ledger, page, written = str(fleet.ledger), str(tmp_path / "page.html"), tmp_path / "results.csv"

    ends = [
        main(["results", ledger, "-o", str(written)]),
        main(["status", ledger]),
        main(["report", ledger, "-o", page]),
    ]

    assert ends == [0, 0, 0]
    shown = capsys.readouterr().out
    assert "39  created" in shown
    assert f" run {tmp_path / 'in.csv'} --ledger {ledger}\n" in shown
    out = written.read_text()
    account = (line - 2) % ACCOUNTS
    assert f"a{account},pk{account},m{line - 2},Nr. {line - 2},failed,iot.X,no such product,Q,1" in out
    assert read_status(fleet.ledger).accounts["a0"].target == "https://platform0 (alibaba)"


def test_the_command_that_goes_on_is_printed_where_the_input_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(merge_with_one_that_failed(fleet))
    ledger, source = str(fleet.ledger), tmp_path / "in.csv"
    there = f"  bulk run {source} --ledger {ledger}\n"

    ends = [main(["fleet", "merge", fleet.url, "-o", ledger])]
    merged = capsys.readouterr().out
    source.unlink()
    ends += [main(["fleet", "merge", fleet.url, "-o", ledger]), main(["status", ledger])]
    elsewhere = capsys.readouterr().out

    assert ends == [1, 1, 0]
    assert there in merged
    assert "To go on" not in elsewhere


def test_no_command_goes_on_where_its_map_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [f'[accounts.a{n}]\nendpoint = "https://p{n}"\nrate_group = "g{n}"\nkey_env = "K"' for n in range(2)]
    (tmp_path / "bulk.toml").write_text("\n".join([*tables, ""]))
    (tmp_path / "export.csv").write_text("ProductKey,ModuleName\ns0,m0\n")
    (tmp_path / "map.csv").write_text(
        "ProductKey,TargetAccount,TargetProductKey,Target\ns0,a0,t0,https://p0 (alibaba)\n"
    )
    monkeypatch.chdir(tmp_path)

    ends = [
        main(["fleet", "split", "export.csv", "--product-map", "map.csv", "--store", "store"]),
        main(["fleet", "merge", "store", "-o", "merged.db"]),
        main(["status", "merged.db"]),
        main(["results", "merged.db", "-o", "results.csv"]),
    ]

    assert ends == [0, 1, 0, 0]
    assert continuing_command(tmp_path / "merged.db") is None
    header, row = (tmp_path / "results.csv").read_text().splitlines()
    assert header.endswith("target_account,target_product_key")
    assert row.startswith("2,s0,m0,pending")
    assert row.endswith(",a0,t0")


async def merge_with_one_that_failed(fleet: Fleet) -> int:
    await fleet.split()
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    failed = row(lines[0], outcome=Outcome.FAILED, code="iot.X", message="no such product", request_id="Q")
    await fleet.ship(1, map(claim, lines), [failed, *map(row, lines[1:])])
    await fleet.say(1)
    await fleet.merge()
    return lines[0]


async def test_merge_once_more_replaces_the_one_before(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    first = await fleet.merge()

    await fleet.finish()
    second = await fleet.merge()

    assert first.outcomes["pending"] == len(fleet.lines_of(fleet.manifest.shards[1]))
    assert second.outcomes["created"] == ROWS


async def test_ledger_of_anything_else_is_refused_and_stays(fleet: Fleet) -> None:
    await fleet.finish()
    await fleet.merge()
    with closing(sqlite3.connect(fleet.ledger)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (run_id, started_at, pid, host, version, input, rates) VALUES ('r','',1,'','','','{}')"
        )
    before = fleet.ledger.read_bytes()

    with pytest.raises(LedgerError, match="more than a merge of this fleet: name another"):
        await fleet.merge()

    assert fleet.ledger.read_bytes() == before


async def test_ledger_that_a_run_holds_is_refused(fleet: Fleet) -> None:
    await fleet.finish()
    held = await asyncio.to_thread(hold, fleet.ledger)

    with pytest.raises(LedgerHeldError):
        await fleet.merge()

    held.release()
    assert not fleet.ledger.exists()


async def test_what_a_killed_merge_left_is_in_nobodys_way(fleet: Fleet) -> None:
    await fleet.finish()
    unfinished_merge_of(fleet.ledger).write_bytes(b"half of it")

    done = await fleet.merge()

    assert done.exit_code == 0
    assert {path.name for path in fleet.folder.iterdir()} == {
        *("in.csv", "store", fleet.ledger.name, lock_of(fleet.ledger).name)
    }


async def test_unfinished_fleet_is_merged_as_far_as_it_is_and_said_to_be(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines[:3]), [row(lines[0])])
    await fleet.say(1, ShardState.WORKING)

    done = await fleet.merge()

    assert done.unfinished == {"1": "process 1 on host is at work on it, or died"}
    assert (done.outcomes["sending"], done.outcomes["pending"]) == (2, len(lines) - 3)
    assert done.exit_code == 1
    assert "had not finished: shards 1" in (read_status(fleet.ledger).runs[-1].stopped or "")


@pytest.mark.parametrize(
    ("state", "why"),
    [(None, "nobody has started it"), (ShardState.STOPPED, "it was stopped: the key is wrong"), ("failed", "given up")],
)
async def test_each_reason_why_a_shard_is_open_is_said(fleet: Fleet, state: ShardState | str | None, why: str) -> None:
    await fleet.finish(but=1)
    if isinstance(state, ShardState):
        await fleet.say(1, state, stopped="the key is wrong")
    if state == "failed":
        left = GivenUp(shard=1, fence=5, tries=5, why="killed", at=1.0)
        await fleet.store.overwrite(failed_name(1), left.encoded())

    done = await fleet.merge()

    assert why in done.unfinished["1"]


async def test_outcomes_that_stayed_on_a_machine_are_counted(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines), [*map(row, lines[3:])])
    await fleet.say(1, outcomes={"created": len(lines)})

    done = await fleet.merge()

    assert done.not_shipped == {"1": 3}
    assert done.outcomes["sending"] == 3
    assert done.exit_code == 1


async def test_last_word_on_a_row_counts_over_fences_and_segments(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines), [row(lines[0], outcome=Outcome.UNKNOWN, request_id=None)])
    recovered = row(lines[0], recovered=True, owned=False)
    await fleet.ship(1, [recovered, *map(row, lines[1:])], fence=10)
    await fleet.say(1)

    done = await fleet.merge()

    assert done.outcomes["created"] == ROWS
    with closing(sqlite3.connect(fleet.ledger)) as connection:
        found = connection.execute("SELECT recovered, owned FROM modules WHERE module_name = ?", (f"m{lines[0] - 2}",))
        assert found.fetchone() == (1, 0)


async def test_outcome_that_is_shipped_once_more_is_no_second_create(fleet: Fleet) -> None:
    await fleet.finish()
    line = fleet.lines_of(fleet.manifest.shards[0])[0]
    await fleet.ship(0, [row(line)], fence=2)

    done = await fleet.merge()

    assert done.exit_code == 0


async def test_two_creates_of_one_key_fail_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    line = fleet.lines_of(fleet.manifest.shards[0])[0]
    await fleet.ship(0, [claim(line), row(line, request_id="OTHER")], fence=2)

    (flaw,) = await fleet.flaws()

    assert flaw == (
        f"shard 0: line {line} (product pk{(line - 2) % ACCOUNTS}, module m{line - 2}) was created twice: requests"
        f" R{line} and OTHER"
    )


async def test_create_without_a_claim_fails_the_proof(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines[1:]), [*map(row, lines)])

    assert await fleet.flaws() == (f"shard 1: line {lines[0]} was created, and no segment has its claim",)


async def test_missing_segment_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    await fleet.ship(0, [], first=3)

    assert await fleet.flaws() == ("shard 0: the segment before segments/0/1.3 is missing",)


@pytest.mark.parametrize(
    "data", [b"\x00", b"[]", HEAD + b'[1, "a0"]\n', HEAD.replace(b"{}", b'{"nobody": {"CreateOTAModule": [1]}}')]
)
async def test_segment_that_cant_be_read_fails_the_proof(fleet: Fleet, data: bytes) -> None:
    await fleet.finish()
    await fleet.ship(0, data, fence=2)

    assert await fleet.flaws() == ("shard 0: segments/0/2.0 can't be read",)


async def test_outcome_of_another_shards_account_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    line = fleet.lines_of(fleet.manifest.shards[1])[0]
    await fleet.ship(0, [row(line)], fence=2)

    (flaw,) = await fleet.flaws()

    assert flaw.startswith("shard 0: it shipped outcomes of account")


async def test_outcome_of_another_module_than_the_row_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    line = fleet.lines_of(fleet.manifest.shards[0])[0]
    other = row(line)._replace(module=OtaModule("pk", "other"), outcome=Outcome.EXISTS)
    await fleet.ship(0, [other], fence=2)

    (flaw,) = await fleet.flaws()

    assert flaw.startswith("an outcome is about product pk, module other of account")


async def test_window_past_the_rate_fails_the_proof_and_says_where(fleet: Fleet) -> None:
    await fleet.finish()
    account = fleet.manifest.shards[0].accounts[0]
    even = [100 + number / 10 for number in range(10)]
    await fleet.ship(0, sent(account, *even), sent(account, 100.95), fence=2)

    (flaw,) = await fleet.flaws()

    assert flaw == (
        f"shard 0, fence 2: rate group 'g{account[1:]}' sent 11 creates within a second, and 10 are granted; it began"
        " at 100.0000 s of that machine's clock"
    )


async def test_windows_at_the_rate_are_proven_and_counted(fleet: Fleet) -> None:
    await fleet.finish()
    account = fleet.manifest.shards[0].accounts[0]
    times = [100 + number / 10 for number in range(25)]
    await fleet.ship(0, sent(account, *times), fence=2)
    await fleet.ship(0, sent(account, *times), fence=3)  # another clock

    done = await fleet.merge()

    assert (done.requests, done.fences, done.exit_code) == (50, 4, 0)
    page = fleet.ledger.with_suffix(".html")
    assert await asyncio.to_thread(main, ["report", str(fleet.ledger), "-o", str(page)]) == 0
    assert "50 creates" in await asyncio.to_thread(page.read_text)


async def test_slice_that_was_changed_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    shard = fleet.manifest.shards[1]
    data = await fleet.store.get(shard.file)
    assert isinstance(data, bytes)
    await fleet.store.overwrite(shard.file, data.replace(b"Nr.", b"No."))

    assert await fleet.flaws() == (f"shard 1: {shard.file} is not what the manifest says (its SHA-256 differs)",)


async def test_slice_that_is_gone_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    shard = fleet.manifest.shards[1]
    await fleet.store.discard(shard.file)

    assert await fleet.flaws() == (f"shard 1: {shard.file} is missing",)


async def test_slice_that_two_shards_have_fails_the_proof(fleet: Fleet) -> None:
    await fleet.finish()
    first, _ = fleet.manifest.shards
    found = json.loads(fleet.manifest.encoded())
    found["shards"][1] |= {"file": first.file, "sha256": first.sha256, "rows": first.rows}
    await fleet.store.overwrite(MANIFEST, json.dumps(found).encode())

    (flaw,) = await fleet.flaws()

    assert "which is no account of it" in flaw


async def test_accounts_in_two_shards_fail_the_proof(fleet: Fleet) -> None:
    found = json.loads(fleet.manifest.encoded())
    found["shards"][1]["accounts"] = found["shards"][0]["accounts"]
    await fleet.store.overwrite(MANIFEST, json.dumps(found).encode())

    flaws = await fleet.flaws()

    assert flaws[0].endswith("in two shards")


async def test_store_without_a_fleet_is_said_to_be_so(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "empty"), make=True)

    with pytest.raises(SettingsError, match="no fleet is in the store"):
        await merge(store, tmp_path / "merged.db", url="empty")


async def test_stop_leaves_no_ledger(fleet: Fleet) -> None:
    await fleet.finish()
    stop = StopSignal()
    stop.request("interrupted by Ctrl-C", exit_code=130)

    with pytest.raises(StoppedError):
        await merge(fleet.store, fleet.ledger, url=fleet.url, stop=stop)

    assert not fleet.ledger.exists()
    assert not unfinished_merge_of(fleet.ledger).exists()


def test_command_says_what_is_proven_and_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    out = capsys.readouterr().out
    assert code == 1
    assert out.startswith(f"40 rows of 4 accounts in 2 shards, merged into {fleet.ledger}\n")
    assert "Not finished: 1 shard\n  shard 1: nobody has started it\n" in out
    assert "and 0 requests of 1 process kept to the rates." in out


def test_command_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger), "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == said["exit_code"] == 1
    assert (said["store"], said["rows"], said["not_shipped"]) == (fleet.url, ROWS, {})
    assert said["unfinished"] == {"1": "nobody has started it"}


def test_command_names_flaws_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet(tmp_path)
    asyncio.run(split_and_finish(fleet))
    asyncio.run(fleet.ship(0, b"no JSON", fence=2))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    assert code == 1
    assert capsys.readouterr().err.splitlines() == [
        "Error: the proof fails, and no ledger was written:",
        "shard 0: segments/0/2.0 can't be read",
    ]


async def split_and_finish(fleet: Fleet, *, but: int = -1) -> None:
    await fleet.split()
    await fleet.finish(but=but)


async def test_merged_ledger_is_one_that_a_run_goes_on_with(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    await fleet.merge()
    targets = {name: member.target for name, member in fleet.manifest.members.items()}

    with closing(await asyncio.to_thread(Ledger.open, fleet.ledger, targets=targets)) as ledger:
        outcomes = ledger.outcomes()

    assert outcomes["created"] + outcomes["pending"] == ROWS
