"""The way to an endpoint: its proxy, and the head of a request."""

from __future__ import annotations

import pytest

from bulk.cloud.wire.route import Route
from bulk.errors import NotSentError


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take every proxy out of the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://iot.cn-shanghai.aliyuncs.com", "iot.cn-shanghai.aliyuncs.com"),
        ("http://127.0.0.1:8686", "127.0.0.1:8686"),
        ("http://[::1]:8686", "[::1]:8686"),
        ("https://host.example:443", "host.example"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.usefixtures("proxies")
async def test_head_names_the_host_and_ends_with_an_empty_line(endpoint: str, host: str, method: str) -> None:
    lines = Route(endpoint, method).head("A=%20").split(b"\r\n")

    assert lines[0] == f"{method} /?A=%20 HTTP/1.1".encode()
    assert f"Host: {host}".encode() in lines
    assert (b"Content-Length: 0" in lines) == (method == "POST")
    assert lines[-2:] == [b"", b""]


@pytest.mark.usefixtures("proxies")
async def test_endpoint_that_is_no_address_is_not_sent_to() -> None:
    with pytest.raises(NotSentError, match="no request can be addressed") as caught:
        Route("http://[::1", "GET")

    assert caught.value.code == "not_connected"
