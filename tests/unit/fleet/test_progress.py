"""What the store tells of a shard is read as it was written, and nothing else."""

from __future__ import annotations

import pytest

from bulk.fleet.progress import AccountProgress, GivenUp, Progress, ShardState, highest_fences
from bulk.model import Outcome

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
