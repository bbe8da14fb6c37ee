"""What each fault looks like from outside, and whether the platform did what it was asked for."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.sandbox.delivery import HUGE_BODY_BYTES

if TYPE_CHECKING:
    from tests.integration.sandbox.conftest import Client

BRISK = "hang-for=50ms,slow-for=50ms"


def faulty(spec: str) -> Sandbox:
    return Sandbox(SandboxConfig(qps=0, list_qps=0, faults=FaultPlan.parse(f"{spec},{BRISK}")))


@pytest.mark.parametrize(
    ("fault", "status", "carried_out"),
    [
        ("throttle", 400, 0),
        ("http500", 500, 0),
        ("http500-after", 500, 1),
        ("http502", 502, 0),
        ("http503-after", 503, 1),
        ("http504-after", 504, 1),
        ("nonce-used", 400, 0),
        ("nonce-used-after", 400, 1),
        ("code:iot.system.SystemException", 200, 0),
        ("code:iot.system.SystemException-after", 200, 1),
        ("code:Forbidden.RAM", 403, 0),
        ("redirect", 307, 0),
        ("html", 200, 1),
        ("html-before", 200, 0),
        ("empty", 200, 1),
        ("badjson-before", 200, 0),
        ("slow-body", 200, 1),
    ],
)
async def test_faulty_reply_arrives(fault: str, status: int, carried_out: int, client: Client) -> None:
    async with faulty(f"{fault}=1x") as sandbox:
        answer = await client.create(sandbox.endpoint, "mcu")

        assert answer.status == status
        assert len(sandbox.carried_out) == carried_out
        assert sum(sandbox.injected.values()) == 1
        assert (await client.create(sandbox.endpoint, "wifi")).json["success"] is True


@pytest.mark.parametrize(
    ("fault", "error", "carried_out"),
    [
        ("reset-before", aiohttp.ClientOSError, 0),
        ("reset-after", aiohttp.ClientOSError, 1),
        ("hang-before", aiohttp.ClientOSError, 0),
        ("hang-after", aiohttp.ClientOSError, 1),
        ("refuse", aiohttp.ClientOSError, 0),
        ("truncate-before", aiohttp.ClientPayloadError, 0),
        ("truncate-after", aiohttp.ClientPayloadError, 1),
    ],
)
async def test_connection_breaks(fault: str, error: type[Exception], carried_out: int, client: Client) -> None:
    async with faulty(f"{fault}=100%") as sandbox:
        with pytest.raises(error):
            await client.post(sandbox.endpoint, Action="CreateOTAModule", ProductKey="p", ModuleName="mcu")

        assert len(sandbox.carried_out) == carried_out


async def test_slow_reply_arrives_whole(client: Client) -> None:
    async with faulty("slow-body=1x") as sandbox:
        answer = await client.create(sandbox.endpoint, "mcu")

    assert answer.json["success"] is True


async def test_huge_reply_is_padded_ahead_of_the_answer(client: Client) -> None:
    async with faulty("huge-body=1x") as sandbox:
        answer = await client.create(sandbox.endpoint, "mcu")

    assert len(answer.body) > HUGE_BODY_BYTES
    assert json.loads(answer.body[HUGE_BODY_BYTES:])["success"] is True


async def test_whoever_follows_a_redirect_is_counted() -> None:
    async with faulty("redirect=1x") as sandbox, aiohttp.ClientSession() as session:
        async with session.get(sandbox.endpoint) as reply:
            assert reply.status == 404

        assert sandbox.strays == 1


async def test_throttled_reply_says_how_long_to_wait(client: Client) -> None:
    async with faulty("throttle=1x,retry-after=300ms") as sandbox:
        answer = await client.create(sandbox.endpoint, "mcu")

    assert answer.headers["x-acs-retry-after"] == "300"


async def test_hanging_request_does_not_hold_up_the_end(client: Client) -> None:
    plan = FaultPlan.parse("hang-before=100%,hang-for=60s")
    async with Sandbox(SandboxConfig(faults=plan)) as sandbox:
        hanging = asyncio.create_task(client.create(sandbox.endpoint, "mcu"))
        while not sandbox.requests:  # noqa: ASYNC110 - the sandbox announces nothing, its count is the only sign
            await asyncio.sleep(0)

    with pytest.raises(aiohttp.ClientError):
        await hanging


async def test_faults_of_one_action_leave_the_other_alone(client: Client) -> None:
    async with faulty("create:http500=100%") as sandbox:
        created = await client.create(sandbox.endpoint, "mcu")

        assert created.status == 500
        assert await client.names(sandbox.endpoint) == []


async def test_sender_that_left_a_hanging_request_does_no_harm(client: Client) -> None:
    plan = FaultPlan.parse("hang=1x,hang-for=60s")
    async with Sandbox(SandboxConfig(faults=plan)) as sandbox:
        hanging = asyncio.create_task(client.create(sandbox.endpoint, "mcu"))
        while not sandbox.requests:  # noqa: ASYNC110 - the sandbox announces nothing, its count is the only sign
            await asyncio.sleep(0)
        hanging.cancel()
        await asyncio.wait([hanging])

        assert await client.names(sandbox.endpoint) == ["mcu"]


@pytest.mark.parametrize("fault", ["throttle", "truncate", "slow-body", "huge-body"])
async def test_sender_that_left_before_the_reply_is_no_error(
    fault: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async with faulty(f"{fault}=1x,latency=20ms") as sandbox:
        leaving = asyncio.create_task(client.create(sandbox.endpoint, "mcu"))
        while not sandbox.requests:  # noqa: ASYNC110 - the sandbox announces nothing, its count is the only sign
            await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        await client.create(sandbox.endpoint, "wifi")  # behind it, with the same latency

    assert not caplog.records


@pytest.mark.parametrize("fault", ["reset-before", "refuse"])
def test_connections_break_on_uvloop_too(fault: str) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is an extra: python -m pip install -e '.[fast]'")

    async def ask() -> None:
        async with faulty(f"{fault}=100%") as sandbox, aiohttp.ClientSession() as session:
            await session.post(sandbox.endpoint, data=b"")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(aiohttp.ClientOSError):
        runner.run(ask())
