from __future__ import annotations

import resource

import pytest

from bulk.engine.lanes.dispatch import lanes_of_each, most_lanes
from bulk.events import ConnectionsShort, Event
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


@pytest.mark.parametrize(
    ("files", "sessions", "each", "is_short"),
    [
        pytest.param(resource.RLIM_INFINITY, 150, 200, False, id="no limit of files"),
        pytest.param(1_048_576, 150, 200, False, id="a limit far above"),
        pytest.param(4_096, 150, 21, False, id="shares"),
        pytest.param(1_024, 150, 1, True, id="the usual limit is short for as many"),
        pytest.param(256, 150, 1, True, id="hardly any file"),
    ],
)
def test_each_of_several_sessions_has_its_share_of_the_open_files(
    monkeypatch: pytest.MonkeyPatch, files: int, sessions: int, each: int, *, is_short: bool
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (files, files))
    told: list[Event] = []

    assert lanes_of_each(Settings(region="cn-shanghai"), sessions=sessions, listener=told.append) == each
    assert told == ([ConnectionsShort(files=files, accounts=sessions, each=each)] if is_short else [])


def test_only_session_has_all_that_a_run_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1_024, 1_024))

    assert lanes_of_each(Settings(region="cn-shanghai"), sessions=1, listener=lambda _: None) == 480
