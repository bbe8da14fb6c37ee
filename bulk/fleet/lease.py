"""The right to work on a shard: one machine at a time, on any clocks. Pure: what is read and written is asked for.

A lease is a file ``lease/SHARD.FENCE`` for each holder there has been; the highest fence counts. The files of earlier
fences stay: they are how a holder learns that it lost the shard. What makes two holders impossible:

- A holder writes a new count every third of the term, and then looks whether the next fence is absent. Only then the
  renewal is good, and gives the right to send for one term from the moment *before* it was written.
- A contender has to see the count unchanged for longer than a term. It makes the next fence, and then reads the count
  again. Either the holder's last renewal was written before that, and the contender sees it and waits a term more; or
  it was written later, and the holder sees the next fence.
- Nobody counts on two clocks agreeing. Each one measures spans on its own, which may run a twelfth faster than another.

Each text that is written is a new one, so that an old write that arrives late can't look like a holder that is still.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import orjson

from bulk.fleet.store import ABSENT, Outage, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bulk.fleet.store import Absent

__all__ = [
    "Answer",
    "Holder",
    "Host",
    "Instant",
    "Note",
    "Pause",
    "Question",
    "Read",
    "Right",
    "State",
    "Terms",
    "Write",
]

_CLOCKS_APART_S = 2.0
"""A wall clock that departs so far from the other was set, or the machine was away without its clocks' knowing."""


class Instant(NamedTuple):
    """A moment by the two clocks of a machine."""

    boot_s: float
    """Seconds that count suspend; never set."""

    wall_s: float
    """Seconds since the epoch, as somebody set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long things last; the same for all of a fleet, so they are in its manifest."""

    term_s: float = 30.0
    """How long a renewal is good for."""

    request_timeout_s: float = 10.0
    """A request that was sent arrives within that, or never."""

    window_s: float = 1.0
    """Of the platform's limit."""

    @property
    def renew_every_s(self) -> float:
        """Two renewals may fail before the right ends."""
        return self.term_s / 3

    @property
    def retry_every_s(self) -> float:
        """How soon a renewal that failed is tried again."""
        return self.term_s / 15

    @property
    def poll_every_s(self) -> float:
        """How often a contender looks."""
        return self.term_s / 6

    @property
    def still_s(self) -> float:
        """A count that did not move for so long is of a holder without a right, whichever clock is the quicker one."""
        return self.term_s * 7 / 6

    @property
    def quiet_s(self) -> float:
        """After a holder's last moment, its requests have arrived and left the platform's window."""
        return self.request_timeout_s + self.window_s


class State(StrEnum):
    """What a holder says of itself. Stored: never rename a value."""

    WAITING = "waiting"  #: has the fence, and waits until an earlier holder's right is surely over
    SENDING = "sending"  #: no earlier holder has a right
    RELEASED = "released"  #: ended in order: sends no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a holder runs: who has the lock of the same file, since the same start of the machine, knows it ended."""

    boot_id: str = ""
    """Of this start of the machine; empty: not known, and like no other."""

    lock_device: int = 0
    lock_inode: int = 0

    def is_same(self, other: Host) -> bool:
        """Whether the two are one lock file of one machine."""
        return bool(self.boot_id) and self == other


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The text of a lease."""

    holder: str
    """Random, of each try to hold; what makes the text its own."""

    count: int = 0
    state: State = State.WAITING
    host: Host
    where: str = ""
    """Machine and process, for people."""

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decoded(cls, data: bytes) -> Note | None:
        """Return what a lease says; ``None``: it can't be read, and so allows no short cut."""
        try:
            found = orjson.loads(data)
            return cls(**{**found, "state": State(found["state"]), "host": Host(**found["host"])})
        except (ValueError, TypeError, KeyError):
            return None


class Read(NamedTuple):
    """Answered by what is there, `ABSENT`, or an `Outage`."""

    name: str


class Write(NamedTuple):
    """Answered by a `Put`, or an `Outage`."""

    name: str
    data: bytes
    only_if_absent: bool = False


class Pause(NamedTuple):
    """Answered after so many seconds."""

    seconds: float


Question: TypeAlias = Read | Write | Pause
"""What the outside is asked for."""

Answer: TypeAlias = "bytes | Absent | Put | Outage | None"
"""What it says: see each question."""


class Right:
    """Until when a holder may send, by its own clocks. Asked at every send, so it is quick."""

    def __init__(self, terms: Terms) -> None:
        """Begin without any."""
        self._terms = terms
        self._ends_at_s = float("-inf")
        self._apart_s = 0.0
        self.is_lost = False
        """Another has a later fence: there will never be a right again."""

    def allows(self, now: Instant) -> bool:
        """Say whether a request may leave now."""
        return now.boot_s < self._ends_at_s and not self._clocks_moved(now) and not self.is_lost

    def needs_renewal(self, now: Instant) -> bool:
        """Say whether only a renewal can tell if there is a right, before the next one is due."""
        return self._clocks_moved(now) and not self.is_lost

    def renewed(self, began: Instant) -> None:
        """Take note of a good renewal, with the moment before it was written."""
        self._ends_at_s = began.boot_s + self._terms.term_s
        self._apart_s = began.wall_s - began.boot_s

    def _clocks_moved(self, now: Instant) -> bool:
        return abs(now.wall_s - now.boot_s - self._apart_s) >= _CLOCKS_APART_S


class Holder:
    """Has a fence, and renews it."""

    def __init__(self, name: str, fence: int, note: Note, *, terms: Terms, clock: Callable[[], Instant]) -> None:
        """Begin with what was just made.

        Args:
            name: ``lease/SHARD``.
            fence: Its number, starting at 1.
            note: As it was written.
            terms: The fleet's.
            clock: Of this machine.
        """
        self._name = name
        self.fence = fence
        self._note = note
        self._clock = clock
        self.right = Right(terms)

    def renew(self, state: State) -> Generator[Question, Answer, bool]:
        """Renew once; say whether that was good."""
        began = self._clock()
        if (yield from self._write(state)) is not Put.STORED:
            return False
        after = yield Read(f"{self._name}.{self.fence + 1}")
        if after is ABSENT and state is State.SENDING:
            self.right.renewed(began)
        elif after is not ABSENT and not isinstance(after, Outage):
            self.right.is_lost = True
        return after is ABSENT

    def release(self) -> Generator[Question, Answer, None]:
        """Say that nothing is sent any more, so that the next one need not wait for a term."""
        if not self.right.is_lost and self._note.state is State.SENDING:
            self.right.is_lost = True
            yield from self._write(State.RELEASED)

    def _write(self, state: State) -> Generator[Question, Answer, Answer]:
        self._note = replace(self._note, count=self._note.count + 1, state=state)
        return (yield Write(f"{self._name}.{self.fence}", self._note.encoded()))
