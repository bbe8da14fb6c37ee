"""The transport against real sockets: each request arrives once, and each end of it is told apart."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import socket
import ssl
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bulk.cloud.replies import read_answer
from bulk.cloud.wire.transport import MAX_REPLY_BYTES, HttpTransport, SignedRequest
from bulk.errors import NotSentError, OutcomeUnknownError, TransportError, TurnMissedError

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "Action=List&Desc=a%20b%2A~%26%E4%B8%AD%2Fx%2B&Signature=LEAKED%2B%3D"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\nDate: today\r\n\r\n{"Success":true}'
Serve = Callable[..., Any]
Step = Callable[..., Any]


def to(endpoint: str, method: str = "GET") -> SignedRequest:
    """Address a request."""
    return SignedRequest(method, endpoint, QUERY)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with HttpTransport(limit=4) as opened:
        yield opened


async def failure(transport: HttpTransport, request: SignedRequest, timeout_s: float = 5.0) -> TransportError:
    """Send a request that must fail, and return the error."""
    with pytest.raises(TransportError) as caught:
        await transport.send(request, timeout_s=timeout_s)
    return caught.value


async def failure_to_answer(transport: HttpTransport, endpoint: str) -> TransportError:
    """Let a server answer its first request and not its second, and return the second's error.

    It goes out on the connection of the first, so that a short timeout is the answer's alone.
    """
    await transport.send(to(endpoint), timeout_s=5)
    return await failure(transport, to(endpoint), timeout_s=0.05)


async def test_one_transport_keeps_a_way_to_each_endpoint(serve: Serve, transport: HttpTransport) -> None:
    servers = [await serve(*[OK] * 6) for _ in range(2)]
    requests = [to(server.endpoint, method) for server in servers for method in ("GET", "POST")] * 3

    replies = await asyncio.gather(*(transport.send(request, timeout_s=5) for request in requests))

    assert [reply.status for reply in replies] == [200] * 12
    assert [len(server.heads) for server in servers] == [6, 6]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_request_goes_out_byte_for_byte_as_signed(serve: Serve, transport: HttpTransport, method: str) -> None:
    server = await serve(OK)

    reply = await transport.send(to(server.endpoint, method), timeout_s=5)

    assert (reply.status, reply.body, reply.headers["date"]) == (200, b'{"Success":true}', "today")
    assert server.heads[0].startswith(f"{method} /?{QUERY} HTTP/1.1\r\n".encode())
    assert method == "GET" or b"Content-Length: 0\r\n" in server.heads[0]


async def test_connection_is_kept_for_the_next_request(serve: Serve, step: Step, transport: HttpTransport) -> None:
    server = await serve(OK, OK, step("close"))

    replies = [await transport.send(to(server.endpoint), timeout_s=5) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 200]
    assert len(server.heads) == 2


async def test_reply_that_is_announced_and_packed_is_read(serve: Serve, transport: HttpTransport) -> None:
    body = gzip.compress(b'{"Success":true}')
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    server = await serve(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3 + head + body)

    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert (reply.status, reply.body) == (200, b'{"Success":true}')


async def test_reply_that_ends_with_its_connection_is_read_whole(
    serve: Serve, step: Step, transport: HttpTransport
) -> None:
    server = await serve(step("close", HEAD + b'\r\n{"Success":true}'), OK)

    replies = [await transport.send(to(server.endpoint), timeout_s=5) for _ in range(2)]

    assert [reply.body for reply in replies] == [b'{"Success":true}'] * 2


async def test_late_answer_is_not_the_next_requests(serve: Serve, transport: HttpTransport) -> None:
    asked_again = asyncio.Event()

    async def too_late(writer: asyncio.StreamWriter) -> None:
        await asked_again.wait()
        with suppress(ConnectionError):
            writer.write(OK.replace(b"true", b"late"))
            await writer.drain()

    server = await serve(OK, too_late, OK)
    await failure_to_answer(transport, server.endpoint)
    asked_again.set()

    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert reply.body == b'{"Success":true}'


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_request_on_a_kept_connection_that_closes_is_not_sent_again(
    serve: Serve, step: Step, transport: HttpTransport, method: str, end: str
) -> None:
    # aiohttp's session would send a GET a second time here, and the third step would answer it.
    server = await serve(OK, step(end), OK)
    await transport.send(to(server.endpoint, method), timeout_s=5)

    error = await failure(transport, to(server.endpoint, method))

    assert (type(error), error.code) == (OutcomeUnknownError, "connection_lost")
    assert len(server.heads) == 2


async def test_request_that_may_not_leave_any_more_leaves_its_connection_to_the_next(
    serve: Serve, transport: HttpTransport
) -> None:
    connected: list[asyncio.StreamWriter] = []
    server = await serve(OK, connected=connected)

    with pytest.raises(TurnMissedError):
        await transport.send(to(server.endpoint), timeout_s=5, leave=lambda: False)
    heads_before = list(server.heads)
    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert heads_before == []
    assert (reply.status, len(server.heads), len(connected)) == (200, 1, 1)


async def test_request_leaves_when_it_says_so_though_its_connection_was_slow_to_be_made(
    serve: Serve, transport: HttpTransport
) -> None:
    asked: list[int] = []
    server = await serve(OK)

    def leave() -> bool:
        asked.append(len(server.heads))
        return True

    reply = await transport.send(to(server.endpoint), timeout_s=5, leave=leave)

    assert (reply.status, asked) == (200, [0])


@pytest.mark.parametrize("end", ["close", "reset", "hang"])
async def test_after_a_loss_no_connection_is_used_that_was_idle_meanwhile(
    serve: Serve, step: Step, transport: HttpTransport, end: str
) -> None:
    connected: list[asyncio.StreamWriter] = []
    both = asyncio.Barrier(2)

    async def answer_together(writer: asyncio.StreamWriter) -> None:
        await both.wait()
        writer.write(OK)
        await writer.drain()

    server = await serve(answer_together, answer_together, step(end), OK, connected=connected)
    await asyncio.gather(*(transport.send(to(server.endpoint), timeout_s=5) for _ in range(2)))
    await failure(transport, to(server.endpoint), timeout_s=0.05)

    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert reply.status == 200
    assert len(connected) == 3


async def test_loss_at_one_endpoint_costs_another_no_connection(
    serve: Serve, step: Step, transport: HttpTransport
) -> None:
    connected: list[asyncio.StreamWriter] = []
    well = await serve(OK, OK, OK, connected=connected)
    ill = await serve(step("reset"), step("close"))
    await transport.send(to(well.endpoint), timeout_s=5)
    for _ in range(2):
        await failure(transport, to(ill.endpoint))

        await transport.send(to(well.endpoint), timeout_s=5)

    assert len(connected) == 1


async def test_connection_that_was_answered_after_a_loss_is_kept(
    serve: Serve, step: Step, transport: HttpTransport
) -> None:
    connected: list[asyncio.StreamWriter] = []
    arrived, lost = asyncio.Event(), asyncio.Event()

    async def answer_late(writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await lost.wait()
        writer.write(OK)
        await writer.drain()

    server = await serve(answer_late, step("close"), OK, connected=connected)
    late = asyncio.create_task(transport.send(to(server.endpoint), timeout_s=5))
    await arrived.wait()
    await failure(transport, to(server.endpoint))
    lost.set()
    await late

    await transport.send(to(server.endpoint), timeout_s=5)

    assert len(connected) == 2


async def test_request_that_is_given_up_on_is_not_delivered_later(transport: HttpTransport) -> None:
    ended: asyncio.Future[bytes | Exception] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            ended.set_result(await reader.read())
        except ConnectionError as exc:
            ended.set_result(exc)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        request = to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await failure(transport, request, timeout_s=0.2)

        # A connection that is only closed ends with what is still on its way, and then in peace.
        assert isinstance(await ended, ConnectionResetError)


async def test_answer_that_nobody_asked_for_is_not_the_next_requests() -> None:
    opened: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        asked = len(opened)
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % asked)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    request = to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    async with server, HttpTransport() as transport:
        first = await transport.send(request, timeout_s=5)
        opened[0].write(OK)
        for _ in range(10):
            await asyncio.sleep(0)
        replies = [first, *[await transport.send(request, timeout_s=5) for _ in range(2)]]

    assert [reply.body for reply in replies] == [b"1", b"2", b"2"]


@pytest.mark.parametrize("packing", ["br", "zstd", "compress"])
async def test_answer_that_is_packed_as_nobody_asked_for_leaves_the_outcome_unknown(
    serve: Serve, transport: HttpTransport, packing: str
) -> None:
    server = await serve(
        HEAD + f"Content-Encoding: {packing}\r\nContent-Length: 4\r\n\r\n".encode() + b"\x0b\x00\x80\xff"
    )

    with suppress(OutcomeUnknownError):
        reply = await transport.send(to(server.endpoint), timeout_s=5)
        assert read_answer(reply.body).success is None


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("text", "end", "code"),
    [
        pytest.param(b"", "close", "connection_lost", id="closed before the answer"),
        pytest.param(b"", "reset", "connection_lost", id="reset before the answer"),
        pytest.param(b"HTTP/1.1 20", "close", "connection_lost", id="status line cut"),
        pytest.param(HEAD + b"Content-Le", "close", "connection_lost", id="head cut"),
        pytest.param(HEAD + b"Content-Length: 16\r\n\r\n{", "close", "connection_lost", id="body cut"),
        pytest.param(HEAD + b"Content-Length: 16\r\n\r\n{", "reset", "connection_lost", id="body reset"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", "close", "connection_lost", id="chunk cut"),
        pytest.param(
            HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx", "close", "connection_lost", id="not gzip"
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "close", "unreadable_reply", id="not HTTP"),
        pytest.param(HEAD + b"Content-Length: many\r\n\r\n", "close", "unreadable_reply", id="absurd length"),
    ],
)
async def test_broken_answer_leaves_the_outcome_unknown(
    serve: Serve, step: Step, transport: HttpTransport, text: bytes, end: str, code: str
) -> None:
    server = await serve(step(end, text))

    error = await failure(transport, to(server.endpoint))

    assert (type(error), error.code) == (OutcomeUnknownError, code)
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    "text", [b"", HEAD, HEAD + b"Content-Length: 16\r\n\r\n{"], ids=["at once", "in the head", "in the body"]
)
async def test_answer_that_hangs_times_out(serve: Serve, step: Step, transport: HttpTransport, text: bytes) -> None:
    server = await serve(OK, step("hang", text))

    error = await failure_to_answer(transport, server.endpoint)

    assert (type(error), error.code) == (OutcomeUnknownError, "timeout")


async def test_refused_connection_is_not_sent(transport: HttpTransport) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))

        error = await failure(transport, to(f"http://127.0.0.1:{unheard.getsockname()[1]}"))

    assert (type(error), error.code) == (NotSentError, "connection_refused")
    assert "refused" in str(error)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse what Linux leaves waiting")
async def test_connection_that_is_not_taken_up_is_not_sent(transport: HttpTransport) -> None:
    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())

        error = await failure(transport, to(f"http://127.0.0.1:{deaf.getsockname()[1]}"), timeout_s=0.1)

    assert (type(error), error.code) == (NotSentError, "connect_timeout")


async def test_redirect_is_returned_not_followed(serve: Serve, transport: HttpTransport) -> None:
    server = await serve(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", OK)

    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert (reply.status, reply.headers["location"]) == (307, "/elsewhere")
    assert len(server.heads) == 1


async def test_reply_of_the_greatest_size_is_read(serve: Serve, transport: HttpTransport) -> None:
    server = await serve(HEAD + b"Content-Length: %d\r\n\r\n" % MAX_REPLY_BYTES + b"x" * MAX_REPLY_BYTES)

    reply = await transport.send(to(server.endpoint), timeout_s=5)

    assert len(reply.body) == MAX_REPLY_BYTES


@pytest.mark.parametrize(
    "text",
    [
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_REPLY_BYTES + 1) + b"x" * (MAX_REPLY_BYTES + 1),
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + (b"x" * 65_536 + b"\r\n10000\r\n") * 40,
    ],
    ids=["announced", "endless"],
)
async def test_longer_reply_is_given_up(serve: Serve, step: Step, transport: HttpTransport, text: bytes) -> None:
    server = await serve(step("hang", text))

    error = await failure(transport, to(server.endpoint))

    assert (type(error), error.code) == (OutcomeUnknownError, "reply_too_large")


async def test_error_carries_no_trace_of_the_signed_url(serve: Serve, step: Step, transport: HttpTransport) -> None:
    server = await serve(step("close"))

    error = await failure(transport, to(server.endpoint))

    assert (error.__cause__, error.__context__) == (None, None)
    assert "LEAKED" not in "".join(traceback.format_exception(error))


async def test_cancelling_passes_through(serve: Serve, transport: HttpTransport) -> None:
    arrived = asyncio.Event()

    async def arrive(_: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    server = await serve(arrive)
    sending = asyncio.create_task(transport.send(to(server.endpoint), timeout_s=5))
    await arrived.wait()
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending


def self_signed(folder: Path) -> ssl.SSLContext:
    """Make a server's context whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


