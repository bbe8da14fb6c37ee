"""An account while a run works on it, and what it shares with accounts that have the same limits.

Who owns what: a *session* has one account's connection to the platform, its breaker, its latency and its stop scope. A
*rate group* has the pace and the gate of each action. A process has one ledger writer, one transport and one budget of
open files for all of its sessions. Platform, writer and clock are seams: a test passes its own, in simulated time.
"""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk.control.pace import Pace
from bulk.control.sharing import SharedPace
from bulk.engine.sessions.calls import Calls
from bulk.engine.sessions.gate import Gate, always
from bulk.engine.sessions.recorder import Recorder
from bulk.engine.sessions.requests import Way
from bulk.engine.sessions.shared_window import SharedWindow, window_name
from bulk.engine.threads import in_thread
from bulk.events import RateChanged, ignore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from bulk.cloud.client import Platform
    from bulk.control.breaker import Breaker
    from bulk.control.retry import RetryPolicy, Uniform
    from bulk.engine.sessions.recorder import Counters, Writer
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.model import Action

__all__ = ["SYSTEM_CLOCK", "Clock", "RateGroup", "Session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The current time. Waiting is the event loop's job: a loop that simulates time also skips the waits."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds since an arbitrary moment; never goes back."""

    wall: Callable[[], float] = time.time
    """Seconds since the epoch, UTC."""


SYSTEM_CLOCK = Clock()
"""This machine's."""


class RateGroup:
    """Accounts that share the platform's limits: one pace and one gate for each action."""

    def __init__(
        self,
        rates: Mapping[Action, float],
        *,
        name: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        listener: Listener = ignore,
        folder: Path | None = None,
        may_send: Callable[[], bool] = always,
    ) -> None:
        """Start open.

        Args:
            rates: Requests a second of each action; 0: unlimited. An action that is not here can't be sent.
            name: Name of the group. Processes of this user whose groups have the same name share its limits; ``None``:
                only this process uses it.
            clock: Clock of the pace.
            listener: Learns if limits can't be shared.
            folder: Folder of the shared files; ``None``: the same one for all of this user's processes.
            may_send: Asked at every send: another machine may have the right to send.
        """
        self._listener = listener
        self._clock = clock
        self._windows: list[SharedWindow] = []
        self.gates: Mapping[Action, Gate] = {
            action: Gate(self._pace(action, per_s, name, folder), clock=clock.monotonic, may_send=may_send)
            for action, per_s in rates.items()
        }

    def _pace(self, action: Action, per_s: float, name: str | None, folder: Path | None) -> Pace | SharedPace:
        pace = Pace(per_s, now=self._clock.monotonic())
        if name is None or not per_s:
            return pace
        window = SharedWindow(window_name(name, action), per_s=per_s, folder=folder)
        self._windows.append(window)

        def tell(reason: str | None) -> None:
            now_per_s = pace.rate_per_s
            self._listener(
                RateChanged(action=action, per_s=now_per_s, asked_per_s=per_s, throttled=False, unshared=reason)
            )

        return SharedPace(pace, window, clock=self._clock.monotonic, listen=tell)

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Share the limits with other processes while the block lasts."""
        try:
            # In a thread, because it creates files. Later uses on the event loop only take microseconds.
            await in_thread(self._open)
            yield
        finally:
            for window in self._windows:
                window.close()

    def _open(self) -> None:
        for window in self._windows:
            window.open()

    def close_on(self, stop: StopSignal) -> None:
        """Release no further request once all who share the limits must stop."""
        for gate in self.gates.values():
            stop.follow(gate.close)


@dataclass(kw_only=True)
class Session:
    """One account at work. Lanes reach the platform and the ledger through it alone."""

    account: str = ""
    """Its name; empty if no accounts are named."""

    platform: Platform
    """Signs with the account's keys."""

    group: RateGroup
    writer: Writer
    """The process's."""

    breaker: Breaker
    """The account's breaker: what stops this account does not concern the others."""

    counters: Counters
    stop: StopSignal
    """The account's stop scope."""

    listener: Listener
    policy: RetryPolicy
    uniform: Uniform = random.uniform
    """Source of jitter."""

    clock: Clock = SYSTEM_CLOCK

    def __post_init__(self) -> None:
        """Put pace, retries and breaker in front of the platform, and the counters in front of the writer."""
        self.recorder = Recorder(
            self.writer,
            counters=self.counters,
            breaker=self.breaker,
            stop=self.stop,
            listener=self.listener,
            account=self.account,
            wall_clock=self.clock.wall,
        )
        way = Way(
            gates=self.group.gates,
            policy=self.policy,
            breaker=self.breaker,
            notes=self.recorder,
            stop=self.stop,
            uniform=self.uniform,
            listener=self.listener,
            account=self.account,
            clock=self.clock.monotonic,
        )
        self.calls = Calls(self.platform, way)
