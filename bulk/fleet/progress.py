"""What the store says about a shard: the state of its rows, its holder, and whether it was given up.

Two kinds of objects, both small JSON texts, each with one writer:

- The holder of a fence writes ``progress/SHARD.FENCE``. It overwrites the object every few seconds, and a last time
  when it ends. The highest fence counts: a holder that was stopped and continues late writes to its own object, and
  misleads nobody.
- A driver writes ``failed/SHARD`` when it gives a shard up after too many tries without success. A progress object with
  a higher fence than the one named there makes it void: somebody tried again.

Times are from the clock of the machine that wrote them. They are for people; no decision depends on them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import orjson

from bulk.fleet.store import Outage
from bulk.model import PROVISIONED_OUTCOMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.fleet.store import Store

__all__ = [
    "AccountProgress",
    "GivenUp",
    "Progress",
    "ShardState",
    "Shards",
    "failed_name",
    "highest_fences",
    "outcomes_of",
    "progress_name",
    "read_shards",
]

_PROGRESS = "progress"
_FAILED = "failed"


class ShardState(StrEnum):
    """State that a holder wrote last. Stored: never rename a value."""

    WORKING = "working"  #: it has the lease; or it died, and then the count in the lease no longer changes
    ENDED = "ended"  #: it completed its rows; ``exit_code`` is that of a run: 0 or 1
    STOPPED = "stopped"  #: it ended early: ``stopped`` says why, and rows are left to do


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountProgress:
    """State of one account's rows."""

    rows: int
    outcomes: Mapping[str, int]
    """See `Progress.outcomes`."""

    stopped: str | None = None
    """Why its requests ended early, while other accounts continue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """State of a shard, as the holder of one fence wrote it."""

    shard: int
    fence: int
    state: ShardState
    holder: str
    """Machine and process, for people."""

    started_at: float
    """When this holder took the shard, in seconds since the epoch."""

    at: float
    """When this was written."""

    rows: int = 0
    """Rows of the slice; 0: not read yet."""

    outcomes: Mapping[str, int] = field(default_factory=dict)
    """Outcome → rows, without zeros. During the work, open rows are not counted here. Once the state is ENDED or
    STOPPED, every row is counted."""

    per_s: float = 0.0
    """Rows a second that recently got their outcome."""

    requests: Mapping[str, int] = field(default_factory=dict)
    """This holder's requests by action, as in a summary; filled once the state is ENDED or STOPPED."""

    throttled: int = 0
    recovered: int = 0
    accounts: Mapping[str, AccountProgress] = field(default_factory=dict)
    exit_code: int | None = None
    """Exit code, as of a run; ``None``: it has not ended, or its result is unknown."""

    stopped: str | None = None
    """Why it ended early."""

    @property
    def provisioned(self) -> int:
        """Rows that need no further work. It grows from holder to holder, unless a try made no progress."""
        return sum(rows for outcome, rows in self.outcomes.items() if outcome in PROVISIONED_OUTCOMES)

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_NON_STR_KEYS)  # an outcome is not a plain str

    @classmethod
    def decoded(cls, data: bytes) -> Self | None:
        """Return what was encoded; ``None``: it can't be read. Another version may have written it."""
        try:
            found = orjson.loads(data)
            accounts = {name: AccountProgress(**account) for name, account in found["accounts"].items()}
            return cls(**{**found, "state": ShardState(found["state"]), "accounts": accounts})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A shard that a driver gives up, so that the others continue."""

    shard: int
    fence: int
    """The highest fence at that time: a later holder makes this void."""

    tries: int
    why: str
    """How the last try ended, with the remedy where there is one."""

    at: float

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def decoded(cls, data: bytes) -> Self | None:
        """Return what was encoded; ``None``: it can't be read."""
        try:
            return cls(**orjson.loads(data))
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Shards:
    """What the store says about all shards; shards that nobody has started are missing."""

    progress: Mapping[int, Progress]
    failed: Mapping[int, GivenUp]


def progress_name(shard: int, fence: int) -> str:
    """Return the name of a holder's progress object."""
    return f"{_PROGRESS}/{shard}.{fence}"


def failed_name(shard: int) -> str:
    """Return the name of the object by which a driver gives a shard up."""
    return f"{_FAILED}/{shard}"


def outcomes_of(progress: Progress | None, rows: int) -> dict[str, int]:
    """Return how many rows of a shard have each outcome; rows that are not reported are ``pending``.

    Args:
        progress: ``None``: nobody has started the shard.
        rows: Rows of the shard.
    """
    counted = dict(progress.outcomes) if progress else {}
    if (open_rows := rows - sum(counted.values())) > 0:
        pending = str(Outcome.PENDING)  # a plain str: it becomes a key of JSON
        counted[pending] = counted.get(pending, 0) + open_rows
    return counted


async def read_shards(store: Store) -> Shards | Outage:
    """Return the latest state of each shard."""
    names = await store.names(_PROGRESS)
    given_up = await store.names(_FAILED)
    if isinstance(names, Outage):
        return names
    if isinstance(given_up, Outage):
        return given_up
    progress: dict[int, Progress] = {}
    for shard, fence in highest_fences(names).items():
        data = await store.get(progress_name(shard, fence))
        if isinstance(data, Outage):
            return data
        if isinstance(data, bytes) and (found := Progress.decoded(data)):
            progress[shard] = found
    failed: dict[int, GivenUp] = {}
    for name in given_up:
        data = await store.get(name)
        if isinstance(data, Outage):
            return data
        left = GivenUp.decoded(data) if isinstance(data, bytes) else None
        if left and (left.shard not in progress or progress[left.shard].fence <= left.fence):
            failed[left.shard] = left
    return Shards(progress, failed)


def highest_fences(names: Iterable[str]) -> dict[int, int]:
    """Return shard → its highest fence, of names such as ``lease/SHARD.FENCE``."""
    highest: dict[int, int] = {}
    for name in names:
        shard, _, fence = name.rpartition("/")[2].partition(".")
        if shard.isdecimal() and fence.isdecimal():
            highest[int(shard)] = max(int(fence), highest.get(int(shard), 0))
    return highest
