"""Keep a pace inside a window that several processes fill together. Pure: no I/O, exchange and clock are given.

Each process has its own pace, and each pace remembers what *all* of them released. So a pace's promise is true for all
of them together. The rate is not divided: a share would be lost if its process has little to send.

One process decides about a request at a time: read what the others noted, decide, note the decision. A request is noted
before it is sent. So if its process dies in between, it only fills its place for one window. Answers mostly free a
place earlier, so they are noted with the next request, and only if another process is there. Answers that show a
request to be later than assumed are noted at once.

If there are others, a free place is kept for a moment for the one that has waited longest. Without that, the process
with the quicker timer could take every place.

If the exchange can't be used (no folder, or another process was stopped during its turn), the processes do not hear of
each other. Then each of them keeps to half of the rate. A process that was itself stopped in its turn does the same,
since others may have gone on without it. All go back to the full rate one window after they hear each other again.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from bulk.control.notes import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk.control.notes import Note
    from bulk.control.pace import Pace

__all__ = ["Exchange", "ExchangeLostError", "News", "SharedPace", "half_of"]

PATIENCE_S = 1.0
"""How long another process may have its turn before this one goes on without the exchange."""

STOPPED_S = 0.5
"""A turn that took longer was interrupted; others may have gone on without this process."""

ASK_AGAIN_S = 0.001
"""When to try again while another process has its turn; a turn takes a hundredth of this."""

APART_S = 0.25
"""When to try again after a failure."""

COURTESY_S = 0.004
"""How long the process that sent last leaves a free place to others: a timer may be this late. The process that sent
before it waits half as long, and so on: the one that has waited longest goes first."""

LATEST_S = 0.3
"""How much later than its departure a request may count as released."""

AHEAD_S: Mapping[int, float] = MappingProxyType(
    {Kind.RELEASED: 5.0, Kind.DROPPED: 5.0, Kind.MOVED: 5.0, Kind.PAUSED: 60.0}
)
"""A note further in the future is from before the machine's last start, which reset the clock. Or it is such a long
pause that each process can learn of it from the platform."""

MOST_UNHEARD = 64
"""Notes kept for each place of a window while they can't be passed on."""

_Result = TypeVar("_Result")


class ExchangeLostError(Exception):
    """Nothing can be exchanged; the message says why, and what to do about it."""


class News(NamedTuple):
    """What others noted since this process last listened."""

    notes: Sequence[Note]
    is_whole: bool
    """Whether nothing is missing before the first note."""


class Exchange(Protocol):
    """How processes that share a window hear of each other. Its calls never wait."""

    def begin(self) -> News | None:
        """Begin this process's turn, and return what the others noted; ``None``: it is another process's turn.

        Raises:
            ExchangeLostError: There is no exchange, and so no turn.
        """
        ...

    def end(self, notes: Sequence[Note]) -> None:
        """Pass notes to the others, and end the turn.

        Raises:
            ExchangeLostError: The notes did not reach them; the turn has ended anyway.
        """
        ...


