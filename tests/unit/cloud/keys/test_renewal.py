"""Temporary keys are renewed beside the requests; a renewal that fails costs nothing while the old keys last."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.keys.credentials import Credentials
from bulk.cloud.keys.renewal import Found, RenewedCredentials
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed

if TYPE_CHECKING:
    from bulk.events import Event

FIRST = Found(Credentials("id1", "secret1", "token1"), "a role", ends_at=3600.0)
SECOND = Found(Credentials("id2", "secret2", "token2"), "a role", ends_at=7200.0)
NO_ANSWER = SettingsError("a role: no answer")


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Fetch:
    """Gives its answers in order; waits for leave before each."""

    answers: list[Found | Exception]
    calls: int = 0
    leave: threading.Event = field(default_factory=threading.Event)
    threads: list[int] = field(default_factory=list)
    anew: list[bool] = field(default_factory=list)

    def __call__(self, *, anew: bool = False) -> Found:
        self.anew.append(anew)
        self.threads.append(threading.get_ident())
        assert self.leave.wait(5)
        answer = self.answers[self.calls]
        self.calls += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class Renewal:
    """Keys under test, with what drives and watches them."""

    fetch: Fetch
    first: Found = FIRST
    clock: Clock = field(default_factory=Clock)
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = RenewedCredentials(
            self.fetch, self.first, listener=self.told.append, clock=self.clock, wall_clock=self.clock
        )

    async def answered(self) -> None:
        """Let the source answer, and wait until that was taken note of."""
        self.fetch.leave.set()
        if self.keys._asking is not None:
            await self.keys._asking


def renewal(*answers: Found | Exception, first: Found = FIRST) -> Renewal:
    return Renewal(Fetch(list(answers)), first)


async def test_first_keys_are_fetched_off_the_loop_and_announced() -> None:
    told: list[Event] = []
    fetch = Fetch([FIRST])
    fetch.leave.set()

    keys = await RenewedCredentials.open(fetch, listener=told.append)

    assert await keys.current() is FIRST.credentials
    assert told == [CredentialsFound("a role")]
    assert isinstance(told[0], CredentialsFound)
    assert told[0].mask is not None
    assert told[0].mask("secret1 and token1") == "*** and ***"
    assert "secret1" not in repr(told[0])
    assert fetch.threads[0] != threading.get_ident()


async def test_no_first_keys_is_an_error() -> None:
    fetch = Fetch([NO_ANSWER])
    fetch.leave.set()

    with pytest.raises(SettingsError, match="no answer"):
        await RenewedCredentials.open(fetch)


async def test_source_is_left_alone_for_a_minute() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 59.9

    assert await tested.keys.current() is FIRST.credentials
    await asyncio.sleep(0)
    assert tested.fetch.threads == []


async def test_request_does_not_wait_for_the_renewal() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 60.0

    before = await tested.keys.current()
    await tested.answered()

    assert before is FIRST.credentials
    assert await tested.keys.current() is SECOND.credentials
    assert tested.told == [CredentialsFound("a role")]


async def test_many_requests_ask_once() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 60.0

    await asyncio.gather(*(tested.keys.current() for _ in range(20)))
    await tested.answered()

    assert tested.fetch.calls == 1


async def test_same_keys_stay_the_same_object_and_are_no_news() -> None:
    tested = renewal(Found(Credentials("id1", "secret1", "token1"), "a role", ends_at=3600.0))
    tested.clock.now = 60.0
    await tested.keys.current()
    await tested.answered()

    assert await tested.keys.current() is FIRST.credentials
    assert tested.told == []


async def test_failed_renewal_is_announced_and_tried_again_with_the_old_keys() -> None:
    tested = renewal(NO_ANSWER, SECOND)
    tested.clock.now = 60.0
    await tested.keys.current()
    await tested.answered()
    tested.clock.now = 120.0

    meanwhile = await tested.keys.current()
    await tested.answered()

    assert meanwhile is FIRST.credentials
    assert await tested.keys.current() is SECOND.credentials
    assert tested.told == [CredentialsNotRenewed("a role: no answer"), CredentialsFound("a role")]


async def test_source_that_fails_in_an_unforeseen_way_is_left_alone_for_a_minute_too() -> None:
    tested = renewal(RuntimeError("secret1"), SECOND)
    tested.clock.now = 60.0
    await tested.keys.current()
    await tested.answered()

    meanwhile = [await tested.keys.current() for _ in range(3)]

    assert meanwhile == [FIRST.credentials] * 3
    assert tested.keys._asking is None
    assert tested.told == [CredentialsNotRenewed("RuntimeError in the source of the keys")]
    tested.clock.now = 120.0
    await tested.keys.current()
    await tested.answered()
    assert await tested.keys.current() is SECOND.credentials


async def test_keys_that_nobody_asked_for_in_a_long_time_are_waited_for() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 3600.0
    tested.fetch.leave.set()

    assert await tested.keys.current() is SECOND.credentials


async def test_source_that_hides_its_failure_is_found_out_by_the_end_of_its_keys() -> None:
    tested = renewal(FIRST)
    tested.clock.now = 3300.0
    tested.fetch.leave.set()

    await tested.keys.current()

    assert tested.told == [CredentialsNotRenewed("a role: still gives keys that expire in 300 s")]


async def test_key_without_a_token_is_never_asked_for_again() -> None:
    tested = renewal(first=Found(Credentials("id", "secret"), "a profile"))
    tested.clock.now = 1e9

    assert await tested.keys.current() == Credentials("id", "secret")
    assert tested.fetch.threads == []


async def test_request_that_is_cancelled_while_it_waits_leaves_the_renewal_to_the_others() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 3600.0
    impatient = asyncio.create_task(tested.keys.current())
    patient = asyncio.create_task(tested.keys.current())
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.sleep(0)
    tested.fetch.leave.set()

    assert await patient is SECOND.credentials
    assert impatient.cancelled()


async def test_keys_that_ended_while_the_machine_slept_are_waited_for() -> None:
    tested = renewal(SECOND)
    wall = Clock(3600.0)
    tested.keys._wall_clock = wall  # the monotonic clock stood still meanwhile
    tested.fetch.leave.set()

    assert await tested.keys.current() is SECOND.credentials


async def test_source_that_gave_no_keys_after_their_end_holds_nobody_up_again() -> None:
    tested = renewal(NO_ANSWER, NO_ANSWER)
    tested.clock.now = 3600.0
    tested.fetch.leave.set()
    await tested.keys.current()
    tested.fetch.leave.clear()
    tested.clock.now = 3660.0

    assert await tested.keys.current() is FIRST.credentials
    await tested.answered()


async def test_clock_that_is_set_back_does_not_end_the_renewals() -> None:
    tested = renewal(SECOND)
    tested.keys._wall_clock = Clock(-1e6)
    tested.clock.now = 60.0

    await tested.keys.current()
    await tested.answered()

    assert await tested.keys.current() is SECOND.credentials


async def test_source_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.cloud.keys.renewal._WITHIN_S", 0.01)
    tested = renewal(SECOND)
    tested.clock.now = 3600.0

    assert await tested.keys.current() is FIRST.credentials
    assert tested.told == [CredentialsNotRenewed("a role: no answer in 0.01 s")]
    tested.fetch.leave.set()


async def test_sources_that_never_answer_at_the_start_are_no_mistake_in_a_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk.cloud.keys.renewal._FIRST_WITHIN_S", 0.01)
    fetch = Fetch([FIRST])

    with pytest.raises(KeysUnavailableError, match=r"no answer in 0\.01 s; run again") as caught:
        await RenewedCredentials.open(fetch)

    assert caught.value.exit_code == 3
    fetch.leave.set()


async def test_request_that_comes_while_refused_keys_are_replaced_is_signed_with_the_new_ones() -> None:
    tested = renewal(SECOND)
    replacing = asyncio.create_task(tested.keys.replace(FIRST.credentials))
    signing = asyncio.create_task(tested.keys.current())
    await asyncio.sleep(0)

    tested.fetch.leave.set()

    assert await signing == SECOND.credentials
    assert await replacing is None


async def test_keys_that_are_refused_while_others_are_asked_for_are_not_asked_for_twice() -> None:
    tested = renewal(SECOND)
    tested.clock.now = 60.0
    await tested.keys.current()
    replacing = asyncio.create_task(tested.keys.replace(FIRST.credentials))
    await asyncio.sleep(0)

    await tested.answered()

    assert await replacing is None
    assert tested.fetch.anew == [False]
    assert await tested.keys.current() == SECOND.credentials
