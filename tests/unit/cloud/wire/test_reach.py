"""What a test of an endpoint says of the way there; nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.wire.reach import reach
from bulk.errors import NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cloud.wire.conftest import FarEnd, Line


class Secured:
    """A TLS connection whose other end has a certificate."""

    def __init__(self, certificate: dict[str, Any]) -> None:
        self._certificate = certificate

    def getpeercert(self) -> dict[str, Any]:
        return self._certificate

    def version(self) -> str:
        return "TLSv1.3"


@pytest.fixture(autouse=True)
def _any_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.cloud.wire.route.trusted", lambda _environ: True)


def known(**info: Any) -> Callable[[Line], None]:
    return lambda line: line.info.update(info)


async def test_certificate_and_address_of_the_endpoint_are_told(far_end: FarEnd) -> None:
    secured = Secured({"notAfter": "Nov 27 00:00:00 2026 GMT"})
    far_end.refusals.append(known(ssl_object=secured, peername=("192.0.2.1", 443)))

    found = await reach("https://platform.example")

    assert (found.tls_version, found.certificate_ends_at, found.address) == ("TLSv1.3", 1_795_737_600.0, "192.0.2.1")
    assert found.proxy is None
    assert (far_end.lines[0].sent, far_end.open) == (b"", [])


@pytest.mark.parametrize(
    ("endpoint", "info"),
    [
        ("http://platform.example", {"ssl_object": Secured({"notAfter": "Nov 27 00:00:00 2026 GMT"})}),
        ("https://platform.example", {}),
        ("https://platform.example", {"ssl_object": Secured({})}),
    ],
    ids=["certificate of an https proxy", "no TLS", "not verified"],
)
async def test_certificate_that_is_not_the_endpoints_is_not_told(
    far_end: FarEnd, endpoint: str, info: dict[str, Any]
) -> None:
    far_end.refusals.append(known(**info))

    found = await reach(endpoint)

    assert (found.tls_version, found.certificate_ends_at, found.address) == (None, None, None)


async def test_proxy_in_between_is_named_without_its_password(far_end: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:hidden@proxy.example:3128")

    found = await reach("https://platform.example")

    assert (found.proxy, len(far_end.lines)) == ("http://proxy.example:3128", 1)


async def test_endpoint_out_of_reach_is_the_transports_own_error(far_end: FarEnd) -> None:
    far_end.refusals.append(TimeoutError())

    with pytest.raises(NotSentError) as caught:
        await reach("https://platform.example", timeout_s=1.5)

    assert caught.value.code == "connect_timeout"
    assert far_end.connect_s == [1.5]
