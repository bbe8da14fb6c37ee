"""Requests as values: signed by the sandbox's own rules, without a socket."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

import pytest

from bulk.sandbox import Credentials
from bulk.sandbox.accounts.directory import Directory
from bulk.sandbox.call import Call, read_call
from bulk.sandbox.config import SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET, SandboxConfig
from bulk.sandbox.performing import perform
from bulk.sandbox.results import Done
from bulk.sandbox.signature import v2_signature, v2_string_to_sign
from bulk.sandbox.worlds.cloud import Cloud
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Dialect
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.stored import StoredModule


class Keys(Protocol):
    """An account, or what AssumeRole gave out."""

    @property
    def access_key_id(self) -> str: ...

    @property
    def access_key_secret(self) -> str: ...


SANDBOX_KEYS: Keys = Credentials(SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET)


class CallMaker(Protocol):
    """Makes a signed V2 request; a parameter that is ``None`` is left out."""

    def __call__(
        self,
        params: Mapping[str, str | None] = ...,
        *,
        method: str = "GET",
        dialect: Dialect | None = None,
        keys: Keys = SANDBOX_KEYS,
    ) -> Call: ...


NOW = 1_732_009_663.0  # 2024-11-19T09:47:43Z


class Platform:
    """A cloud that is asked without a wire and without a gateway."""

    def __init__(self, make_call: CallMaker, config: SandboxConfig, *, with_demo: bool = False) -> None:
        self._make_call = make_call
        self.config = config
        self.now = NOW
        self.dialect: Dialect | None = None
        """The only one that is spoken; ``None``: as the request looks."""

        self.keys: Keys = config.served[0]
        """Whose requests they are."""

        self.directory = Directory(config.served)
        self.cloud = Cloud(config.state, config.served, with_demo=with_demo)
        self.world = self.cloud.world_of(self.directory.accounts[0])

    def ask(self, action: str, **params: str) -> Result:
        call = self._make_call({"Action": action, "ProductKey": "p"} | params, dialect=self.dialect, keys=self.keys)
        return perform(call, cloud=self.cloud, directory=self.directory, now=self.now, config=self.config)

    def create(self, name: str, **params: str) -> Result:
        return self.ask("CreateOTAModule", ModuleName=name, **params)

    def code(self, action: str, **params: str) -> str:
        result = self.ask(action, **params)
        assert not isinstance(result, Done)
        return result.code

    def done(self, action: str, **params: str) -> Done:
        result = self.ask(action, **params)
        assert isinstance(result, Done), result
        return result

    def modules(self, product_key: str = "p") -> tuple[StoredModule, ...]:
        return self.world.modules(product_key)


class PlatformMaker(Protocol):
    """Opens a platform; keywords are those of `SandboxConfig`."""

    def __call__(self, *, with_demo: bool = False, **told: Any) -> Platform: ...


@pytest.fixture
def make_platform(make_call: CallMaker) -> PlatformMaker:
    def make(*, with_demo: bool = False, **told: Any) -> Platform:
        return Platform(make_call, SandboxConfig(**told), with_demo=with_demo)

    return make


@pytest.fixture
def platform(make_platform: PlatformMaker) -> Platform:
    return make_platform()


@pytest.fixture
def make_call() -> CallMaker:
    numbers = iter(range(1_000_000))

    def make(
        params: Mapping[str, str | None] = MappingProxyType({}),
        *,
        method: str = "GET",
        dialect: Dialect | None = None,
        keys: Keys = SANDBOX_KEYS,
    ) -> Call:
        common = {
            "Action": "ListOTAModuleByProduct",
            "AccessKeyId": keys.access_key_id,
            "SignatureMethod": "HMAC-SHA1",
            "Timestamp": "2024-11-19T09:47:43Z",
            "SignatureNonce": f"nonce-{next(numbers)}",
        }
        sent = {name: value for name, value in {**common, **params}.items() if value is not None}
        sent.setdefault("Signature", v2_signature(keys.access_key_secret, v2_string_to_sign(method, sent)))
        headers = {"host": "127.0.0.1"}
        return read_call(method, f"/?{urlencode(sent)}", headers=headers, body=b"", dialect=dialect)

    return make


@pytest.fixture
def world() -> World:
    return World(None, products=None)
