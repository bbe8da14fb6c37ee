"""Each request goes out once and each end of it is told apart: decided without a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bulk.cloud.wire.transport import HttpTransport, Reply, SignedRequest, at_once
from bulk.errors import NotSentError, OutcomeUnknownError, TransportError, TurnMissedError
from tests.unit.cloud.wire.conftest import OK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.unit.cloud.wire.conftest import FarEnd, Line

ENDPOINT = "http://platform.example"
QUERY = "Action=List&Desc=a%20b%2A~%26&Signature=LEAKED%2B%3D"
REQUEST = SignedRequest("GET", ENDPOINT, QUERY)
SOON_S = 0.0
"""A timeout that is over as soon as anybody looks at the clock."""


@pytest.fixture
async def transport(far_end: FarEnd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpTransport]:
    assert far_end.lines == []
    monkeypatch.setattr("bulk.cloud.wire.transport._TICK_S", 0.0)
    async with HttpTransport(limit=4) as opened:
        yield opened


async def failure(transport: HttpTransport, request: SignedRequest = REQUEST, timeout_s: float = 60) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s=timeout_s)
    assert caught.value.__context__ is None, "a foreign error may hold the signed query"
    assert "LEAKED" not in str(caught.value)
    return caught.value


def silence(_line: Line) -> None:
    """Answer nothing."""


@pytest.mark.parametrize(
    ("status", "is_2xx", "is_redirect"),
    [
        (199, False, False),
        (200, True, False),
        (299, True, False),
        (300, False, True),
        (399, False, True),
        (400, False, False),
    ],
)
def test_status_is_sorted_by_its_first_digit(status: int, is_2xx: bool, is_redirect: bool) -> None:
    reply = Reply(status, b"")

    assert (reply.is_2xx, reply.is_redirect) == (is_2xx, is_redirect)


def test_request_shows_neither_query_nor_signature_and_knows_both() -> None:
    assert repr(REQUEST) == f"SignedRequest('GET', '{ENDPOINT}')"
    assert REQUEST.signature == "LEAKED+="
    assert "LEAKED" not in REQUEST.signed_text
    assert REQUEST.signed_text.startswith("GET&%2F&Action%3DList%26Desc%3D")


async def test_requests_go_out_byte_for_byte_one_after_the_other_on_one_connection(
    transport: HttpTransport, far_end: FarEnd
) -> None:
    far_end.steps.extend([OK] * 3)

    replies = [await transport.send(REQUEST, timeout_s=60) for _ in range(3)]

    assert [(reply.status, reply.body, reply.headers["date"]) for reply in replies] == [
        (200, b'{"Success":true}', "today")
    ] * 3
    assert len(far_end.lines) == 1
    assert {head.partition(b"\r\n")[0] for head in far_end.heads} == {f"GET /?{QUERY} HTTP/1.1".encode()}


async def test_requests_to_an_endpoint_without_a_proxy_share_only_its_route(
    transport: HttpTransport, far_end: FarEnd
) -> None:
    far_end.steps.extend([OK] * 4)

    replies = await asyncio.gather(*(transport.send(REQUEST, timeout_s=60) for _ in range(4)))

    assert [reply.status for reply in replies] == [200] * 4


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
async def test_announcement_of_an_answer_is_not_the_answer(
    transport: HttpTransport, far_end: FarEnd, status: bytes
) -> None:
    far_end.steps.append(b"HTTP/1.1 " + status + b"\r\nLink: x\r\n\r\n" + OK)

    assert (await transport.send(REQUEST, timeout_s=60)).status == 200


async def test_switch_of_protocols_is_an_answer_after_which_the_connection_is_not_used(
    transport: HttpTransport, far_end: FarEnd
) -> None:
    far_end.steps.extend([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", OK])

    assert (await transport.send(REQUEST, timeout_s=60)).status == 101
    assert (await transport.send(REQUEST, timeout_s=60)).status == 200

    assert len(far_end.lines) == 2


def in_parts(*parts: bytes, then: Callable[[Line], None] | None = None) -> Callable[[Line], None]:
    """Return a step that sends each part a moment after the one before."""

    def play(line: Line) -> None:
        first, *rest = parts
        line.play(first)
        following = in_parts(*rest, then=then) if rest else then
        if following:
            asyncio.get_running_loop().call_later(0, asyncio.get_running_loop().call_soon, following, line)

    return play


async def test_answer_that_comes_in_parts_is_read_whole(transport: HttpTransport, far_end: FarEnd) -> None:
    far_end.steps.append(in_parts(OK[:20], OK[20:-10], OK[-10:-3], OK[-3:]))

    assert (await transport.send(REQUEST, timeout_s=60)).body == b'{"Success":true}'


async def test_answer_that_ends_with_its_connection_is_read_whole(transport: HttpTransport, far_end: FarEnd) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    far_end.steps.extend([in_parts(head + b'{"Success"', b":true}", then=lambda line: line.lose()), OK])

    replies = [await transport.send(REQUEST, timeout_s=60) for _ in range(2)]

    assert [reply.body for reply in replies] == [b'{"Success":true}'] * 2
    assert len(far_end.lines) == 2


@pytest.mark.parametrize("parts", [1, 3])
async def test_answer_that_is_too_long_is_not_read_to_its_end(
    transport: HttpTransport, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    monkeypatch.setattr("bulk.cloud.wire.transport.MAX_REPLY_BYTES", 100)
    body = [b"x" * (180 // parts)] * parts
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 180\r\n\r\n"
    far_end.steps.append(in_parts(head + body[0], *body[1:]))

    with pytest.raises(OutcomeUnknownError, match="longer than 100 bytes") as caught:
        await transport.send(REQUEST, timeout_s=60)

    assert caught.value.code == "reply_too_large"
    assert far_end.lines[0].is_aborted


@pytest.mark.parametrize(
    "step", [silence, OK[:20], OK[:-3]], ids=["nothing", "a part of the head", "a part of the body"]
)
async def test_answer_that_is_late_leaves_the_outcome_unknown_and_its_connection_cut(
    transport: HttpTransport, far_end: FarEnd, step: bytes | Callable[[Line], None]
) -> None:
    far_end.steps.extend([OK, step, OK])
    await transport.send(REQUEST, timeout_s=60)

    error = await failure(transport, timeout_s=SOON_S)

    assert (type(error), error.code) == (OutcomeUnknownError, "timeout")
    assert far_end.lines[0].is_aborted
    assert (await transport.send(REQUEST, timeout_s=60)).status == 200
    assert len(far_end.lines) == 2


async def test_late_answer_is_its_own_requests_trouble_alone(transport: HttpTransport, far_end: FarEnd) -> None:
    waiting: list[Line] = []
    far_end.steps.extend([OK, waiting.append, silence])
    await transport.send(REQUEST, timeout_s=60)
    patient = asyncio.create_task(transport.send(REQUEST, timeout_s=3600))
    while not waiting:  # noqa: ASYNC110 - the far end has no event
        await asyncio.sleep(0)

    error = await failure(transport, timeout_s=SOON_S)
    waiting[0].play(OK)

    assert error.code == "timeout"
    assert (await patient).status == 200


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (lambda line: line.lose(), "connection_lost"),
        (lambda line: line.lose(ConnectionResetError(104, "reset")), "connection_lost"),
        (in_parts(OK[:-3], then=lambda line: line.lose()), "connection_lost"),
        (b"220 mail.example ESMTP\r\n\r\n", "unreadable_reply"),
    ],
)
async def test_request_that_is_cut_off_is_not_sent_again(
    transport: HttpTransport, far_end: FarEnd, step: bytes | Callable[[Line], None], code: str
) -> None:
    far_end.steps.extend([OK, step, OK])
    await transport.send(REQUEST, timeout_s=60)

    error = await failure(transport)

    assert (type(error), error.code) == (OutcomeUnknownError, code)
    assert len(far_end.heads) == 2


async def test_request_that_is_cancelled_is_not_delivered_later(transport: HttpTransport, far_end: FarEnd) -> None:
    waiting: list[Line] = []
    far_end.steps.append(waiting.append)
    sending = asyncio.create_task(transport.send(REQUEST, timeout_s=60))
    while not waiting:  # noqa: ASYNC110 - the far end has no event
        await asyncio.sleep(0)

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert waiting[0].is_aborted


async def test_request_whose_turn_is_over_is_not_written_and_its_connection_serves_the_next(
    transport: HttpTransport, far_end: FarEnd
) -> None:
    far_end.steps.append(OK)

    with pytest.raises(TurnMissedError):
        await transport.send(REQUEST, timeout_s=60, leave=lambda: False)
    assert far_end.lines[0].sent == b""
    await transport.send(REQUEST, timeout_s=60, leave=at_once)

    assert len(far_end.lines) == 1


async def test_connection_that_closes_just_before_it_is_used_has_carried_nothing(
    transport: HttpTransport, far_end: FarEnd
) -> None:
    def close_meanwhile() -> bool:
        far_end.lines[0].lose()
        return True

    with pytest.raises(NotSentError, match="closed before it was used"):
        await transport.send(REQUEST, timeout_s=60, leave=close_meanwhile)

    assert far_end.lines[0].sent == b""


REFUSED = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


async def test_login_that_a_proxy_refuses_is_sent_once_however_many_requests_wait(
    transport: HttpTransport, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://user:wrong@proxy.example:3128")
    far_end.steps.append(REFUSED)

    errors = await asyncio.gather(*(failure(transport) for _ in range(5)))

    assert {(type(error), error.code) for error in errors} == {(NotSentError, "proxy_login")}
    assert len(far_end.heads) == 1


async def test_requests_wait_for_the_first_answer_through_a_proxy_and_then_go_side_by_side(
    transport: HttpTransport, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    waiting: list[Line] = []
    far_end.steps.extend([waiting.append] * 4)
    sending = [asyncio.create_task(transport.send(REQUEST, timeout_s=60)) for _ in range(4)]

    async def settled() -> int:
        for _ in range(30):
            await asyncio.sleep(0)
        return len(waiting)

    assert await settled() == 1
    waiting[0].play(OK)
    assert await settled() == 4
    for line in waiting[1:]:
        line.play(OK)

    assert [reply.status for reply in await asyncio.gather(*sending)] == [200] * 4


async def test_request_that_waits_too_long_for_the_first_one_was_not_sent(
    transport: HttpTransport, far_end: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    waiting: list[Line] = []
    far_end.steps.append(waiting.append)
    first = asyncio.create_task(transport.send(REQUEST, timeout_s=60))
    while not waiting:  # noqa: ASYNC110 - the far end has no event
        await asyncio.sleep(0)

    error = await failure(transport, timeout_s=SOON_S)
    waiting[0].play(OK)

    assert (type(error), error.code) == (NotSentError, "connect_timeout")
    assert (await first).status == 200
    assert len(far_end.heads) == 1


@pytest.fixture
def tunnelled(monkeypatch: pytest.MonkeyPatch) -> SignedRequest:
    """Return a request that goes through a tunnel of a proxy."""
    monkeypatch.setenv("https_proxy", "http://user:password@proxy.example:3128")
    monkeypatch.setattr("bulk.cloud.wire.route.trusted", lambda _environ: True)
    return SignedRequest("GET", "https://platform.example", QUERY)


async def test_requests_wait_for_the_first_tunnel_and_not_for_its_answer(
    transport: HttpTransport, far_end: FarEnd, tunnelled: SignedRequest
) -> None:
    waiting: list[Line] = []
    far_end.steps.extend([waiting.append] * 3)
    sending = [asyncio.create_task(transport.send(tunnelled, timeout_s=60)) for _ in range(3)]

    for _ in range(30):
        await asyncio.sleep(0)
    assert len(waiting) == len(far_end.lines) == 3
    for line in waiting:
        line.play(OK)

    assert [reply.status for reply in await asyncio.gather(*sending)] == [200] * 3
    assert all(head.startswith(b"GET /?") for head in far_end.heads)


async def test_tunnel_that_is_refused_for_good_is_asked_for_once_however_many_requests_wait(
    transport: HttpTransport, far_end: FarEnd, tunnelled: SignedRequest
) -> None:
    headers = CIMultiDictProxy(CIMultiDict[str]())
    request = aiohttp.RequestInfo(URL(ENDPOINT), "CONNECT", headers, URL(ENDPOINT))
    far_end.refusals.append(aiohttp.ClientHttpProxyError(request, (), status=407, headers=headers))

    errors = await asyncio.gather(*(failure(transport, tunnelled) for _ in range(5)))

    assert {(type(error), error.code) for error in errors} == {(NotSentError, "proxy_login")}
    assert (len(far_end.connect_s), far_end.heads) == (1, [])
