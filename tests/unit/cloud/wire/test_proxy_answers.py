"""What a proxy's refusal means, by its status."""

from __future__ import annotations

import pytest
from yarl import URL

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.proxies import Proxy
from bulk.cloud.wire.proxy_answers import refusal
from bulk.model import FailureKind

WITHOUT = Proxy(URL("http://proxy:3128"), "HTTPS_PROXY or https_proxy")
WITH = Proxy(URL("http://proxy:3128"), "HTTPS_PROXY or https_proxy", "Basic TEVBS0VE")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, FailureKind.FATAL) for status in (400, 401, 403, 404, 405, 407, 451)),
        *((status, FailureKind.NOT_SENT) for status in (204, 302, 408, 429, 500, 502, 503, 504, 599)),
    ],
)
def test_refusal_names_proxy_status_and_port(status: int, kind: FailureKind) -> None:
    reason = refusal(status, [], proxy=WITH, target="host:8686")

    assert TABLE[reason.code].kind is kind
    assert all(part in reason.words for part in ("http://proxy:3128", "host:8686", f"HTTP {status}"))


@pytest.mark.parametrize(
    ("proxy", "offers", "words"),
    [
        (WITH, ['Basic realm="x"'], "does not accept the user name and password of HTTPS_PROXY or https_proxy"),
        (WITHOUT, ['basic realm="x"'], "HTTPS_PROXY or https_proxy holds no user name and password"),
        (WITH, ["Negotiate", "NTLM TlRMTVNTUAAC"], "a login by Negotiate or NTLM, and bulk knows only Basic"),
        (WITH, ["Negotiate", "Basic realm=x"], "does not accept"),
        (WITH, [], "does not accept"),
    ],
)
def test_refused_login_says_what_the_proxy_asks_for(proxy: Proxy, offers: list[str], words: str) -> None:
    reason = refusal(407, offers, proxy=proxy, target="host:8686")

    assert words in reason.words
    assert not any(secret in reason.words for secret in ("TEVBS0VE", "TlRMTVNTUAAC", "realm"))
