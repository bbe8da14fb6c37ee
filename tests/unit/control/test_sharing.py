"""One process's pace, and what it hears and tells; the others are a script."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest

from bulk.control.notes import Kind
from bulk.control.pace import Pace
from bulk.control.sharing import ExchangeLostError, News, SharedPace, half_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.control.notes import Note


class Script:
    """Says what the others noted, turn by turn; after that, nothing."""

    def __init__(self, *news: News | None) -> None:
        self.news = deque(news)
        self.told: list[list[Note]] = []
        self.is_deaf = False

    def begin(self) -> News | None:
        return self.news.popleft() if self.news else News((), is_whole=True)

    def end(self, notes: Sequence[Note]) -> None:
        if self.is_deaf:
            raise ExchangeLostError("the disk is full")
        self.told.append(list(notes))


class Shared:
    """A shared pace of ten a second, whose clock is set by hand."""

    def __init__(self, script: Script, per_s: float = 10.0) -> None:
        self.script = script
        self.now = 0.0
        self.heard: list[str | None] = []
        self.pace = SharedPace(Pace(per_s, now=0.0), script, clock=lambda: self.now, listen=self.heard.append)

    def left_until(self, end: float, *, tick_s: float = 0.001) -> list[float]:
        left = []
        while self.now < end:
            if not self.pace.take(self.now):
                left.append(self.now)
            self.now += tick_s
        return left


def released(*moments: float) -> News:
    return News([(Kind.RELEASED, at) for at in moments], is_whole=True)


def test_each_request_is_told_before_it_leaves() -> None:
    shared = Shared(Script())

    (left,) = shared.left_until(0.2)

    assert shared.script.told == [[(Kind.RELEASED, left + 0.019)]]


def test_a_full_window_of_others_is_waited_for() -> None:
    shared = Shared(Script(released(*[0.1] * 10)))

    left = shared.left_until(1.5)

    assert left[0] >= 1.1


def test_what_others_drop_or_move_makes_room_or_takes_it() -> None:
    dropped = [(Kind.DROPPED, 0.05), (Kind.DROPPED, 0.06), (Kind.MOVED, 0.9)]
    shared = Shared(Script(released(0.05, *[0.07] * 8), News(dropped, is_whole=True)))
    first = shared.left_until(0.3)[0]

    later = shared.left_until(1.5)

    assert first < 0.15
    # Nine of theirs and one of ours; the earliest was moved to 0.9.
    assert 1.07 <= later[0] < 1.08
    assert len(later) <= 9


def test_an_answer_is_told_only_where_somebody_else_is_there() -> None:
    alone, accompanied = Shared(Script()), Shared(Script(*[released(0.001 * n) for n in range(40)]), per_s=1_000.0)
    for shared in (alone, accompanied):
        for _ in range(40):
            released_at = shared.left_until(shared.now + 0.2)[0]
            shared.pace.answered(released_at, released_at + 0.005)
        shared.left_until(shared.now + 0.2)

    assert {kind for notes in alone.script.told for kind, _ in notes} == {Kind.RELEASED}


def test_an_answer_that_comes_later_than_assumed_is_told_at_once() -> None:
    shared = Shared(Script())
    for _ in range(60):
        released_at = shared.left_until(shared.now + 0.11)[0]
        shared.pace.answered(released_at, released_at + 0.005)
    released_at = shared.left_until(shared.now + 0.11)[0]
    before = len(shared.script.told)

    shared.pace.answered(released_at, released_at + 0.105)

    (told,) = shared.script.told[before:]
    assert [kind for kind, _ in told] == [Kind.DROPPED, Kind.MOVED]
    assert told[1][1] >= released_at + 0.1


def test_what_is_given_back_is_told_with_the_next_request() -> None:
    shared = Shared(Script())
    (left,) = shared.left_until(0.15)

    shared.pace.give_back(left)
    shared.left_until(0.3)

    assert shared.script.told[1][0] == (Kind.DROPPED, left + 0.019)


def test_one_that_is_let_out_and_goes_late_keeps_its_place_unless_others_have_filled_the_window() -> None:
    kept, lost = Shared(Script()), Shared(Script(News((), is_whole=True), released(*[2.0] * 10)))

    assert kept.pace.postpone(kept.left_until(0.15)[0], 0.5)
    assert not lost.pace.postpone(lost.left_until(0.15)[0], 2.5)
    assert not lost.pace.release_late(0.102, 2.5)


def test_where_notes_are_missing_a_window_is_waited_for() -> None:
    missing, old = Shared(Script(News([], is_whole=False))), Shared(Script(News([(Kind.RELEASED, -9.0)], False)))

    assert missing.left_until(2.0)[0] >= 1.3
    assert old.left_until(2.0)[0] < 0.2


@pytest.mark.parametrize("note", [(Kind.MOVED, float("nan")), (9, 0.05), (Kind.PAUSED, 900.0)])
def test_a_note_that_makes_no_sense_is_passed_over(note: Note) -> None:
    shared = Shared(Script(News([note], is_whole=True)))

    assert len(shared.left_until(2.0)) == 19


def test_a_turn_of_another_is_waited_for_but_not_longer_than_a_second() -> None:
    shared = Shared(Script(*[None] * 2_000))

    left = shared.left_until(5.0)

    assert left[0] >= 1.1
    assert 0.9 * 5 <= sum(1.5 <= at < 3.5 for at in left) / 2 <= 5.0
    assert "another process" in str(shared.heard[0])


def test_what_nobody_hears_does_not_leave_and_halves_the_rate() -> None:
    shared = Shared(Script())
    shared.script.is_deaf = True

    left = shared.left_until(4.0)

    assert sum(2.0 <= at < 4.0 for at in left) <= 10
    assert shared.heard == ["the disk is full"]
    assert shared.pace.rate_per_s == 5.0
    assert shared.pace.per_s == 10.0

    shared.script.is_deaf = False
    shared.left_until(7.0)
    assert shared.heard[1:] == [None]
    assert shared.pace.rate_per_s == 10.0
    assert sum(kind == Kind.RELEASED for kind, _ in shared.script.told[0]) >= len(left)


def test_an_action_that_waits_for_others_does_not_move_what_was_throttled() -> None:
    shared = Shared(Script())
    shared.left_until(2.0)

    assert shared.pace.throttled(2.0, retry_after_s=1.0)

    assert shared.script.told[-1][-1] == (Kind.PAUSED, 3.0)
    assert shared.pace.rate_per_s == 5.0
    assert shared.left_until(3.0) == []
    assert shared.pace.succeeded(3.5)


@pytest.mark.parametrize(("per_s", "half"), [(10, 5), (11, 5), (3, 1), (2.5, 1), (2, 1), (1.5, 0.75), (1, 0.5)])
def test_two_halves_fit_into_a_window(per_s: float, half: float) -> None:
    assert half_of(per_s) == half
