"""Time that is simulated: when nothing is left to do, the loop's clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_Result = TypeVar("_Result")


class _JumpingSelector(selectors.SelectSelector):
    """Waits in no time: whatever the loop would have waited is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set: the engine has stalled"
        self.now += max(0.0, timeout)
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


@pytest.fixture(scope="session")
def in_simulated_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Return what runs a coroutine to its end on a loop of its own, without waiting."""

    def run(main: Coroutine[Any, Any, _Result]) -> _Result:
        with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
            return runner.run(main)

    return run
