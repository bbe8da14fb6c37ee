"""Runs that sign with keys of the official chain, against a real sandbox, while keys come and go."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import StaticCredentials
from bulk.cloud.keys.renewal import RenewedCredentials
from bulk.engine.run import run
from bulk.engine.sessions.connect import credentials_for
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, Event
from bulk.model import Dialect
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.cloud.keys.official_chain import OfficialChain
    from bulk.sandbox import Seen
    from tests.conftest import Audit, Job
    from tests.integration.credentials.conftest import StandIn

    Give = Callable[[dict[str, str]], None]
    Keys = Callable[..., dict[str, str]]


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


def settings_for(box: Sandbox, **changes: Any) -> Settings:
    return Settings(endpoint=box.endpoint, dialect=Dialect.ALIBABA, qps=0, list_qps=0, **changes)


async def test_run_signs_with_the_keys_of_a_profile(
    make_job: Callable[..., Job], write_profiles: Callable[..., Path]
) -> None:
    job, told = make_job(products=3), list[Event]()
    async with Sandbox(SandboxConfig(qps=0, list_qps=0)) as box:
        keys = box.credentials
        profile = {"access_key_id": keys.access_key_id, "access_key_secret": keys.access_key_secret}
        path = write_profiles({"name": "daily", "mode": "AK"}, {"name": "nightly", "mode": "AK", **profile})

        summary = await run(str(job.path), settings_for(box, profile="nightly"), listener=told.append)

    assert summary.outcomes["created"] == job.provisionable()
    assert told[0] == CredentialsFound(f"profile nightly of {path}")


async def test_run_signs_with_temporary_keys_and_their_token(
    make_job: Callable[..., Job], stand_in: StandIn, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(products=3)
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1/")
    async with Sandbox(SandboxConfig(qps=0, list_qps=0)) as box:
        given = keys() | {"AccessKeyId": box.credentials.access_key_id}
        given["AccessKeySecret"] = box.credentials.access_key_secret
        stand_in.answers["127.0.0.1"] = lambda _: (200, json.dumps(given))

        summary = await run(str(job.path), settings_for(box))

    assert summary.outcomes["created"] == job.provisionable()


@pytest.fixture
def service(stand_in: StandIn, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sandbox, int], None]:
    """Return what lets a service of one's own give the sandbox's key, with the token of this number."""
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1/")

    def give(box: Sandbox, number: int) -> None:
        key = box.credentials
        given = keys(number) | {"AccessKeyId": key.access_key_id, "AccessKeySecret": key.access_key_secret}
        stand_in.answers["127.0.0.1"] = lambda _: (200, json.dumps(given))

    return give


@pytest.mark.parametrize("action", ["list", "create"])
@pytest.mark.parametrize(
    "code", ["InvalidSecurityToken.Expired", "InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch"]
)
async def test_keys_that_are_revoked_in_mid_run_are_fetched_anew_and_the_run_goes_on(
    action: str,
    code: str,
    make_job: Callable[..., Job],
    stand_in: StandIn,
    service: Callable[[Sandbox, int], None],
    watch: Callable[[Sandbox, Callable[[Seen], None]], None],
    audit: Callable[[Path, Sandbox], Audit],
) -> None:
    job, told = make_job(products=6), list[Event]()
    faults = FaultPlan.parse(f"{action}:code:{code}=3x@2")
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, faults=faults, starting_world=False)) as box:
        service(box, 1)
        watch(box, lambda seen: service(box, 2) if seen.code == code else None)

        summary = await run(str(job.path), settings_for(box), listener=told.append)

        audit(job.ledger, box).job_is_done(job)
        assert box.codes[code] == 3
    assert summary.stopped is None
    assert [event.source for event in told if isinstance(event, CredentialsFound)] == [
        "ALIBABA_CLOUD_CREDENTIALS_URI"
    ] * 2
    assert len(stand_in.asked) == 2


async def test_keys_that_stay_refused_end_the_run_and_their_source_is_named(
    make_job: Callable[..., Job], stand_in: StandIn, service: Callable[[Sandbox, int], None]
) -> None:
    job = make_job(products=6)
    faults = FaultPlan.parse("code:InvalidAccessKeyId.Inactive=100%@9")
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, faults=faults)) as box:
        service(box, 1)

        summary = await run(str(job.path), settings_for(box))

    assert summary.exit_code == 3
    assert "The keys are from ALIBABA_CLOUD_CREDENTIALS_URI; asked again, it gave the same" in str(summary.stopped)
    assert summary.outcomes["failed"] == 0
    assert len(stand_in.asked) == 2


async def test_profile_that_is_written_anew_in_mid_run_is_picked_up_when_its_keys_are_refused(
    make_job: Callable[..., Job],
    write_profiles: Callable[..., Path],
    watch: Callable[[Sandbox, Callable[[Seen], None]], None],
) -> None:
    job = make_job(products=6)
    faults = FaultPlan.parse("create:code:InvalidAccessKeyId.NotFound=1x@5")
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, faults=faults)) as box:
        key = {"access_key_id": box.credentials.access_key_id, "access_key_secret": box.credentials.access_key_secret}
        write_profiles({"name": "n", "mode": "AK", **key})
        rotated = {"name": "n", "mode": "StsToken", "sts_token": "two", **key}

        def rotate(seen: Seen) -> None:
            if seen.code:
                write_profiles(rotated)

        watch(box, rotate)

        summary = await run(str(job.path), settings_for(box))

    assert summary.stopped is None
    assert summary.outcomes["created"] == job.provisionable()


@pytest.mark.parametrize(
    "answer", [(503, "later"), (200, "<html>"), (200, "[]"), (200, "{}"), (200, '{"Code": "Success"}'), (429, "slow")]
)
async def test_source_that_gives_no_proper_answer_at_the_start_is_worth_another_run(
    answer: tuple[int, str], make_job: Callable[..., Job], stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1/")
    stand_in.answers["127.0.0.1"] = lambda _: answer
    job = make_job(products=1)
    async with Sandbox(SandboxConfig()) as box:
        with pytest.raises(KeysUnavailableError, match="run again when it does") as caught:
            await run(str(job.path), settings_for(box))

    assert caught.value.exit_code == 3
    assert not job.ledger.exists()


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_source_that_refuses_at_the_start_is_a_mistake_in_the_settings(
    status: int, make_job: Callable[..., Job], stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1/")
    stand_in.answers["127.0.0.1"] = lambda _: (status, "no such role")
    async with Sandbox(SandboxConfig()) as box:
        with pytest.raises(SettingsError) as caught:
            await run(str(make_job(products=1).path), settings_for(box))

    assert caught.value.exit_code == 2


async def test_keys_in_quotes_in_the_environment_end_before_a_request(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(SandboxConfig()) as box:
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", f'"{box.credentials.access_key_id}"')
        monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", box.credentials.access_key_secret)
        with pytest.raises(SettingsError, match="ALIBABA_CLOUD_ACCESS_KEY_ID has quotes"):
            await run(str(make_job(products=1).path), settings_for(box))

        assert not box.requests


async def test_run_without_any_key_ends_before_it_has_begun(make_job: Callable[..., Job]) -> None:
    job = make_job(products=1)
    async with Sandbox(SandboxConfig()) as box:
        with pytest.raises(SettingsError, match="no keys to sign requests with were found"):
            await run(str(job.path), settings_for(box))

        assert not box.requests
    assert not job.ledger.exists()


async def test_keys_near_their_end_are_renewed(chain: Callable[..., OfficialChain], metadata: Give, keys: Keys) -> None:
    metadata(keys(1, ends_in_s=800))
    fetch, told, now = chain().fetch, list[Event](), [0.0]
    renewed = RenewedCredentials(fetch, await asyncio.to_thread(fetch), listener=told.append, clock=lambda: now[0])
    metadata(keys(2))
    now[0] = 3600.0

    current = await renewed.current()

    assert current.access_key_id == "STS.id2"
    assert told == [CredentialsFound("RAM role of an ECS instance")]


async def test_lost_token_service_costs_nothing_while_keys_last(
    chain: Callable[..., OfficialChain],
    stand_in: StandIn,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1/")
    stand_in.answers["127.0.0.1"] = lambda _: (200, json.dumps(keys(1, ends_in_s=800)))
    fetch, told, now = chain().fetch, list[Event](), [0.0]
    renewed = RenewedCredentials(fetch, await asyncio.to_thread(fetch), listener=told.append, clock=lambda: now[0])
    stand_in.answers["127.0.0.1"] = lambda _: (503, "later")
    now[0] = 3600.0
    meanwhile = await renewed.current()
    stand_in.answers["127.0.0.1"] = lambda _: (200, json.dumps(keys(2)))
    now[0] = 7200.0

    afterwards = await renewed.current()

    assert (meanwhile.access_key_id, afterwards.access_key_id) == ("STS.id1", "STS.id2")
    assert isinstance(told[0], CredentialsNotRenewed)
    assert "http_code=503" in told[0].message


async def test_profile_that_another_program_writes_anew_is_read_anew(
    chain: Callable[..., OfficialChain], write_profiles: Callable[..., Path]
) -> None:
    profile = {"name": "sso", "mode": "StsToken", "access_key_id": "id", "access_key_secret": "s", "sts_token": "one"}
    write_profiles(profile)
    fetch = chain().fetch
    before = await asyncio.to_thread(fetch)
    path = write_profiles(profile | {"sts_token": "two"})
    await asyncio.to_thread(_touch_later, path)

    after = await asyncio.to_thread(fetch)

    assert (before.credentials.security_token, after.credentials.security_token) == ("one", "two")


def _touch_later(path: Path) -> None:
    at = path.stat().st_mtime + 10
    os.utime(path, (at, at))


async def test_keys_in_the_environment_load_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
    code = (
        "import asyncio, sys; from bulk.engine.sessions.connect import credentials_for;"
        "from bulk.settings import Settings;"
        "asyncio.run(credentials_for(Settings(region='cn-shanghai')));"
        "print({'alibabacloud_credentials', 'requests', 'apscheduler'} & set(sys.modules))"
    )

    printed = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", code], text=True)

    assert printed.strip() == "set()"


async def test_keys_in_the_environment_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Event] = []
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")

    provider = await credentials_for(Settings(region="cn-shanghai"), listener=told.append)

    assert isinstance(provider, StaticCredentials)
    assert told == [CredentialsFound("environment variables")]
