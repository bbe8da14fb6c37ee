"""The proxy that the environment names: which one, for whom, and that its password is shown nowhere."""

from __future__ import annotations

from base64 import b64decode

import pytest

from bulk.cloud.codes import TABLE
from bulk.cloud.wire.proxies import Proxy, proxy_for
from bulk.errors import NotSentError
from bulk.model import FailureKind


@pytest.fixture
def proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take every proxy out of the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def found(scheme: str = "https", host: str = "host.example", port: int | None = None) -> Proxy:
    proxy = proxy_for(scheme, host, port)
    assert proxy is not None
    return proxy


def refusal() -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        proxy_for("https", "host.example")
    assert TABLE[caught.value.code].kind is FailureKind.FATAL
    return caught.value


@pytest.mark.parametrize(
    ("named", "proxy", "login"),
    [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("https://user:password@proxy", "https://proxy", b"user:password"),
        ("proxy:3128", "http://proxy:3128", None),
        ("PROXY.example:3128/", "http://proxy.example:3128", None),
        ("user:password@127.0.0.1:3128", "http://127.0.0.1:3128", b"user:password"),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://user@proxy:1", "http://proxy:1", b"user:"),
        ("http://user:pass:word@proxy:1", "http://proxy:1", b"user:pass:word"),
        ("http://user:p@ss@proxy:1", "http://proxy:1", b"user:p@ss"),
        ("http://us%40er:p%2Fs%23%3F@proxy:1", "http://proxy:1", b"us@er:p/s#?"),
        ("http://user:100%@proxy:1", "http://proxy:1", b"user:100%"),
        ("http://用户:密码@proxy:1", "http://proxy:1", "用户:密码".encode()),
        ("http://user:%E5%AF%86@proxy:1", "http://proxy:1", "user:密".encode()),
        ("http://user:%E9t%E9@proxy:1", "http://proxy:1", b"user:\xe9t\xe9"),
    ],
)
def test_address_and_login_are_taken_apart(
    proxies: pytest.MonkeyPatch, named: str, proxy: str, login: bytes | None
) -> None:
    proxies.setenv("https_proxy", named)

    taken = found()

    assert str(taken) == proxy
    assert (b64decode(taken.authorization.removeprefix("Basic ")) if taken.authorization else None) == login
    assert "authorization" not in repr(taken)


def test_this_machine_needs_none(proxies: pytest.MonkeyPatch) -> None:
    proxies.setenv("https_proxy", "http://proxy:3128")

    assert [proxy_for("https", host) for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8")] == [None] * 4


@pytest.mark.parametrize(
    ("variables", "https", "http"),
    [
        ({"HTTPS_PROXY": "a"}, "a", None),
        ({"HTTP_PROXY": "a"}, None, "a"),
        ({"ALL_PROXY": "a"}, "a", "a"),
        ({"all_proxy": "a", "ALL_PROXY": "b"}, "a", "a"),
        ({"https_proxy": "a", "HTTPS_PROXY": "b", "ALL_PROXY": "c"}, "a", "c"),
        ({"https_proxy": "", "HTTPS_PROXY": "b"}, None, None),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, None, None),
        ({"HTTP_PROXY": "a", "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": "a", "REQUEST_METHOD": "GET"}, None, "a"),
    ],
)
def test_variable_of_the_scheme_wins_and_an_empty_one_is_none(
    proxies: pytest.MonkeyPatch, variables: dict[str, str], https: str | None, http: str | None
) -> None:
    for name, value in variables.items():
        proxies.setenv(name, value)

    chosen = [proxy_for(scheme, "host.example") for scheme in ("https", "http")]

    assert [proxy and proxy.url.host for proxy in chosen] == [https, http]


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("socks5://user:LEAKED@proxy:1080", "SOCKS proxies are not supported"),
        ("socks5h://proxy:1080", "SOCKS proxies are not supported"),
        ("ftp://proxy:1080", "ftp:// is no proxy's scheme"),
        ("http://", "names no host"),
        ("http:/proxy:3128", "goes on after host and port"),
        ("http://wpad/proxy.pac", "PAC file"),
        ("proxy:99999", "can't be read"),
        ("proxy:port", "can't be read"),
        ("proxy:0", "0 is no port"),
        ("http://[::1", "can't be read"),
        ("://x", "is no proxy's scheme"),
        ('"http://user:LEAKED@proxy:3128"', "in quotes"),
        ("'http://proxy:3128'", "in quotes"),
        ("http://proxy:3128\r", "carriage return"),
        ("http://proxy:3128 ", "space or a control character"),
        ("http://user:LEAKED@proxy:31 28", "space or a control character"),
        ("http://user:12/LEAKED@proxy:3128", "can't be told from its password; in a user name or password, write @"),
        ("http://user:LEAKED#1@proxy:3128", "can't be read; in a user name or password, write @"),
        ("http://user:1?LEAKED@proxy:3128", "can't be told from its password"),
    ],
)
@pytest.mark.parametrize("variable", ["https_proxy", "all_proxy"])
def test_what_can_be_no_proxy_stops_the_run_and_names_its_variable(
    proxies: pytest.MonkeyPatch, named: str, words: str, variable: str
) -> None:
    proxies.setenv(variable, named)

    told = str(refusal())

    assert f"{variable.upper()} or {variable} holds" in told
    assert words in told
    assert "LEAKED" not in told
    assert told.isprintable()


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("*", "host.example", True),
        ("other, *", "host.example", True),
        ("host.example", "host.example", True),
        ("example", "host.example", True),
        (".example", "host.example", True),
        ("*.example", "host.example", True),
        ("*.example", "a.b.example", True),
        ("host.*", "host.example", True),
        ("HOST.Example.", "host.example", True),
        ("host.example", "HOST.example.", True),
        ("ost.example", "host.example", False),
        ("*.ost.example", "host.example", False),
        ("other.example, host.example", "host.example", True),
        ("other.example host.example\r", "host.example", True),
        ('"other.example,host.example"', "host.example", True),
        ("host.example:8686", "host.example", True),
        ("*.example:8686", "host.example", True),
        ("host.example:443", "host.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.1/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "host.example", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:8686", "10.1.2.3", True),
        ("10.1.2.3:80", "10.1.2.3", False),
        ("10.1.*", "10.1.2.3", True),
        ("2.3", "10.1.2.3", False),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]:8686", "fd00::1", True),
        ("FD00:0:0::1", "fd00::1", True),
        ("fd00::/8", "fd00::1", True),
        ("", "host.example", False),
        (",,", "host.example", False),
        (".", "host.example", False),
    ],
)
def test_hosts_of_no_proxy_are_reached_without(
    proxies: pytest.MonkeyPatch, no_proxy: str, host: str, direct: bool
) -> None:
    proxies.setenv("https_proxy", "http://proxy:3128")
    proxies.setenv("NO_PROXY", no_proxy)

    assert (proxy_for("https", host, 8686) is None) == direct
