"""What the store tells of a shard is read as it was written, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.fleet.progress import (
    AccountProgress,
    GivenUp,
    Progress,
    Shards,
    ShardState,
    failed_name,
    highest_fences,
    outcomes_of,
    progress_name,
    read_shards,
)
from bulk.fleet.store import Outage
from bulk.model import Outcome

if TYPE_CHECKING:
    from tests.unit.fleet.conftest import MemoryStore

PROGRESS = Progress(
    shard=3,
    fence=2,
    state=ShardState.WORKING,
    holder="process 1 on m",
    started_at=1.5,
    at=2.5,
    rows=10,
    outcomes={Outcome.CREATED: 3, Outcome.EXISTS: 1, Outcome.FAILED: 2},
    accounts={"eu": AccountProgress(rows=10, outcomes={Outcome.CREATED: 3})},
)


def test_what_is_encoded_is_decoded_as_it_was() -> None:
    left = GivenUp(shard=1, fence=2, tries=5, why="it died", at=3.0)

    assert Progress.decoded(PROGRESS.encoded()) == PROGRESS
    assert GivenUp.decoded(left.encoded()) == left


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"shard": 1}', b"\xff"])
def test_what_can_not_be_read_is_nothing(data: bytes) -> None:
    assert Progress.decoded(data) is None
    assert GivenUp.decoded(data) is None


def test_only_rows_that_cost_nothing_any_more_are_progress() -> None:
    assert PROGRESS.provisioned == 4


def test_highest_fence_is_by_number_and_of_names_that_are_some() -> None:
    assert highest_fences(["lease/0.9", "lease/0.10", "lease/2.1", "lease/x.1", "lease/3", "lease/4.x"]) == {
        0: 10,
        2: 1,
    }


async def test_latest_fence_of_a_shard_speaks_for_it(store: MemoryStore) -> None:
    for fence in (9, 10):
        store.objects[progress_name(3, fence)] = replace(PROGRESS, fence=fence).encoded()

    found = await read_shards(store)

    assert isinstance(found, Shards)
    assert {shard: one.fence for shard, one in found.progress.items()} == {3: 10}


async def test_progress_that_can_not_be_read_is_that_of_a_shard_nobody_has_begun(store: MemoryStore) -> None:
    store.objects |= {progress_name(3, 1): b"\xff", failed_name(3): b"{}", progress_name(4, 1): PROGRESS.encoded()}

    found = await read_shards(store)

    assert isinstance(found, Shards)
    assert ([*found.progress], found.failed) == ([4], {})


@pytest.mark.parametrize(("fence", "is_void"), [(4, False), (5, False), (6, True)])
async def test_shard_is_given_up_until_somebody_tries_it_again(fence: int, is_void: bool, store: MemoryStore) -> None:
    left = GivenUp(shard=3, fence=5, tries=5, why="it died", at=3.0)
    store.objects |= {failed_name(3): left.encoded(), progress_name(3, fence): replace(PROGRESS, fence=fence).encoded()}

    found = await read_shards(store)

    assert isinstance(found, Shards)
    assert found.failed == ({} if is_void else {3: left})


@pytest.mark.parametrize(
    ("operation", "prefix"), [("names", "progress"), ("names", "failed"), ("get", "progress"), ("get", "failed")]
)
async def test_store_that_misses_one_answer_is_an_outage_and_not_a_fleet_that_has_not_begun(
    operation: str, prefix: str, store: MemoryStore
) -> None:
    left = GivenUp(shard=3, fence=5, tries=5, why="it died", at=3.0)
    store.objects |= {failed_name(3): left.encoded(), progress_name(3, 1): PROGRESS.encoded()}
    store.be_silent(operation, prefix)

    assert isinstance(await read_shards(store), Outage)


def test_rows_that_nobody_reports_are_pending() -> None:
    assert outcomes_of(None, 10) == {"pending": 10}
    assert outcomes_of(PROGRESS, 10) == {"created": 3, "exists": 1, "failed": 2, "pending": 4}
    assert outcomes_of(replace(PROGRESS, outcomes={"created": 9, "pending": 1}), 10) == {"created": 9, "pending": 1}
