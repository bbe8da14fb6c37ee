"""The gate in simulated time: the loop's clock jumps to the next timer, so nothing sleeps."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.control.pace import Pace
from bulk.engine.sessions.gate import Gate, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class JumpingSelector(selectors.SelectSelector):
    """Waits in no time: whatever the loop would have waited is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set: the queue has stalled"
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the selector's."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now

    def stall(self, stall_s: float) -> None:
        self.selector.now += stall_s


def in_simulated_time(main: Callable[[SimulatedLoop], Coroutine[Any, Any, None]]) -> None:
    loop = SimulatedLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main(loop))


def gate_of(per_s: float, loop: SimulatedLoop) -> Gate:
    return Gate(Pace(per_s, now=loop.time()), clock=loop.time)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_unlimited_gate_lets_out_without_a_turn_of_the_loop() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(0.0, loop)
        going = gate.acquire()

        with pytest.raises(StopIteration) as ended:
            going.send(None)

        assert ended.value.value == loop.time()

    in_simulated_time(main)


def test_free_pace_lets_out_without_a_turn_of_the_loop() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        loop.stall(1.0)
        going = gate.acquire()

        with pytest.raises(StopIteration) as ended:
            going.send(None)

        assert ended.value.value == loop.time()
        assert gate.waiting == 0

    in_simulated_time(main)


def test_requests_leave_in_order_and_evenly() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        left: list[tuple[int, float]] = []

        async def go(number: int) -> None:
            await gate.acquire()
            left.append((number, loop.time()))

        await asyncio.gather(*(go(number) for number in range(30)))

        assert [number for number, _ in left] == list(range(30))
        assert [at for _, at in left] == pytest.approx([0.102 * (number + 1) for number in range(30)], abs=0.002)

    in_simulated_time(main)


def test_newcomer_does_not_overtake_the_queue() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        first = asyncio.create_task(gate.acquire())
        await turns()
        loop.stall(0.2)

        second = asyncio.create_task(gate.acquire())
        await first

        assert not second.done()
        assert await second

    in_simulated_time(main)


def test_cancelled_waiter_leaves_the_queue_and_costs_no_grant() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiters = [asyncio.create_task(gate.acquire()) for _ in range(3)]
        await turns()

        waiters[0].cancel()
        await turns()

        assert gate.waiting == 2
        assert await waiters[1]
        assert loop.time() == pytest.approx(0.102, abs=0.002)
        assert await waiters[2]

    in_simulated_time(main)


def test_newcomer_is_served_by_the_timer_of_one_who_gave_up() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()
        waiter.cancel()
        await turns()

        assert await gate.acquire()

        assert loop.time() == pytest.approx(0.102, abs=0.002)

    in_simulated_time(main)


def test_waiter_cancelled_in_the_turn_of_its_grant_is_passed_over() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiters = [asyncio.create_task(gate.acquire()) for _ in range(2)]
        await turns()
        loop.call_later(0.050, loop.stall, 0.1)
        loop.call_later(0.051, waiters[0].cancel)

        assert await waiters[1]

        assert waiters[0].cancelled()
        assert loop.time() == pytest.approx(0.150, abs=0.002)
        assert gate.waiting == 0

    in_simulated_time(main)


def test_grant_of_a_waiter_cancelled_in_the_same_turn_is_not_spent() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()
        loop.call_later(0.050, loop.stall, 0.1)
        loop.call_later(0.051, waiter.cancel)
        await asyncio.wait([waiter])

        assert await gate.acquire()

        assert loop.time() == pytest.approx(0.150, abs=0.002)

    in_simulated_time(main)


def test_waiter_cancelled_after_its_grant_hands_it_on() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiters = [asyncio.create_task(gate.acquire()) for _ in range(2)]
        await turns()
        # Due in the same turn as the timer, and after it: the grant is given, its waiter goes in the next turn.
        loop.call_later(0.050, loop.stall, 0.1)
        loop.call_later(0.104, waiters[0].cancel)

        assert await waiters[1]

        assert waiters[0].cancelled()
        assert loop.time() == pytest.approx(0.150, abs=0.002)

    in_simulated_time(main)


