"""Several runs on one account at once, a process each: no second at the platform holds more than granted."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bulk.sandbox import Sandbox, Seen
    from tests.conftest import Job
    from tests.crash.conftest import Child

    BoxWith = Callable[..., Sandbox]
    MakeJob = Callable[..., Job]
    StartChild = Callable[..., AbstractAsyncContextManager[Child]]
    StartBoth = Callable[[Job, Job, Sandbox], AbstractAsyncContextManager[tuple[Child, Child]]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]

pytestmark = pytest.mark.xdist_group("in_time")  # they hold a clock to what a machine does: not two at once

PER_S = 50
RATE = ("--qps", f"{PER_S}", "--list-qps", f"{PER_S}")
JUDGED_S = 0.95
"""What is called a second here: the sandbox stamps a request when it looks at it, which a busy machine delays."""


class Judge:
    """Counts what arrives, and says when there was enough of it."""

    def __init__(self) -> None:
        self.creates: list[tuple[float, str]] = []
        self._enough: list[tuple[str, int, asyncio.Event]] = []

    def __call__(self, seen: Seen) -> None:
        if seen.module_name:
            self.creates.append((seen.at, seen.product_key))
            for product, count, event in self._enough:
                if self.count(product) >= count:
                    event.set()

    def count(self, product: str = "") -> int:
        return sum(key.startswith(product) for _, key in self.creates)

    async def creates_of(self, product: str, count: int) -> None:
        event = asyncio.Event()
        self._enough.append((product, self.count(product) + count, event))
        async with asyncio.timeout(40.0):
            await event.wait()

    def most_in_a_second(self) -> int:
        times = [at for at, _ in self.creates]
        return max(sum(at <= other < at + JUDGED_S for other in times) for at in times)

    def per_s_of_the_last(self, count: int) -> float:
        last = [at for at, _ in self.creates[-count:]]
        return (count - 1) / (last[-1] - last[0])


@pytest.fixture
def both(child: StartChild, tmp_path: Path) -> StartBoth:
    """Return what starts a run for each of two jobs; they meet in a folder of the test."""
    place = tmp_path / "meeting-place"
    patch = (
        "import pathlib, bulk.engine.sessions.shared_window as m\n"
        f"m.shared_folder = lambda: pathlib.Path({str(place)!r})"
    )

    @asynccontextmanager
    async def start(one: Job, other: Job, box: Sandbox) -> AsyncIterator[tuple[Child, Child]]:
        async with child(one, box, *RATE, patch=patch) as first, child(other, box, *RATE, patch=patch) as second:
            yield first, second

    return start


def jobs(make_job: MakeJob, products: int = 10) -> tuple[Job, Job]:
    one, other = (
        make_job(products=products, rows=10, name="one.csv"),
        make_job(products=products, rows=10, name="other.csv"),
    )
    text = other.path.read_text(encoding="utf-8")
    other.path.write_text(text.replace("a1Prod", "b2Prod"), encoding="utf-8")
    return one, other


async def test_two_runs_at_once_share_the_rate_without_being_told_to(
    box_with: BoxWith, make_job: MakeJob, watch: Watch, both: StartBoth
) -> None:
    one, other = jobs(make_job)
    async with box_with() as box:
        watch(box, judge := Judge())

        async with both(one, other, box) as (first, second):
            ended = await asyncio.gather(first.ended(), second.ended())

    assert [each.summary["outcomes"]["created"] for each in ended] == [100, 100]
    assert [each.summary["throttled"] for each in ended] == [0, 0]
    assert judge.most_in_a_second() <= PER_S
    first_half = judge.creates[: len(judge.creates) // 2]
    assert 0.25 < sum(key.startswith("a1") for _, key in first_half) / len(first_half) < 0.75


async def test_a_killed_run_holds_nothing_back(
    box_with: BoxWith, make_job: MakeJob, watch: Watch, both: StartBoth
) -> None:
    one, other = jobs(make_job, products=15)
    async with box_with() as box:
        watch(box, judge := Judge())

        async with both(one, other, box) as (first, second):
            await judge.creates_of("a1", 40)
            first.signal(signal.SIGKILL)
            await first.ended()
            ended = await second.ended()

    assert ended.summary["outcomes"]["created"] == 150
    assert judge.most_in_a_second() <= PER_S
    assert judge.per_s_of_the_last(50) >= 0.9 * PER_S


async def test_a_run_that_was_stopped_and_goes_on_keeps_within_the_window(
    box_with: BoxWith, make_job: MakeJob, watch: Watch, both: StartBoth
) -> None:
    one, other = jobs(make_job, products=15)
    async with box_with() as box:
        watch(box, judge := Judge())

        async with both(one, other, box) as (first, second):
            await judge.creates_of("a1", 30)
            first.signal(signal.SIGSTOP)
            await judge.creates_of("b2", 60)
            first.signal(signal.SIGCONT)
            ended = await asyncio.gather(first.ended(), second.ended())

    assert [each.summary["outcomes"]["created"] for each in ended] == [150, 150]
    assert judge.most_in_a_second() <= PER_S


async def test_runs_that_cannot_meet_say_so_and_keep_to_half_of_the_rate(
    box_with: BoxWith, make_job: MakeJob, watch: Watch, both: StartBoth, tmp_path: Path
) -> None:
    (tmp_path / "meeting-place").mkdir(mode=0o755)
    one, other = jobs(make_job, products=5)
    async with box_with() as box:
        watch(box, judge := Judge())

        async with both(one, other, box) as (first, second):
            ended = await asyncio.gather(first.ended(), second.ended())

    assert [each.summary["outcomes"]["created"] for each in ended] == [50, 50]
    assert judge.most_in_a_second() <= PER_S
    for each in ended:
        assert "rate.halved" in each.stderr
        assert "meeting-place, or a file in it, is not private to this user" in each.stderr
