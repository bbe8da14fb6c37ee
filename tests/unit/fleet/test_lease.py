"""What a lease allows, one situation at a time; every order of them is in the property tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from bulk.fleet.contending import Contender
from bulk.fleet.lease import Holder, Host, Instant, Note, Pause, Read, State, Terms, Write
from bulk.fleet.store import ABSENT, Outage, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bulk.fleet.lease import Answer, Question

_Result = TypeVar("_Result")

TERMS = Terms()
HERE = Host(boot_id="here", lock_device=1, lock_inode=2)
THERE = Host(boot_id="there", lock_device=1, lock_inode=2)


class World:
    """One store, one clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.set_s = 0.0
        self.objects: dict[str, bytes] = {}
        self.before: Callable[[Question], None] = lambda _: None
        """Called before a question reaches the store."""

        self.read_takes_s = 0.0

    def clock(self) -> Instant:
        return Instant(self.now_s, self.now_s + self.set_s)

    def holder(self, fence: int = 1, host: Host = THERE) -> Holder:
        note = Note(holder=f"holder {fence}", host=host)
        self.objects[f"lease/0.{fence}"] = note.encoded()
        return Holder("lease/0", fence, note, terms=TERMS, clock=self.clock)

    def contender(self, host: Host = HERE) -> Contender:
        return Contender("lease/0", Note(holder="contender", host=host), terms=TERMS, clock=self.clock)

    def answer(self, asked: Question) -> Answer:
        self.before(asked)
        if isinstance(asked, Pause):
            self.now_s += asked.seconds
            return None
        if isinstance(asked, Read):
            found = self.objects.get(asked.name, ABSENT)
            self.now_s += self.read_takes_s
            return found
        if asked.only_if_absent and asked.name in self.objects:
            return Put.EXISTS
        self.objects[asked.name] = asked.data
        return Put.STORED

    def run(self, work: Generator[Question, Answer, _Result]) -> _Result:
        answer: Answer = None
        try:
            while True:
                answer = self.answer(work.send(answer))
        except StopIteration as ended:
            result: _Result = ended.value
            return result


@pytest.fixture
def world() -> World:
    return World()


def allows(world: World, holder: Holder) -> bool:
    return holder.right.allows(world.clock())


def test_first_holder_may_send_at_once(world: World) -> None:
    holder = world.run(world.contender().take())

    assert (holder.fence, world.now_s) == (1, 100.0)
    assert allows(world, holder)


def test_still_is_longer_than_a_term_by_more_than_clocks_differ() -> None:
    assert TERMS.still_s >= TERMS.term_s * 7 / 6


def test_right_ends_one_term_after_the_moment_before_the_renewal_was_written(world: World) -> None:
    holder = world.holder()
    world.read_takes_s = 7.0

    world.run(holder.renew(State.SENDING))
    world.now_s = 100.0 + TERMS.term_s - 0.001

    assert allows(world, holder)
    world.now_s += 0.001
    assert not allows(world, holder)


def test_renewal_after_which_the_next_fence_is_there_gives_no_right_and_no_other_will(world: World) -> None:
    holder = world.holder()
    world.objects["lease/0.2"] = b"another's"

    assert not world.run(holder.renew(State.SENDING))
    assert holder.right.is_lost
    assert not allows(world, holder)


def test_renewal_that_the_store_does_not_answer_leaves_the_right_as_it_is(world: World) -> None:
    holder = world.holder()
    world.run(holder.renew(State.SENDING))
    work = holder.renew(State.SENDING)

    next(work)
    with pytest.raises(StopIteration):
        work.send(Outage("no answer"))

    assert allows(world, holder)


@pytest.mark.parametrize("seconds", [-3600.0, -2.0, 2.0, 3600.0])
def test_wall_clock_that_departs_ends_the_right_until_the_next_renewal(world: World, seconds: float) -> None:
    holder = world.holder()
    world.run(holder.renew(State.SENDING))

    world.set_s += seconds

    assert not allows(world, holder)
    assert holder.right.needs_renewal(world.clock())
    world.run(holder.renew(State.SENDING))
    assert allows(world, holder)


def test_contender_waits_for_a_holder_that_stays_still_and_then_for_its_requests(world: World) -> None:
    world.run(world.holder().renew(State.SENDING))

    holder = world.run(world.contender().take())

    assert holder.fence == 2
    assert world.now_s >= 100.0 + TERMS.still_s + TERMS.quiet_s


