"""Time that is simulated: when nothing is left to do, the loop's clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class JumpingSelector(selectors.SelectSelector):
    """Waits in no time: whatever the loop would have waited is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set"
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


@pytest.fixture(scope="session")
def simulate() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Return what runs a coroutine to its end on a loop of its own, without waiting."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            runner.run(main)

    return run
