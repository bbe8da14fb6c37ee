"""Keys of a role are kept until they near their end, then asked for anew, with whatever keys are behind by then."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bulk.cloud.keys.credentials import Credentials
from bulk.cloud.keys.renewal import Found, RenewedCredentials
from bulk.cloud.keys.roles import AssumedRole
from bulk.cloud.keys.token_service import Granted, Role
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, Event
from bulk.model import Failure, FailureKind

ROLE = Role("acs:ram::1234567890123456:role/nightly")
BASE = Found(Credentials("LTAIbase", "base-secret"), "profile nightly of config.json")
ROTATED = Found(Credentials("LTAInext", "next-secret"), "profile nightly of config.json")


def failure(kind: FailureKind, code: str = "InternalError", message: str = "busy") -> Failure:
    return Failure(kind=kind, code=code, message=message, remedy="Try.")


@dataclass
class World:
    """A source of keys, a token service, and the time."""

    bases: list[Found] = field(default_factory=lambda: [BASE])
    """What the source has: the first while it remembers, the last once it is asked anew."""

    failures: list[Failure] = field(default_factory=list)
    lasts_s: float | None = 3600.0
    now: float = 0.0
    assumed_with: list[str] = field(default_factory=list)

    def base(self, *, anew: bool = False) -> Found:
        if anew:
            del self.bases[:-1]
        return self.bases[0]

    def assume(self, base: Found) -> Granted | Failure:
        self.assumed_with.append(base.credentials.access_key_id)
        if self.failures:
            return self.failures.pop(0)
        number = len(self.assumed_with)
        ends_at = None if self.lasts_s is None else self.now + self.lasts_s
        return Granted(Credentials(f"STS.{number}", f"role-secret-{number}", f"role-token-{number}"), ends_at)

    def role(self) -> AssumedRole:
        return AssumedRole(self.base, ROLE, assume=self.assume, wall_clock=lambda: self.now)


def test_keys_name_the_role_and_the_keys_behind_it() -> None:
    found = World().role().fetch()

    assert found.source == f"role {ROLE.arn}, assumed with the keys from profile nightly of config.json"
    assert (found.long_lived_key_id, found.ends_at) == ("LTAIbase", 3600.0)


def test_mask_covers_the_secrets_of_both() -> None:
    found = World().role().fetch()

    assert found.mask("role-secret-1 role-token-1 base-secret") == "*** *** ***"
    assert not any(secret in repr(found) for secret in ("role-secret-1", "role-token-1", "base-secret"))


def test_keys_are_kept_until_a_quarter_of_an_hour_before_their_end() -> None:
    world = World()
    role = world.role()
    first = role.fetch()
    world.now = 2699.0
    kept = role.fetch()
    world.now = 2700.0

    renewed = role.fetch()

    assert kept is first
    assert renewed.credentials.access_key_id == "STS.2"


def test_keys_whose_end_can_not_be_read_are_asked_for_every_time() -> None:
    world = World(lasts_s=None)
    role = world.role()

    assert role.fetch().credentials != role.fetch().credentials
    assert role.fetch().ends_at is None


def test_others_are_asked_for_past_what_is_kept() -> None:
    world = World([BASE, ROTATED])
    role = world.role()
    role.fetch()

    found = role.fetch(anew=True)

    assert world.assumed_with == ["LTAIbase", "LTAInext"]
    assert found.behind == ROTATED.credentials


def test_keys_behind_that_are_refused_are_looked_for_anew_once() -> None:
    refused = failure(FailureKind.FATAL, "InvalidAccessKeyId.NotFound")
    world = World([BASE, ROTATED], failures=[refused])

    found = world.role().fetch()

    assert world.assumed_with == ["LTAIbase", "LTAInext"]
    assert found.behind == ROTATED.credentials


def test_same_keys_behind_are_not_sent_again() -> None:
    world = World(failures=[failure(FailureKind.FATAL, "InvalidAccessKeyId.NotFound")])

    with pytest.raises(SettingsError):
        world.role().fetch()

    assert world.assumed_with == ["LTAIbase"]


@pytest.mark.parametrize("kind", [FailureKind.DOUBTFUL, FailureKind.NOT_SENT, FailureKind.THROTTLED])
def test_service_that_does_not_answer_is_no_wrong_setting(kind: FailureKind) -> None:
    with pytest.raises(KeysUnavailableError, match=r"InternalError, busy\. Try"):
        World(failures=[failure(kind)]).role().fetch()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoPermission", "sts:AssumeRole"),
        ("Forbidden.RAM", "trust policy"),
        ("EntityNotExist.Role", "no such role"),
        ("InvalidParameter.RoleArn", "acs:ram::UID:role/NAME"),
        ("SomethingElse", "Try"),
    ],
)
def test_refusal_says_what_to_do(code: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        World(failures=[failure(FailureKind.FATAL, code, "You may not.")]).role().fetch()

    assert not isinstance(caught.value, KeysUnavailableError)
    assert f"role {ROLE.arn} can't be assumed with the keys from profile nightly" in str(caught.value)
    assert f"{code}, You may not. " in str(caught.value)
    assert words in str(caught.value)


async def test_run_signs_with_old_keys_while_the_service_is_silent_and_with_new_ones_then() -> None:
    world, told = World(), list[Event]()
    role = world.role()
    keys = RenewedCredentials(
        role.fetch, role.fetch(), listener=told.append, clock=lambda: world.now, wall_clock=lambda: world.now
    )
    world.failures = [failure(FailureKind.NOT_SENT)]
    signed_with = []

    for world.now in (2640.0, 2760.0, 2880.0, 3000.0):
        signed_with.append((await keys.current()).access_key_id)
        if keys._asking is not None:
            await keys._asking

    assert signed_with == ["STS.1", "STS.1", "STS.1", "STS.3"]
    assert [type(event) for event in told] == [CredentialsNotRenewed, CredentialsFound]
    assert keys.long_lived_key_id == "LTAIbase"


async def test_two_accounts_are_renewed_each_on_its_own() -> None:
    early, late = World(lasts_s=1800.0), World(lasts_s=7200.0)
    roles = [early.role(), late.role()]
    before = [role.fetch() for role in roles]
    early.now = late.now = 1000.0

    after = [role.fetch() for role in roles]

    assert [old is new for old, new in zip(before, after, strict=True)] == [False, True]
