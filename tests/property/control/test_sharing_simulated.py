"""Paces of several processes that share one window, in simulated time. Every run has a seed."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulk.control.notes import Kind
from bulk.control.pace import Pace
from bulk.control.sharing import ExchangeLostError, News, SharedPace, half_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk.control.notes import Note

SEEDS = range(4)
ANSWER, POLL, LATE = range(3)


@dataclass
class Room:
    """Where processes meet: the file, in memory."""

    notes: list[Note] = field(default_factory=list)
    has_turn: Seat | None = None
    is_lost: bool = False


@dataclass(eq=False)
class Seat:
    """One process's way to the others."""

    room: Room
    known: int = 0
    before_end: Callable[[], None] = lambda: None

    def begin(self) -> News | None:
        if self.room.is_lost:
            raise ExchangeLostError("no folder")
        if self.room.has_turn not in (None, self):
            return None
        self.room.has_turn = self
        notes, self.known = self.room.notes[self.known :], len(self.room.notes)
        return News(notes, is_whole=True)

    def end(self, notes: Sequence[Note]) -> None:
        self.before_end()
        self.room.has_turn = None
        if self.room.is_lost:
            raise ExchangeLostError("no folder")
        self.room.notes += notes
        self.known = len(self.room.notes)


@dataclass
class Process:
    """One that always has something to send, from `begins_at` until `ends_at`."""

    number: int
    room: Room
    per_s: float
    begins_at: float = 0.0
    ends_at: float = math.inf
    stops: tuple[float, float] = (math.inf, math.inf)
    """It does nothing between these; its requests are on their way already."""

    stops_in_turn: bool = False
    left: list[float] = field(default_factory=list)
    heard: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.begins_at
        self.seat = Seat(self.room)
        self.pace = SharedPace(
            Pace(self.per_s, now=self.now), self.seat, clock=lambda: self.now, listen=self.heard.append
        )

    def wake_in_turn(self, at: float) -> None:
        """Go on where it was stopped: in a turn that it began before."""
        self.stops_in_turn = False
        self.now = self.stops[0]
        self.seat.before_end = lambda: setattr(self, "now", at)
        self.pace.release_late(-math.inf, self.now)
        self.seat.before_end = lambda: None

    def awake_at(self, at: float) -> float:
        """Return when it does what is due then; where it was stopped in its turn, also stop it, or wake it."""
        if self.stops[0] <= at < self.stops[1]:
            if self.stops_in_turn:
                self.room.has_turn = self.seat
            return self.stops[1]
        if self.stops_in_turn and self.room.has_turn is self.seat:
            self.wake_in_turn(at)
        return at


def company(count: int, per_s: float, dice: random.Random) -> list[Process]:
    room = Room()
    return [Process(number, room, per_s, begins_at=dice.uniform(0.1, 1.0)) for number in range(count)]