def test_grant_that_nobody_can_take_is_dropped() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()
        loop.call_later(0.050, loop.stall, 0.1)
        loop.call_later(0.104, waiter.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiter

        assert await gate.acquire()

        assert loop.time() == pytest.approx(0.204, abs=0.003)

    in_simulated_time(main)


def test_closing_sends_everyone_home_at_once() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(0.01, loop)
        waiters = [asyncio.create_task(gate.acquire()) for _ in range(5)]
        await turns()

        gate.close()

        assert await asyncio.gather(*waiters) == [None] * 5
        assert await gate.acquire() is None
        assert loop.time() == 0.0
        assert gate.waiting == 0

    in_simulated_time(main)


def test_closing_stops_one_who_was_let_out_but_has_not_gone() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()
        # Due in the same turn as the timer, and after it: the grant is given, its waiter goes in the next turn.
        loop.call_later(0.050, loop.stall, 0.1)
        loop.call_later(0.104, gate.close)

        went = await waiter

        assert went is None

    in_simulated_time(main)


def test_closing_an_idle_gate_twice_does_no_harm() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)

        gate.close()
        gate.close()

        assert await gate.acquire() is None

    in_simulated_time(main)


def test_waiter_cancelled_while_the_gate_closes_hands_nothing_on() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()

        gate.close()
        waiter.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiter

    in_simulated_time(main)


def test_owner_that_is_sent_home_takes_no_turn_of_those_behind() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10, loop)
        await gate.acquire()
        ends, stays = object(), object()
        leaving = [asyncio.ensure_future(gate.acquire(ends)) for _ in range(5)]
        staying = asyncio.ensure_future(gate.acquire(stays))
        await turns()

        gate.send_home(ends)
        await turns()

        assert [place.result() for place in leaving] == [None] * 5
        assert gate.waiting == 1
        assert await staying == pytest.approx(2 * 0.102, abs=0.002)

    in_simulated_time(main)


def test_owner_that_waits_nowhere_can_be_sent_home() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10, loop)
        await gate.acquire()
        waiting = asyncio.ensure_future(gate.acquire())
        await turns()

        gate.send_home(object())

        assert await waiting is not None

    in_simulated_time(main)


def test_throttled_reply_holds_back_who_waits_already() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        waiter = asyncio.create_task(gate.acquire())
        await turns()

        lowered = gate.throttled(retry_after_s=3.0)
        await waiter

        assert lowered
        assert (gate.rate_per_s, gate.per_s) == (5.0, 10.0)
        assert loop.time() == pytest.approx(3.0, abs=0.003)

    in_simulated_time(main)


def test_successes_raise_the_rate_again() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        loop.stall(1.0)
        gate.throttled(retry_after_s=None)
        loop.stall(1.0)
        for _ in range(20):
            gate.succeeded()

        assert gate.rate_per_s == 10.0

    in_simulated_time(main)


def test_answers_narrow_the_margin_to_what_they_show() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        left: list[float] = []
        for _ in range(80):
            released_at = await gate.acquire()
            assert released_at is not None
            left.append(released_at)
            loop.call_later(0.015, gate.answered, released_at)

        assert left[19] - left[9] == pytest.approx(1.020, abs=0.002)
        assert left[79] - left[69] == pytest.approx(1.001, abs=0.002)

    in_simulated_time(main)


def test_stall_between_grant_and_going_counts_from_the_going() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(1.0, loop)
        first = asyncio.create_task(gate.acquire())
        second = asyncio.create_task(gate.acquire())
        await turns()
        # The timer of the first grant and this one are due in the same turn; the waiter goes in the next.
        loop.call_later(0.9, loop.stall, 0.2)
        loop.call_later(1.001, loop.stall, 0.5)
        loop.call_later(1.0, lambda: None)

        await first
        went_at = loop.time()
        await second

        assert went_at == pytest.approx(1.6, abs=0.003)
        assert loop.time() - went_at > 1.0

    in_simulated_time(main)


