"""What a lease needs to know about this machine: its clocks, its boot, and the lock file of this process."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.fleet.lease import Host, Instant

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["host_of", "instant", "place"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# macOS has no CLOCK_BOOTTIME, and its CLOCK_MONOTONIC counts suspend. `time.monotonic` does not, on either.
_SUSPEND_COUNTING: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def instant(clock_gettime: Callable[[int], float] = time.clock_gettime) -> Instant:
    """Return this moment."""
    return Instant(clock_gettime(_SUSPEND_COUNTING), time.time())


def host_of(lock: Path) -> Host:
    """Return the host of a process with this lock; without a boot ID, it equals no other host."""
    try:
        boot_id, found = _BOOT_ID.read_text().strip(), lock.stat()
    except OSError:
        return Host()
    return Host(boot_id=boot_id, lock_device=found.st_dev, lock_inode=found.st_ino)


def place() -> str:
    """Return machine and process, for people."""
    return f"process {os.getpid()} on {socket.gethostname()}"