@dataclass
class Play:
    """What arrived at the platform, and from whom."""

    length_s: float
    latency_s: tuple[float, float]
    dice: random.Random
    late: float = 0.0
    """Share of the requests that wait for a connection first, and may miss their turn."""

    arrived: list[float] = field(default_factory=list)

    def run(self, processes: list[Process]) -> None:
        events: list[tuple[float, int, int, float]] = [(each.begins_at, POLL, each.number, 0.0) for each in processes]
        heapq.heapify(events)
        while events:
            at, what, number, released_at = heapq.heappop(events)
            one = processes[number]
            if at >= min(self.length_s, one.ends_at):
                continue
            if (awake_at := one.awake_at(at)) > at:
                heapq.heappush(events, (awake_at, what, number, released_at))
                continue
            one.now = at
            if what == ANSWER:
                one.pace.answered(released_at, at)
                one.pace.succeeded(at)
            elif what == POLL:
                heapq.heappush(events, (self.poll(one, at, events), POLL, number, 0.0))
            elif one.pace.release_late(released_at, at):
                self.send(one, at, events)

    def poll(self, one: Process, at: float, events: list[tuple[float, int, int, float]]) -> float:
        """Send what may leave; return when the timer goes off that says to look again."""
        while not (wait_s := one.pace.take(at)):
            if self.dice.random() < self.late:
                heapq.heappush(events, (at + self.dice.uniform(0.002, 1.2), LATE, one.number, at))
            else:
                self.send(one, at, events)
        return at + max(0.003, math.ceil(wait_s * 1000) / 1000) + self.dice.uniform(0.0, 0.001)

    def send(self, one: Process, at: float, events: list[tuple[float, int, int, float]]) -> None:
        one.left.append(at)
        latency_s = self.dice.uniform(*self.latency_s)
        self.arrived.append(at + latency_s)
        heapq.heappush(events, (at + latency_s, ANSWER, one.number, at))

    def most_in(self, window_s: float = 1.0) -> int:
        window: deque[float] = deque()
        most = 0
        for at in sorted(self.arrived):
            while window and window[0] <= at - window_s:
                window.popleft()
            window.append(at)
            most = max(most, len(window))
        return most

    def reached(self, per_s: float, since: float, until: float) -> float:
        return sum(since <= at < until for at in self.arrived) / (until - since) / per_s


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("per_s", [10, 50])
@pytest.mark.parametrize("latency_s", [(0.005, 0.005), (0.005, 0.015), (0.005, 0.025)], ids=str)
def test_processes_fill_one_window_together_and_each_gets_its_part(
    latency_s: tuple[float, float], per_s: int, count: int, seed: int
) -> None:
    dice = random.Random(seed)
    processes = company(count, per_s, dice)
    play = Play(31.0, latency_s, dice)

    play.run(processes)

    assert play.most_in() <= per_s
    # Of ten places that five share, each measures two a second: it takes them longer to know what is late.
    assert play.reached(per_s, 1.0, 31.0) >= (0.97 if count < 5 else 0.96)
    assert min(len(each.left) for each in processes) >= 0.4 * len(play.arrived) / count


@pytest.mark.parametrize("count", [2, 3])
def test_high_rates_are_shared_too(count: int) -> None:
    dice = random.Random(1)
    processes = company(count, 500, dice)
    play = Play(16.0, (0.005, 0.015), dice)

    play.run(processes)

    assert play.most_in() <= 500
    assert play.reached(500, 1.0, 16.0) >= 0.97
    assert min(len(each.left) for each in processes) >= 0.4 * len(play.arrived) / count


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [1, 2.5, 10, 100])
def test_who_comes_and_goes_disturbs_nobody_and_what_is_left_is_used(per_s: float, seed: int) -> None:
    dice = random.Random(seed)
    room = Room()
    processes = [Process(0, room, per_s)] + [
        Process(number, room, per_s, begins_at=begins_at, ends_at=begins_at + dice.uniform(0.5, 8.0))
        for number in range(1, 6)
        for begins_at in [dice.uniform(0.0, 30.0)]
    ]
    play = Play(41.0, (0.005, 0.015), dice)

    play.run(processes)

    whole = math.ceil(per_s)
    assert play.most_in(whole / per_s) <= whole
    assert play.reached(per_s, 1.0, 41.0) >= (0.97 if per_s > 2.5 else 0.9)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_that_is_killed_holds_nothing_back(seed: int) -> None:
    dice = random.Random(seed)
    room = Room()
    stays, killed = Process(0, room, 10), Process(1, room, 10, ends_at=10.0)
    play = Play(21.0, (0.005, 0.015), dice)

    play.run([stays, killed])

    assert play.most_in() <= 10
    assert play.reached(10, 11.0, 21.0) >= 0.97
    assert sum(at >= 11.0 for at in stays.left) >= 97


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stop_s", [0.05, 0.7, 4.0])
def test_one_that_is_stopped_between_two_turns_goes_on_within_the_window(stop_s: float, seed: int) -> None:
    dice = random.Random(seed)
    room = Room()
    other, stopped = Process(0, room, 10), Process(1, room, 10, stops=(10.0, 10.0 + stop_s))
    play = Play(21.0, (0.005, 0.015), dice)

    play.run([other, stopped])

    assert play.most_in() <= 10
    assert play.reached(10, 1.0, 21.0) >= 0.97
    assert not other.heard
    assert not stopped.heard


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [1, 10, 50])
def test_requests_that_leave_late_overfill_no_window_also_where_one_was_stopped_meanwhile(
    per_s: int, seed: int
) -> None:
    dice = random.Random(seed)
    room = Room()
    other, stopped = Process(0, room, per_s), Process(1, room, per_s, stops=(10.0, 12.0))
    play = Play(21.0, (0.005, 0.015), dice, late=0.3)

    play.run([other, stopped])

    assert play.most_in() <= per_s
    assert play.reached(per_s, 1.0, 21.0) >= 0.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [2, 3, 10, 50])
