"""A client that knows nothing of `bulk`: the standard library's clock, the sandbox's published rules, bare aiohttp."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest

from bulk.sandbox import Credentials
from bulk.sandbox.config import SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET
from bulk.sandbox.signature import v2_signature, v2_string_to_sign

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


SANDBOX_KEYS = Credentials(SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends signed requests, one connection each: nothing is resent behind the test's back."""

    def __init__(self, session: aiohttp.ClientSession, keys: Credentials = SANDBOX_KEYS, token: str = "") -> None:
        self._session = session
        self._keys = keys
        self._token = token

    def signing_as(self, keys: Credentials, token: str = "") -> Client:
        return Client(self._session, keys, token)

    async def get(self, endpoint: str, **params: str) -> Answer:
        url = f"{endpoint}?{urlencode(self.signed('GET', params))}"
        return await self._send("GET", url)

    async def post(self, endpoint: str, **params: str) -> Answer:
        common = {"Version": "2018-01-20", "Format": "JSON", "SignatureVersion": "1.0"}
        return await self._send("POST", endpoint, data=self.signed("POST", common | params))

    async def create(self, endpoint: str, name: str, product: str = "p") -> Answer:
        return await self.get(endpoint, Action="CreateOTAModule", ProductKey=product, ModuleName=name)

    async def names(self, endpoint: str, product: str = "p") -> list[str]:
        answer = await self.get(endpoint, Action="ListOTAModuleByProduct", ProductKey=product)
        return [module["moduleName"] for module in answer.json["data"]]

    async def sts(self, endpoint: str, **params: str) -> Answer:
        common = {"Version": "2015-04-01", "Format": "JSON", "SignatureVersion": "1.0"}
        return await self.get(endpoint, **common, **params)

    def signed(self, method: str, params: dict[str, str]) -> dict[str, str]:
        sent = {
            "AccessKeyId": self._keys.access_key_id,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **({"SecurityToken": self._token} if self._token else {}),
            **params,
        }
        return sent | {"Signature": v2_signature(self._keys.access_key_secret, v2_string_to_sign(method, sent))}

    async def _send(self, method: str, url: str, data: dict[str, str] | None = None) -> Answer:
        async with self._session.request(method, url, data=data, allow_redirects=False) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.read())


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Client(session)
