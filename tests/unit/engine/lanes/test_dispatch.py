from __future__ import annotations

import resource

import pytest

from bulk.engine.lanes.dispatch import most_lanes
from bulk.settings import Settings


@pytest.mark.parametrize(
    ("files", "qps", "lanes"),
    [
        pytest.param(resource.RLIM_INFINITY, 10.0, 2_000, id="no limit of files"),
        pytest.param(1_024, 10.0, 480, id="a limit below what would be opened"),
        pytest.param(1_048_576, 10.0, 2_000, id="a limit far above"),
        pytest.param(1_024, 0.0, 64, id="no rate"),
        pytest.param(40, 10.0, 1, id="hardly any file"),
    ],
)
def test_lanes_have_room_in_the_systems_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, files: int, qps: float, lanes: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))

    assert most_lanes(Settings(sandbox=True, qps=qps)) == lanes


def test_lanes_that_are_asked_for_are_opened_whatever_the_limit() -> None:
    assert most_lanes(Settings(sandbox=True, concurrency=3_000)) == 3_000
