"""Carry a reply to the client: whole, in pieces, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from email.utils import formatdate
from typing import TYPE_CHECKING, Final, cast

from aiohttp import web

from bulk.sandbox.faults import Effect

if TYPE_CHECKING:
    from bulk.sandbox.faults import Fault, FaultPlan
    from bulk.sandbox.replies import Reply

__all__ = ["HUGE_BODY_BYTES", "abort", "deliver"]

HUGE_BODY_BYTES: Final = 64 * 1024 * 1024
"""How much padding a huge body has, before the reply itself."""

_PADDING: Final = b" " * (64 * 1024)
_DRIPS: Final = 20


async def deliver(
    request: web.BaseRequest,
    reply: Reply,
    *,
    fault: Fault | None,
    plan: FaultPlan,
    now: float,
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Send a reply, as far as the fault lets it through.

    Args:
        request: What it answers.
        reply: The reply to send.
        fault: What must go wrong on the way.
        plan: How long hanging and dripping take.
        now: The platform's time, in seconds since the epoch, for the Date header.
        closing: Set when the sandbox stops: nothing hangs any longer.
    """
    headers = {"Content-Type": reply.content_type, "Date": formatdate(now, usegmt=True), **reply.headers}
    whole = web.Response(status=reply.status, body=reply.body, headers=headers)
    match fault.effect if fault else None:
        case Effect.RESET:
            abort(request.transport)
        case Effect.HANG:
            await _pause(plan.hang_s, closing)
            abort(request.transport)
        case Effect.TRUNCATE:
            return await _truncate(request, reply, headers)
        case Effect.SLOW_BODY:
            return await _drip(request, reply, headers, pause_s=plan.slow_s / _DRIPS, closing=closing)
        case Effect.HUGE_BODY:
            return await _flood(request, reply, headers)
    return whole


def abort(transport: asyncio.BaseTransport | None) -> None:
    """Reset a connection: the other side sees it break, not end."""
    if transport is None:
        return
    # A linger time of zero makes the kernel send RST instead of FIN.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Not checked by isinstance: uvloop's transports are not subclasses of asyncio's.
    cast("asyncio.WriteTransport", transport).abort()


async def _truncate(request: web.BaseRequest, reply: Reply, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(reply.body[: len(reply.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _drip(
    request: web.BaseRequest, reply: Reply, headers: dict[str, str], *, pause_s: float, closing: asyncio.Event
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(reply.body)
    size = -(-len(reply.body) // _DRIPS)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        for start in range(0, len(reply.body), size):
            await response.write(reply.body[start : start + size])
            await _pause(pause_s, closing)
    return response


async def _flood(request: web.BaseRequest, reply: Reply, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        for _ in range(HUGE_BODY_BYTES // len(_PADDING)):
            await response.write(_PADDING)
        await response.write(reply.body)
    return response


async def _pause(seconds: float, closing: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), timeout=seconds)
