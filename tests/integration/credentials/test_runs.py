"""Runs that sign with keys of the official chain, against a real sandbox, while keys come and go."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.credentials import StaticCredentials
from bulk.cloud.renewal import RenewedCredentials
from bulk.engine.connect import credentials_for
from bulk.engine.run import run
from bulk.errors import SettingsError
from bulk.events import CredentialsFound, CredentialsNotRenewed, Event
from bulk.model import Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.cloud.official_chain import OfficialChain
    from tests.conftest import Job
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
        "import asyncio, sys; from bulk.engine.connect import credentials_for; from bulk.settings import Settings;"
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