def test_one_whose_place_others_have_taken_while_the_loop_stalled_waits_again_and_first() -> None:
    class Pitiless(Pace):
        """Another process has filled the window in the first stall."""

        is_lost = False

        def postpone(self, released_at: float, now: float) -> bool:
            self.is_lost, was_lost = True, self.is_lost
            return was_lost and super().postpone(released_at, now)

    async def main(loop: SimulatedLoop) -> None:
        gate = Gate(Pitiless(10.0, now=loop.time()), clock=loop.time)
        first, second = (asyncio.create_task(gate.acquire()) for _ in range(2))
        await turns()
        # The timer of the first grant and this one are due in the same turn; the waiter goes in the next.
        loop.call_later(0.05, loop.stall, 0.2)
        loop.call_later(0.104, loop.stall, 0.1)

        assert await first
        first_at = loop.time()
        assert await second

        assert 0.3 < first_at <= loop.time()

    in_simulated_time(main)


def disturb(gate: Gate, loop: SimulatedLoop, what: str, value: float) -> None:
    if what == "stall":
        loop.stall(value)
    elif what == "stall later":
        loop.call_later(value, loop.stall, value)
    elif what == "throttled":
        gate.throttled(value)
    elif what == "succeeded":
        gate.succeeded()


@given(
    per_s=st.sampled_from([1.0, 3.0, 10.0, 50.0]),
    script=st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.integers(1, 12)),
            st.tuples(st.just("sleep"), st.floats(0.0, 0.7)),
            st.tuples(st.just("stall"), st.floats(0.0, 0.7)),
            st.tuples(st.just("stall later"), st.floats(0.0, 0.2)),
            st.tuples(st.just("cancel"), st.integers(0, 200)),
            st.tuples(st.just("throttled"), st.floats(0.0, 1.0)),
            st.tuples(st.just("succeeded"), st.just(0)),
        ),
        max_size=40,
    ),
)
def test_whatever_happens_the_window_and_the_order_hold_and_all_get_out(
    per_s: float, script: list[tuple[str, float]]
) -> None:
    left: list[tuple[int, float]] = []

    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(per_s, loop)
        tasks: list[asyncio.Task[None]] = []

        async def go(number: int) -> None:
            assert await gate.acquire()
            left.append((number, loop.time()))

        for what, value in script:
            if what == "ask":
                tasks += [asyncio.create_task(go(len(tasks) + extra)) for extra in range(int(value))]
            elif what == "cancel" and tasks:
                tasks[int(value) % len(tasks)].cancel()
            else:
                disturb(gate, loop, what, value)
            await asyncio.sleep(value if what == "sleep" else 0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() or task.exception() is None for task in tasks)

    in_simulated_time(main)

    times = [at for _, at in left]
    granted = int(per_s)
    assert all(later - earlier > 1.0 for earlier, later in zip(times, times[granted:], strict=False))
    # Nobody leaves later than one who came after; who leave in the same turn of the loop may change places.
    assert sorted(left, key=lambda one: (one[1], one[0])) == sorted(left)


def test_turn_says_when_it_left_and_not_when_it_was_let_out() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(1.0, loop)
        released_at = await gate.acquire()
        assert released_at is not None
        turn = Turn(gate, released_at)
        loop.stall(0.5)
        before = turn.left_s

        assert turn.leave()

        assert before is None
        assert turn.left_s == loop.time()

    in_simulated_time(main)


def test_who_is_ready_late_takes_the_place_of_one_who_is_not_ready_yet() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(1.0, loop)
        slow = await gate.acquire()
        slower = await gate.acquire()
        assert slow is not None
        assert slower is not None
        loop.stall(0.5)

        assert gate.leave(slow)  # at the place of the other, which is moved here
        assert not gate.leave(slower)
        loop.stall(1.1)
        assert gate.leave(slower)

    in_simulated_time(main)


def test_who_lost_its_place_gives_none_back() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(1.0, loop)
        slow, slower = await gate.acquire(), await gate.acquire()
        assert slow is not None
        assert slower is not None
        assert gate.leave(slow)

        gate.give_back(slower)

        before = loop.time()
        await gate.acquire()
        assert loop.time() - before > 0.9

    in_simulated_time(main)


def test_who_is_ready_at_once_leaves_as_it_was_let_out() -> None:
    async def main(loop: SimulatedLoop) -> None:
        gate = gate_of(10.0, loop)
        for _ in range(30):
            released_at = await gate.acquire()
            assert released_at is not None
            assert gate.leave(released_at)

        assert loop.time() == pytest.approx(30 * 0.102, abs=0.05)

    in_simulated_time(main)
