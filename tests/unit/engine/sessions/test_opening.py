"""When the sessions of several accounts begin, and the windows that they share with other processes."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.run import run
from bulk.engine.sessions.opening import Opening
from bulk.engine.sessions.session import Clock, RateGroup
from bulk.events import Event, RateChanged
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

OWNED = "Account,ProductKey,ModuleName\n"


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where processes share their windows, in place of the folder of all of this user's processes."""
    folder = tmp_path / "shared"
    monkeypatch.setattr("bulk.engine.sessions.shared_window.shared_folder", lambda: folder)
    return folder


def files_in(folder: Path) -> int:
    return len(list(folder.iterdir()))


@pytest.mark.parametrize(
    ("rates", "starts_s"),
    [
        ({Action.LIST: 10.0, Action.CREATE: 2.0}, [0.0, 0.025, 0.05, 0.075]),
        ({Action.LIST: 0.001}, [0.0, 0.25, 0.5, 0.75]),
        ({Action.LIST: 0.0}, [0.0, 0.0, 0.0, 0.0]),
    ],
)
def test_sessions_with_one_rate_start_spread_over_one_step(
    monkeypatch: pytest.MonkeyPatch, rates: dict[Action, float], starts_s: list[float]
) -> None:
    now = [100.0]
    monkeypatch.setattr("bulk.engine.sessions.opening.SYSTEM_CLOCK", Clock(monotonic=lambda: now[0]))
    job: Any = SimpleNamespace(parts=[None] * 4)
    nothing: Any = None
    opening = Opening(job, nothing, transport=nothing, writer=nothing, states={})
    session: Any = SimpleNamespace(group=RateGroup(rates))

    assert [opening.start_in_s(number, session) for number in range(4)] == pytest.approx(starts_s)
    # Keys that took long: the session keeps its place in the step.
    now[0] += 7.01 if any(rates.values()) else 0.0
    late_s = [opening.start_in_s(number, session) for number in range(1, 4)]
    step_s = starts_s[1] * 4
    assert [(7.01 + each_s) % step_s if step_s else each_s for each_s in late_s] == pytest.approx(starts_s[1:])


async def test_accounts_of_one_rate_group_share_one_window_with_other_processes(
    write: Write, make_box: Make, make_job: Make, shared: Path
) -> None:
    boxes = {"cn": make_box(), "eu": make_box()}
    settings, keys = make_job(boxes, rate_group="one", qps=10_000.0, list_qps=10_000.0)

    summary = await run(write("m.csv", f"{OWNED}cn,a1A,m\neu,a1A,m\n"), settings, credentials=keys)

    assert summary.outcomes["created"] == 2
    assert files_in(shared) == 2  # listings and creates


async def test_window_that_can_not_be_shared_is_told_once_with_its_account(
    write: Write, make_box: Make, make_job: Make, shared: Path
) -> None:
    os.mkfifo(shared)  # something else is in the way
    settings, keys = make_job({"cn": make_box()}, qps=10_000.0, list_qps=10_000.0)
    events: list[Event] = []

    summary = await run(
        write("m.csv", f"{OWNED}cn,a1A,m\ncn,a1B,m\n"), settings, credentials=keys, listener=events.append
    )

    told = {event.action: event for event in events if isinstance(event, RateChanged) and event.unshared}
    assert summary.outcomes["created"] == 2
    assert {*told} == {Action.LIST, Action.CREATE}
    assert {event.account for event in told.values()} == {"cn"}
    assert all("is not private to this user" in str(event.unshared) for event in told.values())
