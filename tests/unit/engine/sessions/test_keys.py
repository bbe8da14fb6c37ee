"""The keys of several accounts: looked for side by side, and nobody waits for one that does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.accounts import Account, OpenedAccount, accounts_of
from bulk.engine.job import Part, parts_of
from bulk.engine.sessions.keys import KeyRing
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError, StoppedError
from bulk.events import ignore
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("north", "south", "west")


class Sources:
    """Stands in for where keys are: each account's answers when it is told to."""

    def __init__(self) -> None:
        self.key_ids = {name: f"LTAI-{name}" for name in NAMES}
        self.answers: dict[str, asyncio.Event] = {}

    async def open(self, account: Account, **_: object) -> OpenedAccount:
        if account.name in self.answers:
            await self.answers[account.name].wait()
        key_id = self.key_ids[account.name]
        if not key_id:
            raise SettingsError("there are no keys")
        return OpenedAccount(
            account=account,
            credentials=StaticCredentials(Credentials(key_id, "secret-of-thirty-letters-or-so")),
            rate_group=key_id,
        )


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    made = Sources()
    monkeypatch.setattr("bulk.engine.sessions.keys.open_account_keys", made.open)
    monkeypatch.setattr("bulk.engine.sessions.keys._PATIENCE_S", 0.05)
    return made


@pytest.fixture
def parts() -> Callable[..., tuple[Part, ...]]:
    def make(*names: str, stop: StopSignal | None = None, rate_group: str | None = None) -> tuple[Part, ...]:
        said = {name: AccountSettings(key_env=name.upper(), rate_group=rate_group) for name in names}
        accounts = accounts_of(Settings(endpoint="https://h.example/", accounts=said))
        return parts_of(accounts, stop=stop or StopSignal(), listener=ignore)

    return make


async def test_each_account_has_its_own_keys(sources: Sources, parts: Callable[..., tuple[Part, ...]]) -> None:
    ring, of = KeyRing({}, listener=ignore), parts(*NAMES)

    async with ring.opening(of):
        opened = [await ring.of(part) for part in of]

    assert [(await one.credentials.current()).access_key_id for one in opened] == [f"LTAI-{name}" for name in NAMES]
    assert [one.shared_as for one in opened] == [f"https://h.example LTAI-{name}" for name in NAMES]
    assert sources.key_ids


@pytest.mark.usefixtures("sources")
async def test_group_with_a_name_is_one_wherever_it_sends_to(parts: Callable[..., tuple[Part, ...]]) -> None:
    given = {"north": StaticCredentials(Credentials("LTAI-north", "secret-of-thirty-letters-or-so"))}
    ring, of = KeyRing(given, listener=ignore), parts("north", rate_group="factory")

    async with ring.opening(of):
        opened = await ring.of(of[0])

    assert (opened.rate_group, opened.shared_as) == ("factory", "factory")


async def test_account_whose_source_is_silent_holds_no_other_up(
    sources: Sources, parts: Callable[..., tuple[Part, ...]]
) -> None:
    sources.answers["south"] = asyncio.Event()
    ring, of = KeyRing({}, listener=ignore), parts(*NAMES)

    async with asyncio.timeout(10), ring.opening(of):
        await ring.of(of[0])
        await ring.of(of[2])
        late = asyncio.ensure_future(ring.of(of[1]))
        await asyncio.sleep(0)
        assert not late.done()
        sources.answers["south"].set()

        assert (await late).rate_group == "LTAI-south"


async def test_account_without_keys_is_refused_alone(sources: Sources, parts: Callable[..., tuple[Part, ...]]) -> None:
    sources.key_ids["south"] = ""
    ring, of = KeyRing({}, listener=ignore), parts(*NAMES)

    async with ring.opening(of):
        await ring.of(of[0])
        with pytest.raises(SettingsError, match="no keys"):
            await ring.of(of[1])


async def test_two_accounts_with_one_key_are_refused_before_anything_is_sent(
    sources: Sources, parts: Callable[..., tuple[Part, ...]]
) -> None:
    sources.key_ids["south"] = sources.key_ids["north"]
    ring = KeyRing({}, listener=ignore)

    with pytest.raises(SettingsError, match="are the same"):
        async with ring.opening(parts(*NAMES)):
            pytest.fail("it began")


async def test_account_that_turns_out_too_late_to_be_another_one_is_left_out_alone(
    sources: Sources, parts: Callable[..., tuple[Part, ...]]
) -> None:
    sources.key_ids["south"] = sources.key_ids["north"]
    sources.answers["south"] = asyncio.Event()
    ring, of = KeyRing({}, listener=ignore), parts(*NAMES)

    async with ring.opening(of):
        sources.answers["south"].set()
        with pytest.raises(SettingsError, match="are the same"):
            await ring.of(of[1])
        await ring.of(of[0])


async def test_stop_ends_the_wait_for_keys(sources: Sources, parts: Callable[..., tuple[Part, ...]]) -> None:
    sources.answers["south"] = asyncio.Event()
    stop = StopSignal()
    ring, of = KeyRing({}, listener=ignore), parts(*NAMES, stop=stop)

    async with ring.opening(of):
        stop.request("enough")
        with pytest.raises(StoppedError, match="enough"):
            await ring.of(of[1])


async def test_keys_of_the_only_account_are_opened_before_anything_else_and_only_once(
    sources: Sources, parts: Callable[..., tuple[Part, ...]]
) -> None:
    ring, of = KeyRing({}, listener=ignore), parts("north")
    await ring.open_only(of)
    sources.key_ids["north"] = ""  # another look would find none

    async with ring.opening(of):
        assert (await ring.of(of[0])).rate_group == "LTAI-north"


async def test_only_account_without_keys_is_refused_at_once(
    sources: Sources, parts: Callable[..., tuple[Part, ...]]
) -> None:
    sources.key_ids["north"] = ""

    with pytest.raises(SettingsError, match="no keys"):
        await KeyRing({}, listener=ignore).open_only(parts("north"))
    await KeyRing({}, listener=ignore).open_only(parts("north", "south"))  # several are looked for later