async def test_certificate_that_nobody_vouches_for_is_refused(
    serve: Serve, transport: HttpTransport, tmp_path: Path
) -> None:
    server = await serve(OK, tls=self_signed(tmp_path))

    error = await failure(transport, to(server.endpoint))

    assert (type(error), error.code) == (NotSentError, "tls")
    assert server.heads == []


async def test_https_to_a_port_without_tls_is_not_sent(serve: Serve, transport: HttpTransport) -> None:
    server = await serve(OK)
    server.scheme = "https"

    error = await failure(transport, to(server.endpoint), timeout_s=1)

    assert isinstance(error, NotSentError)
    assert server.heads == []


async def test_proxy_of_the_environment_is_used(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(OK)
    monkeypatch.setenv("http_proxy", proxy.endpoint)

    reply = await transport.send(to("http://stand-in.invalid"), timeout_s=5)

    assert reply.status == 200
    assert proxy.heads[0].startswith(f"GET http://stand-in.invalid/?{QUERY} HTTP/1.1\r\n".encode())


async def test_password_of_a_plain_proxy_goes_with_every_request(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(OK, OK)
    monkeypatch.setenv("http_proxy", proxy.endpoint.replace("//", "//user:password@"))

    for _ in range(2):
        await transport.send(to("http://stand-in.invalid"), timeout_s=5)

    assert [b"\r\nProxy-Authorization: Basic dXNlcjpwYXNzd29yZA==\r\n" in head for head in proxy.heads] == [True, True]


async def test_proxy_that_refuses_sees_no_request(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    monkeypatch.setenv("https_proxy", proxy.endpoint)

    error = await failure(transport, to("https://stand-in.invalid"))

    assert (type(error), error.code) == (NotSentError, "proxy_denied")
    assert [head.split()[0] for head in proxy.heads] == [b"CONNECT"]
    assert b"LEAKED" not in proxy.heads[0]


async def test_loopback_is_reached_past_any_proxy(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = await serve(OK), await serve(OK)
    monkeypatch.setenv("http_proxy", proxy.endpoint)

    await transport.send(to(server.endpoint), timeout_s=5)

    assert (len(server.heads), len(proxy.heads)) == (1, 0)
