"""What the platform saw: every request with its time, its account and its answer; in memory and in a file.

The file has one JSON object a line, in the order in which requests were looked at. Times are of the machine's
monotonic clock, so that those of several sandboxes, and of a test beside them, can be compared.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from bulk.errors import SettingsError
from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["ArrivalLog", "CarriedOut", "Seen", "busiest_windows", "read_arrivals"]


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A change of a module that the platform made."""

    at: float
    """Of the monotonic clock, in seconds."""

    product_key: str
    module_name: str
    action: str = Action.CREATE
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request, as the sandbox received it."""

    at: float
    """When it was looked at, and counted against its rate: of the monotonic clock, in seconds."""

    action: str
    product_key: str
    module_name: str
    status: int
    code: str
    """The error code of the reply, even if the reply did not arrive; empty on success."""

    fault: str
    """Name of the fault that it got, or empty."""

    account: str = ""
    """Name of the account whose key signed it; empty for a sandbox's only one, and for keys that it does not know."""

    uid: str = ""
    """The UID whose limits it counts against; empty where the key is not known."""

    carried_out: bool = False
    """Whether the platform carried it out, whatever the reply says, and even if the reply did not arrive."""


class ArrivalLog:
    """An open file of arrivals; a line that was written survives a kill -9 of the process."""

    def __init__(self, path: Path) -> None:
        """Open the file, to add to what it holds.

        Raises:
            SettingsError: It can't be opened.
        """
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as exc:
            raise SettingsError(f"--arrivals {path} can't be opened: {exc.strerror}") from exc

    def write(self, seen: Seen) -> None:
        """Add a request.

        Raises:
            OSError: It can't be written.
        """
        os.write(self._file, orjson.dumps(asdict(seen)) + b"\n")

    def close(self) -> None:
        """Close the file; everything is written already."""
        os.close(self._file)


def read_arrivals(path: Path) -> list[Seen]:
    """Read a file of arrivals; a last line that a kill cut short is left out."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [Seen(**orjson.loads(line)) for line in whole.splitlines()]


def busiest_windows(arrivals: Iterable[Seen], *, width_s: float = 1.0) -> dict[tuple[str, str], int]:
    """Return the most requests that any window held, by UID and action; windows slide, and end before ``width_s``."""
    most: defaultdict[tuple[str, str], int] = defaultdict(int)
    held: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
    for seen in sorted(arrivals, key=lambda seen: seen.at):
        key = (seen.uid, seen.action)
        times = held[key]
        times.append(seen.at)
        while seen.at - times[0] >= width_s:
            times.popleft()
        most[key] = max(most[key], len(times))
    return dict(most)
