"""How many connections a look may use: as many as it asks in parallel, unless files are short."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.accounts import accounts_of
from bulk.engine.looking import opening
from bulk.engine.looking.opening import opened_lookers
from bulk.engine.stop import StopSignal
from bulk.events import ClockCorrected, Event, ignore
from bulk.model import Listing
from bulk.sandbox import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("files", "concurrency", "connections"),
    [
        (resource.RLIM_INFINITY, None, 128),
        (1_024, None, 128),
        (100, None, 36),
        (10, None, 4),
        (1_024, 3, 6),
    ],
)
async def test_connections_are_as_many_as_products_in_parallel_if_files_allow(
    make_box: Make,
    make_job: Make,
    monkeypatch: pytest.MonkeyPatch,
    files: int,
    concurrency: int | None,
    connections: int,
) -> None:
    settings, keys = make_job({"cn": make_box(), "eu": make_box()}, concurrency=concurrency)
    limits: list[int] = []
    made = vars(opening)["HttpTransport"]

    def transport(*, limit: int) -> Any:
        limits.append(limit)
        return made()

    monkeypatch.setattr(opening, "HttpTransport", transport)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    accounts = accounts_of(settings)
    stops = {account.name: StopSignal() for account in accounts}

    async with opened_lookers(accounts, credentials=keys, stops=stops, listener=ignore) as lookers:
        assert sorted(lookers) == ["cn", "eu"]

    assert limits == [connections]


async def test_clock_that_is_off_is_corrected_and_told_with_its_account(make_box: Make, make_job: Make) -> None:
    settings, keys = make_job({"cn": make_box(faults=FaultPlan.parse("clock-skew=+20m"))})
    accounts, events = accounts_of(settings), list[Event]()

    async with opened_lookers(
        accounts, credentials=keys, stops={"cn": StopSignal()}, listener=events.append
    ) as lookers:
        answer = await lookers["cn"].list_modules("a1A")

    assert isinstance(answer, Listing)
    (corrected,) = [event for event in events if isinstance(event, ClockCorrected)]
    assert (corrected.account, round(corrected.offset_s / 60)) == ("cn", 20)