def half_of(per_s: float) -> float:
    """Return half of a rate, rounded down to whole requests if the rate has two or more a second."""
    return float(per_s // 2) if per_s >= 2 else per_s / 2  # noqa: PLR2004 - two halves


class SharedPace:
    """A `Pace` that counts other processes' requests like its own. The rate must not be unlimited."""

    def __init__(
        self, pace: Pace, exchange: Exchange, *, clock: Callable[[], float], listen: Callable[[str | None], None]
    ) -> None:
        """Share from the first request on.

        Args:
            pace: This process's; nothing else may use it from now on.
            exchange: The connection to the others.
            clock: The clock that ``pace`` was started with; the others read the same one.
            listen: Receives the reason when this process goes to half of the rate, and ``None`` when that ends.
        """
        self.per_s = pace.per_s
        self._pace = pace
        self._exchange = exchange
        self._clock = clock
        self._listen = listen
        self._window_s = math.ceil(pace.per_s) / pace.per_s
        self._notes: list[Note] = []
        pace.notes = self._notes
        self._began = 0.0
        self._has_news = False
        self._busy_since = self._busy_at = -math.inf
        self._others_at = -math.inf
        self._others_since = 0
        self._is_apart = False
        self._try_at = -math.inf
        self._full_at = math.inf

    @property
    def rate_per_s(self) -> float:
        """Requests a second in force now."""
        return self._pace.rate_per_s

    def take(self, now: float) -> float:
        """See `Pace.take`."""
        if wait_s := self._pace.wait_s(now):
            return wait_s
        decided = self._in_turn(now, self._take)
        if decided is not None:
            return decided
        return self._pace.take(now) if self._is_apart else ASK_AGAIN_S

    def _take(self, now: float) -> float:
        wait_s = (self._pace.wait_s(now) if self._has_news else 0.0) or self._courtesy_s(now)
        if not wait_s:
            self._pace.release(now)
            self._others_since = 0
        return wait_s

    def _courtesy_s(self, now: float) -> float:
        if not self._pace.has_company:
            return 0.0
        return max(0.0, self._pace.room_at() + COURTESY_S * 0.5**self._others_since - now)

    def postpone(self, released_at: float, now: float) -> bool:
        """See `Pace.postpone`."""
        return self._move(now, lambda: self._pace.postpone(released_at, now))

    def release_late(self, released_at: float, now: float) -> bool:
        """See `Pace.release_late`."""
        return self._move(now, lambda: self._pace.release_late(released_at, now))

    def _move(self, now: float, move: Callable[[], bool]) -> bool:
        moved = self._in_turn(now, lambda _: move())
        return moved if moved is not None else self._is_apart and move()

    def give_back(self, released_at: float) -> None:
        """See `Pace.give_back`; the others learn of it with the next request."""
        self._pace.give_back(released_at)

    def answered(self, released_at: float, now: float) -> None:
        """See `Pace.answered`."""
        notes, known = self._notes, len(self._notes)
        self._pace.answered(released_at, now)
        if len(notes) == known:
            return
        if notes[-1][1] > notes[-2][1]:  # dropped at the first time, moved to the second
            self._in_turn(now, _nothing_else)
        elif not self._pace.has_company:
            del notes[-2:]  # a process that joins waits a little longer for its first places

    def throttled(self, now: float, *, retry_after_s: float | None) -> bool:
        """See `Pace.throttled`; the others pause too, and lower their rates once they are throttled themselves."""
        lowered = self._pace.throttled(now, retry_after_s=retry_after_s)
        self._in_turn(now, _nothing_else)
        return lowered

    def succeeded(self, now: float) -> bool:
        """See `Pace.succeeded`."""
        return self._pace.succeeded(now)

    def _in_turn(self, now: float, decide: Callable[[float], _Result]) -> _Result | None:
        """Decide in this process's turn, knowing what all have done; ``None``: that was not possible."""
        if (news := self._begin(now)) is None:
            return None
        self._has_news = bool(news.notes) or not news.is_whole or self._is_apart
        has_ended = False
        try:
            if self._has_news:
                self._hear(news, now)
            self._pace.has_company = now - self._others_at <= self._window_s
            decided = decide(now)
        finally:
            has_ended = self._end(now)
        return decided if has_ended else None

    def _begin(self, now: float) -> News | None:
        if now < self._try_at:
            return None
        self._began = self._clock()
        try:
            news = self._exchange.begin()
        except ExchangeLostError as exc:
            self._part(str(exc), now)
            return None
        if news is None:
            self._meet_another(now)
        else:
            self._busy_at = -math.inf
        return news

    def _meet_another(self, now: float) -> None:
        if now - self._busy_at > PATIENCE_S / 2:
            self._busy_since = now
        self._busy_at = now
        if self._is_apart or now - self._busy_since >= PATIENCE_S:
            self._part("another process on this machine has kept its turn for a second: end it, or let it go on", now)

    def _hear(self, news: News, now: float) -> None:
        notes = news.notes
        gone_at = now - self._window_s - LATEST_S
        if not (news.is_whole or (notes and notes[0][1] < gone_at)):
            self._pace.pause(now + self._window_s + LATEST_S)  # by then no missing note counts any more
        for note in notes:
            kind, at = note
            if not at <= now + AHEAD_S.get(kind, -math.inf):  # also excludes NaN, in a file that was overwritten
                continue
            self._pace.hear(note)
            if kind == Kind.RELEASED:
                self._others_at = max(self._others_at, at)
                self._others_since += 1
        if self._is_apart:
            self._come_together(now)

    def _end(self, now: float) -> bool:
        try:
            self._exchange.end(self._notes)
        except ExchangeLostError as exc:
            self._part(str(exc), now)
            return False
        self._notes.clear()
        if (took_s := self._clock() - self._began) > STOPPED_S:
            self._part(f"this process was stopped for {took_s:.1f} s in its turn, and others may have gone on", now)
        return True

    def _part(self, reason: str, now: float) -> None:
        """Keep to half of the rate until the exchange with others works again."""
        self._full_at, self._try_at = math.inf, now + APART_S
        del self._notes[: -MOST_UNHEARD * math.ceil(self.per_s)]
        if not self._is_apart:
            self._is_apart = True
            self._pace.grant(half_of(self.per_s))
            self._listen(reason)

    def _come_together(self, now: float) -> None:
        """Go back to the full rate once the others, which may have been cut off too, noted what they did meanwhile."""
        self._full_at = min(self._full_at, now + self._window_s + LATEST_S)
        if now >= self._full_at:
            self._is_apart, self._full_at = False, math.inf
            self._pace.grant(self.per_s)
            self._listen(None)


def _nothing_else(_now: float) -> None:
    """Decide nothing: the turn only exchanges notes."""