def test_one_that_is_stopped_in_its_turn_halves_the_rate_of_both_until_they_hear_each_other(
    per_s: int, seed: int
) -> None:
    dice = random.Random(seed)
    room = Room()
    other = Process(0, room, per_s)
    stopped = Process(1, room, per_s, stops=(10.0, 20.0), stops_in_turn=True)
    play = Play(40.0, (0.005, 0.015), dice)

    play.run([other, stopped])

    assert play.most_in() <= per_s
    assert 0.85 * half_of(per_s) <= sum(12.0 <= at < 20.0 for at in other.left) / 8.0 <= half_of(per_s)
    assert play.reached(per_s, 24.0, 40.0) >= 0.94
    assert [why is None for why in other.heard] == [False, True]
    assert [why is None for why in stopped.heard] == [False, True]
    assert "for a second" in str(other.heard[0])
    assert "10.0 s" in str(stopped.heard[0])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [2, 3, 10, 11, 50])
def test_two_that_never_meet_keep_within_the_rate_by_half_of_it_each(per_s: int, seed: int) -> None:
    dice = random.Random(seed)
    processes = company(2, per_s, dice)
    processes[0].room.is_lost = True
    play = Play(20.0, (0.005, 0.015), dice)

    play.run(processes)

    assert play.most_in() <= per_s
    assert play.reached(2 * half_of(per_s), 2.0, 20.0) >= 0.93
    assert [each.heard for each in processes] == [["no folder"], ["no folder"]]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_lower_of_two_rates_is_kept_by_the_one_that_asked_for_it(seed: int) -> None:
    dice = random.Random(seed)
    room = Room()
    fast, slow = Process(0, room, 10), Process(1, room, 4)
    play = Play(31.0, (0.005, 0.015), dice)

    play.run([fast, slow])

    assert play.most_in() <= 10
    assert play.reached(10, 1.0, 31.0) >= 0.96
    # It sends only where, with its own request, four are in its window: another fills that alone.
    assert all(sum(at - 1.0 < other <= at for other in fast.left + slow.left) <= 4 for at in slow.left)


def test_a_note_of_an_earlier_boot_holds_nothing_back() -> None:
    room = Room(notes=[*((Kind.RELEASED, 5_000.0 + step / 10) for step in range(10)), (Kind.PAUSED, 5_003.0)])
    process = Process(0, room, 10, begins_at=20.0)
    play = Play(22.0, (0.005, 0.005), random.Random(1))

    play.run([process])

    assert len(process.left) == 19


def test_a_pause_that_one_was_asked_for_is_kept_by_all() -> None:
    room = Room()
    one, other = Process(0, room, 10), Process(1, room, 10)
    one.pace.throttled(0.0, retry_after_s=3.0)
    play = Play(5.0, (0.005, 0.005), random.Random(1))

    play.run([one, other])

    assert min(other.left[1:]) >= 3.0
    assert other.pace.rate_per_s == 10