def test_span_in_which_nothing_moved_is_measured_within_the_two_looks(world: World) -> None:
    world.run(world.holder().renew(State.SENDING))
    world.read_takes_s = 3.4
    made_at_s: list[float] = []
    first_look_ends_s = 100.0 + 3 * 3.4  # it finds the fence, sees no later one, and reads it

    def note_making(asked: Question) -> None:
        if isinstance(asked, Write) and asked.only_if_absent:
            made_at_s.append(world.now_s)

    world.before = note_making
    world.run(world.contender().take())

    # The last look ends once it has been answered: what it saw may be as old as when it was asked.
    assert made_at_s[0] - 3.4 >= first_look_ends_s + TERMS.still_s


def test_holder_that_renewed_just_before_the_next_fence_is_waited_for(world: World) -> None:
    earlier = world.holder()
    renewals = 0

    def renew(asked: Question) -> None:
        nonlocal renewals
        if isinstance(asked, Write) and asked.only_if_absent and not renewals:
            renewals += 1
            world.run(earlier.renew(State.SENDING))

    world.before = renew
    holder = world.run(world.contender().take())

    assert not allows(world, earlier)
    assert allows(world, holder)
    assert world.now_s >= 100.0 + 2 * TERMS.still_s + TERMS.quiet_s


def test_lock_of_a_holder_that_ended_here_spares_the_wait_for_its_term(world: World) -> None:
    world.run(world.holder(host=HERE).renew(State.SENDING))

    world.run(world.contender().take())

    assert world.now_s == 100.0 + TERMS.window_s


def test_lock_says_nothing_of_a_holder_that_still_waited_for_an_earlier_one(world: World) -> None:
    earlier = world.holder(1)
    world.run(earlier.renew(State.SENDING))
    world.run(world.holder(2, host=HERE).renew(State.WAITING))

    world.run(world.contender().take())

    assert not allows(world, earlier)
    assert world.now_s >= 100.0 + TERMS.still_s


@pytest.mark.parametrize("unknown", [Host(), Host(boot_id="here", lock_device=1, lock_inode=3)])
def test_other_lock_or_unknown_machine_allows_no_short_cut(world: World, unknown: Host) -> None:
    world.run(world.holder(host=unknown).renew(State.SENDING))

    world.run(world.contender(Host() if not unknown.boot_id else HERE).take())

    assert world.now_s >= 100.0 + TERMS.still_s


def test_released_shard_is_taken_once_its_requests_have_arrived(world: World) -> None:
    earlier = world.holder()
    world.run(earlier.renew(State.SENDING))
    world.run(earlier.release())

    world.run(world.contender().take())

    assert not allows(world, earlier)
    assert world.now_s == 100.0 + TERMS.quiet_s


def test_holder_that_still_waits_for_an_earlier_one_does_not_release(world: World) -> None:
    waiting = world.holder()
    world.run(waiting.renew(State.WAITING))
    before = world.objects["lease/0.1"]

    world.run(waiting.release())

    assert world.objects["lease/0.1"] == before


def test_text_that_nobody_can_read_is_waited_for(world: World) -> None:
    world.objects["lease/0.1"] = b"\x00 not a lease"

    holder = world.run(world.contender().take())

    assert holder.fence == 2
    assert world.now_s >= 100.0 + TERMS.still_s


def test_store_that_misses_the_last_look_at_a_holder_is_asked_until_it_answers(world: World) -> None:
    world.run(world.holder().renew(State.SENDING))
    world.objects["lease/0.1"] = world.objects["lease/0.1"].replace(b"sending", b"released")
    silent = 0

    def answer(asked: Question) -> Answer:
        nonlocal silent
        if asked == Read("lease/0.1") and "lease/0.2" in world.objects and silent < 3:
            silent += 1
            return Outage("no answer")
        return World.answer(world, asked)

    world.answer = answer  # type: ignore[method-assign]  # a store with an outage

    holder = world.run(world.contender().take())

    assert silent == 3
    assert allows(world, holder)
    assert world.now_s == pytest.approx(100.0 + 3 * TERMS.poll_every_s + TERMS.quiet_s)
