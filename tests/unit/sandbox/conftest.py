"""Requests as values: signed by the sandbox's own rules, without a socket."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

import pytest

from bulk.sandbox.call import Call, read_call
from bulk.sandbox.config import SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET
from bulk.sandbox.signature import v2_signature, v2_string_to_sign
from bulk.sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Dialect


class CallMaker(Protocol):
    """Makes a signed V2 request; a parameter that is ``None`` is left out."""

    def __call__(
        self, params: Mapping[str, str | None] = ..., *, method: str = "GET", dialect: Dialect | None = None
    ) -> Call: ...


@pytest.fixture
def make_call() -> CallMaker:
    numbers = iter(range(1_000_000))

    def make(
        params: Mapping[str, str | None] = MappingProxyType({}), *, method: str = "GET", dialect: Dialect | None = None
    ) -> Call:
        common = {
            "Action": "ListOTAModuleByProduct",
            "AccessKeyId": SANDBOX_ACCESS_KEY_ID,
            "SignatureMethod": "HMAC-SHA1",
            "Timestamp": "2024-11-19T09:47:43Z",
            "SignatureNonce": f"nonce-{next(numbers)}",
        }
        sent = {name: value for name, value in {**common, **params}.items() if value is not None}
        sent.setdefault("Signature", v2_signature(SANDBOX_ACCESS_KEY_SECRET, v2_string_to_sign(method, sent)))
        headers = {"host": "127.0.0.1"}
        return read_call(method, f"/?{urlencode(sent)}", headers=headers, body=b"", dialect=dialect)

    return make


@pytest.fixture
def world() -> World:
    return World(None, products=None)
