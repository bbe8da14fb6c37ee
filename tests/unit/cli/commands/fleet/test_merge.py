"""`bulk fleet merge`, as it is typed."""

from __future__ import annotations

import asyncio
import gc
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli import main
from bulk.fleet.progress import ShardState
from bulk.ledger.views.status import read_status
from bulk.model import Outcome
from bulk.report.continuing import continuing_command
from bulk.settings.account import AccountSettings
from tests.unit.fleet.conftest import ACCOUNTS, ROWS, SETTINGS, Fleet, claim, row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.fleet.conftest import MemoryStore


@pytest.fixture
def fleet(tmp_path: Path, store: MemoryStore) -> Fleet:
    return Fleet(tmp_path, store)


@pytest.fixture(autouse=True)
def _collects_garbage() -> Iterator[None]:
    """Undo what the command does to a process that ends soon."""
    yield
    gc.enable()


def test_commands_read_the_merged_ledger(fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_nothing_is_to_go_on_beside_a_fleet_that_has_not_finished(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(merge_with_one_that_failed(fleet))
    asyncio.run(fleet.say(1, ShardState.WORKING, fence=2))
    ledger = str(fleet.ledger)

    ends = [main(["fleet", "merge", fleet.url, "-o", ledger]), main(["status", ledger])]

    shown = capsys.readouterr().out
    assert ends == [1, 0]
    assert "1  failed" in shown
    assert "Not finished: 1 shard" in shown
    assert "To go on" not in shown


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


def test_command_says_what_is_proven_and_what_is_not_there(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    out = capsys.readouterr().out
    assert code == 1
    assert out.startswith(f"40 rows of 4 accounts in 2 shards, merged into {fleet.ledger}\n")
    assert "Not finished: 1 shard\n  shard 1: nobody has started it\n" in out
    assert "and 0 requests of 1 process kept to the rates." in out


def test_command_as_json(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(split_and_finish(fleet, but=1))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger), "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == said["exit_code"] == 1
    assert (said["store"], said["rows"], said["not_shipped"]) == (fleet.url, ROWS, {})
    assert said["unfinished"] == {"1": "nobody has started it"}


def test_command_names_flaws_and_exits_with_1(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_command_names_rows_that_stayed_on_a_machine_and_only_the_first_shards_that_are_open(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    many = replace(
        SETTINGS,
        accounts={
            f"a{number}": AccountSettings(endpoint=f"https://p{number}", rate_group=f"g{number}", key_env=f"K{number}")
            for number in range(12)
        },
    )

    async def prepare() -> None:
        await fleet.split(many, shards=12)
        await fleet.say(0, outcomes={"created": 3})

    asyncio.run(prepare())
    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    out = capsys.readouterr().out.splitlines()
    assert code == 1
    assert "Not shipped: the outcomes of 3 rows, of shards 0." in out
    assert [line for line in out if "nobody has started it" in line][-1] == "  shard 10: nobody has started it"
    assert "  and 1 shard more" in out
    assert out[-1] == f"  bulk fleet status {fleet.url}"


def test_command_names_the_one_that_says_why_rows_are_not_provisioned(
    fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(merge_with_one_that_failed(fleet))
    (tmp_path / "in.csv").unlink()

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    assert code == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "Why rows are not provisioned:",
        f"  bulk status {fleet.ledger}",
    ]


def test_command_of_a_finished_fleet_ends_with_0_and_no_next_step(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(split_and_finish(fleet))

    code = main(["fleet", "merge", fleet.url, "-o", str(fleet.ledger)])

    assert code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "  and 0 requests of 2 processes kept to the rates."
