"""The right to work on a shard: one machine at a time, on any clocks. Pure: the caller does all reads and writes.

A lease is a file ``lease/SHARD.FENCE`` for each holder that there has been; the highest fence counts. The files of
earlier fences stay: the next fence's file shows a holder that it lost the shard. These rules make two holders
impossible:

- A holder writes a new count every third of the term. Then it checks that the next fence is absent. Only if it is
  absent, the renewal is good. It gives the right to send for one term from the moment *before* it was written.
- A contender must see the count unchanged for longer than a term. It creates the next fence, and then reads the count
  again. If the holder's last renewal was written before that read, the contender sees it and waits one more term. If it
  was written later, the holder sees the next fence.
- No rule needs two clocks to agree. Each machine measures spans on its own clock, which may run a twelfth faster than
  another.

Each text that is written is unique. So an old write that arrives late can't look like an unchanged count.
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
"""If the clocks drift apart by more, the wall clock was set, or the machine was away and its clocks missed that."""


class Instant(NamedTuple):
    """A moment on the two clocks of a machine."""

    boot_s: float
    """Seconds, including suspend; this clock is never set."""

    wall_s: float
    """Seconds since the epoch; this clock can be set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Durations of the lease; the same for a whole fleet, so they are in its manifest."""

    term_s: float = 30.0
    """How long a renewal is valid."""

    request_timeout_s: float = 10.0
    """A request arrives within this time after it was sent, or never."""

    window_s: float = 1.0
    """Window of the platform's limit."""

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
        """A count unchanged for this long means that its holder has no right, whichever clock is faster."""
        return self.term_s * 7 / 6

    @property
    def quiet_s(self) -> float:
        """This long after a holder's last right, its requests have arrived and have left the platform's window."""
        return self.request_timeout_s + self.window_s


class State(StrEnum):
    """State that a holder writes. Stored: never rename a value."""

    WAITING = "waiting"  #: has the fence, and waits until an earlier holder's right has certainly ended
    SENDING = "sending"  #: no earlier holder has a right
    RELEASED = "released"  #: ended cleanly: sends nothing further


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where a holder runs. A process that gets the same lock file after the same boot knows that the holder ended."""

    boot_id: str = ""
    """ID of the machine's boot; empty: unknown, and equal to no other."""

    lock_device: int = 0
    lock_inode: int = 0

    def is_same(self, other: Host) -> bool:
        """Whether both are the same lock file on the same machine."""
        return bool(self.boot_id) and self == other


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The text of a lease."""

    holder: str
    """Random for each try to hold; it makes the text unique."""

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
        """Return the note of a lease; ``None``: it can't be read, and so allows no short cut."""
        try:
            found = orjson.loads(data)
            return cls(**{**found, "state": State(found["state"]), "host": Host(**found["host"])})
        except (ValueError, TypeError, KeyError):
            return None


class Read(NamedTuple):
    """Read a name. Answer: its content, `ABSENT`, or an `Outage`."""

    name: str


class Write(NamedTuple):
    """Write a text. Answer: a `Put`, or an `Outage`."""

    name: str
    data: bytes
    only_if_absent: bool = False


class Pause(NamedTuple):
    """Wait. The answer comes after this many seconds."""

    seconds: float


Question: TypeAlias = Read | Write | Pause
"""What the caller has to do."""

Answer: TypeAlias = "bytes | Absent | Put | Outage | None"
"""The caller's answer: see each question."""


class Right:
    """Until when a holder may send, by its own clocks. It is checked at every send, so it is fast."""

    def __init__(self, terms: Terms) -> None:
        """Begin without a right."""
        self._terms = terms
        self._ends_at_s = float("-inf")
        self._apart_s = 0.0
        self.is_lost = False
        """True: another has a later fence, and this right never comes back."""

    def allows(self, now: Instant) -> bool:
        """Say whether a request may leave now."""
        return now.boot_s < self._ends_at_s and not self._clocks_moved(now) and not self.is_lost

    def needs_renewal(self, now: Instant) -> bool:
        """Say whether a renewal is needed early: only it can show whether there is a right."""
        return self._clocks_moved(now) and not self.is_lost

    def renewed(self, began: Instant) -> None:
        """Note a good renewal, with the moment before it was written."""
        self._ends_at_s = began.boot_s + self._terms.term_s
        self._apart_s = began.wall_s - began.boot_s

    def _clocks_moved(self, now: Instant) -> bool:
        return abs(now.wall_s - now.boot_s - self._apart_s) >= _CLOCKS_APART_S


class Holder:
    """Has a fence, and renews it."""

    def __init__(self, name: str, fence: int, note: Note, *, terms: Terms, clock: Callable[[], Instant]) -> None:
        """Begin with a fence that was just created.

        Args:
            name: ``lease/SHARD``.
            fence: Its number, starting at 1.
            note: The note that was written.
            terms: The fleet's terms.
            clock: This machine's clock.
        """
        self._name = name
        self.fence = fence
        self._note = note
        self._clock = clock
        self.right = Right(terms)

    def renew(self, state: State) -> Generator[Question, Answer, bool]:
        """Renew once; return whether the renewal is good."""
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
        """Write that this holder sends nothing further, so that the next one need not wait for a term."""
        if not self.right.is_lost and self._note.state is State.SENDING:
            self.right.is_lost = True
            yield from self._write(State.RELEASED)

    def _write(self, state: State) -> Generator[Question, Answer, Answer]:
        self._note = replace(self._note, count=self._note.count + 1, state=state)
        return (yield Write(f"{self._name}.{self.fence}", self._note.encoded()))
