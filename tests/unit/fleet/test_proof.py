"""What a shard shipped is proven, or it is named what contradicts what."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli import main
from bulk.fleet.manifest import MANIFEST
from bulk.fleet.slices import slice_line
from bulk.model import OtaModule, Outcome
from tests.unit.fleet.conftest import ACCOUNTS, claim, row, sent

if TYPE_CHECKING:
    from tests.unit.fleet.conftest import Fleet

HEAD = b'{"claimed": [], "bytes": 0, "sent": {}}\n'


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


async def test_slice_with_fewer_rows_than_the_manifest_counts_fails_the_proof(fleet: Fleet) -> None:
    await fleet.give_slice(1, lambda data: data.partition(b"\n")[2])

    shard = fleet.manifest.shards[1]
    assert await fleet.flaws() == (
        f"shard 1: {shard.file} has {shard.rows - 1} rows, and the manifest says {shard.rows}",
    )


async def test_line_that_two_slices_have_fails_the_proof(fleet: Fleet) -> None:
    first, second = (fleet.lines_of(shard) for shard in fleet.manifest.shards)
    await fleet.give_slice(1, lambda data: data + slice_line(None, (first[0], "[]", "empty", "", None)), rows=1)

    assert await fleet.flaws() == (f"shard 1: of lines {first[0]} to {second[-1]} one is in another shard too",)


async def test_all_creates_without_a_claim_are_counted(fleet: Fleet) -> None:
    lines = fleet.lines_of(fleet.manifest.shards[1])
    await fleet.finish(but=1)
    await fleet.ship(1, map(claim, lines[3:]), [*map(row, lines)])

    assert await fleet.flaws() == (f"shard 1: line {lines[0]} and 2 more was created, and no segment has its claim",)


async def test_two_creates_of_one_key_in_one_segment_fail_the_proof(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    twice = row(lines[0], request_id="OTHER")
    await fleet.ship(1, map(claim, lines), [twice, *map(row, lines)])

    (flaw,) = await fleet.flaws()

    assert flaw.endswith(f"was created twice: requests OTHER and R{lines[0]}")


async def test_recovered_create_is_evidence_of_nobodys_own_reply(fleet: Fleet) -> None:
    await fleet.finish()
    line = fleet.lines_of(fleet.manifest.shards[0])[0]
    await fleet.ship(0, [row(line, request_id=None, recovered=True, at=1764249999.0)], fence=2)

    assert (await fleet.merge()).exit_code == 0


async def test_claim_that_follows_an_outcome_in_a_segment_is_the_last_word(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    throttled = row(lines[0], outcome=Outcome.FAILED, code="Throttling", message="later")
    await fleet.ship(1, map(claim, lines), [throttled, claim(lines[0]), *map(row, lines[1:])])

    done = await fleet.merge()

    assert (done.outcomes["sending"], done.outcomes["failed"]) == (1, 0)


async def test_windows_of_an_account_without_a_limit_are_counted_and_never_too_full(fleet: Fleet) -> None:
    await fleet.finish()
    account = fleet.manifest.shards[0].accounts[0]
    member = fleet.manifest.members[account]
    await fleet.describe(members={**fleet.manifest.members, account: replace(member, create_per_s=0.0)})
    await fleet.ship(0, sent(account, *[100.0] * 50), fence=2)

    assert (await fleet.merge()).requests == 50


async def test_rate_below_one_a_second_allows_one_request_in_a_window(fleet: Fleet) -> None:
    await fleet.finish()
    account = fleet.manifest.shards[0].accounts[0]
    member = fleet.manifest.members[account]
    await fleet.describe(members={**fleet.manifest.members, account: replace(member, create_per_s=0.5)})
    await fleet.ship(0, sent(account, 100.0, 101.0, 101.5), fence=2)

    (flaw,) = await fleet.flaws()

    assert "sent 2 creates within a second, and 1 are granted; it began at 101.0000 s" in flaw


async def test_claim_that_follows_an_outcome_in_a_segment_is_a_claim(fleet: Fleet) -> None:
    await fleet.finish(but=1)
    lines = fleet.lines_of(fleet.manifest.shards[1])
    refused = row(lines[0], outcome=Outcome.FAILED, code="iot.X", message="before it was sent")
    await fleet.ship(1, [refused, claim(lines[0]), *map(claim, lines[1:])], [*map(row, lines)])
    await fleet.say(1)

    assert (await fleet.merge()).exit_code == 0
