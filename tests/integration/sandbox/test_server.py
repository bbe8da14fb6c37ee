from __future__ import annotations

import asyncio
import socket
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import Dialect, OtaModule
from bulk.sandbox import Casing, DataShape, FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sandbox.conftest import Client


async def test_created_module_is_listed_in_the_tuya_dialect(client: Client) -> None:
    async with Sandbox(SandboxConfig()) as sandbox:
        created = await client.create(sandbox.endpoint, "mcu")

        assert created.json.items() >= {("code", ""), ("success", True)}
        assert await client.names(sandbox.endpoint) == ["mcu"]
        assert sandbox.modules("p") == (OtaModule("p", "mcu"),)


async def test_form_post_is_taken_in_the_alibaba_dialect(client: Client) -> None:
    async with Sandbox(SandboxConfig()) as sandbox:
        params = {"ProductKey": "p", "ModuleName": "mcu", "AliasName": "主控", "Desc": "a b~*'()!+&%"}
        created = await client.post(sandbox.endpoint, Action="CreateOTAModule", **params, SecurityToken="token")
        listed = await client.post(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="p")

    assert created.json["Success"] is True
    assert [(module["AliasName"], module["Desc"]) for module in listed.json["Data"]] == [("主控", "a b~*'()!+&%")]


async def test_counts_are_what_the_platform_saw(client: Client) -> None:
    async with Sandbox(SandboxConfig(qps=1)) as sandbox:
        statuses = [(await client.create(sandbox.endpoint, name)).status for name in ("a", "b")]

        assert statuses == [200, 400]
        assert sandbox.requests == {"CreateOTAModule": 2}
        assert sandbox.codes == {"": 1, "Throttling.User": 1}
        assert [(made.product_key, made.module_name) for made in sandbox.carried_out] == [("p", "a")]
        assert [(seen.module_name, seen.status, seen.code) for seen in sandbox.seen] == [
            ("a", 200, ""),
            ("b", 400, "Throttling.User"),
        ]


async def test_second_sandbox_on_the_same_state_meets_the_same_cloud(client: Client, tmp_path: Path) -> None:
    config = SandboxConfig(state=tmp_path / "cloud.jsonl")
    async with Sandbox(config) as first:
        await client.create(first.endpoint, "mcu")
    async with Sandbox(config) as second:
        assert await client.names(second.endpoint) == ["mcu"]
        assert await client.names(second.endpoint, "a1Demo00001") == ["default", "mcu"]


async def test_starting_world_can_be_left_out(client: Client) -> None:
    async with Sandbox(SandboxConfig(starting_world=False)) as sandbox:
        assert await client.names(sandbox.endpoint, "a1Demo00001") == []


async def test_reply_takes_the_configured_shape(client: Client) -> None:
    config = SandboxConfig(data_shape=DataShape.WRAPPED, casing=Casing.PASCAL)
    async with Sandbox(config) as sandbox:
        answer = await client.get(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="a1Demo00003")

    assert [module["ModuleName"] for module in answer.json["Data"]["OtaModuleDTO"]] == ["wifi"]


async def test_dialect_can_be_fixed(client: Client) -> None:
    async with Sandbox(SandboxConfig(dialect=Dialect.TUYA)) as sandbox:
        posted = await client.post(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="p")

    assert (posted.status, posted.json["code"]) == (403, "UnsupportedHTTPMethod")


async def test_clock_that_is_off_expires_timestamps_and_says_so_in_date(client: Client) -> None:
    async with Sandbox(SandboxConfig(faults=FaultPlan.parse("clock-skew=+20m"))) as sandbox:
        stale = await client.create(sandbox.endpoint, "mcu")
        platform_time = parsedate_to_datetime(stale.headers["Date"])
        corrected = await client.get(
            sandbox.endpoint,
            Action="CreateOTAModule",
            ProductKey="p",
            ModuleName="mcu",
            Timestamp=platform_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    assert (stale.status, stale.json["code"]) == (400, "InvalidTimeStamp.Expired")
    assert corrected.json["success"] is True


async def test_concurrent_creates_of_one_name_make_one_module(client: Client) -> None:
    async with Sandbox(SandboxConfig(qps=0, faults=FaultPlan.parse("latency=1-20ms"))) as sandbox:
        answers = await asyncio.gather(*(client.create(sandbox.endpoint, "mcu") for _ in range(8)))

        assert sum(answer.json["success"] for answer in answers) == 1
        assert len(sandbox.carried_out) == 1


async def test_unwritable_state_is_an_internal_error_and_changes_nothing(client: Client, tmp_path: Path) -> None:
    async with Sandbox(SandboxConfig(state=tmp_path / "cloud.jsonl", starting_world=False)) as sandbox:
        journal = sandbox._cloud._journal  # to break it from the inside: a full disk can't be had without being root
        assert journal is not None
        await client.create(sandbox.endpoint, "first")
        file, journal._file = journal._file, -1
        answer = await client.create(sandbox.endpoint, "mcu")
        journal._file = file

        assert (answer.status, answer.json["code"]) == (500, "InternalError")
        assert [module.module_name for module in sandbox.modules("p")] == ["first"]


async def test_arrivals_that_cannot_be_written_are_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--arrivals"):
        async with Sandbox(SandboxConfig(arrivals=tmp_path, state=tmp_path / "cloud.jsonl")):
            pass


async def test_taken_port_is_a_settings_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(SettingsError, match=f"can't listen on 127.0.0.1:{port}"):
            async with Sandbox(SandboxConfig(port=port)):
                pass
