"""Every action that writes, and those that read, over real HTTP against a platform in a box, in both dialects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.client import Client
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.paging import gather
from bulk.cloud.wire.transport import HttpTransport
from bulk.model import Accepted, Change, ChangeKind, Dialect, Failure, FailureKind, Listing, OtaModule, Target
from bulk.sandbox import Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODULE = OtaModule("a1Prod00001", "Barcode", "扫码", "old text")


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False)) as serving:
        yield serving


@pytest.fixture(params=Dialect)
async def platform(box: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with HttpTransport() as transport:
        yield Client(
            target=Target(request.param, box.endpoint),
            endpoint=box.endpoint,
            credentials=StaticCredentials(
                Credentials(box.credentials.access_key_id, box.credentials.access_key_secret)
            ),
            transport=transport,
        )


async def changed(platform: Client, kind: ChangeKind, wanted: OtaModule) -> Accepted | Failure:
    return await platform.apply(Change(kind, wanted, MODULE))


async def test_module_is_made_changed_and_removed(platform: Client, box: Sandbox) -> None:
    shorter = OtaModule(MODULE.product_key, MODULE.module_name, None, "new text")

    done = [
        await changed(platform, ChangeKind.CREATE, MODULE),
        await changed(platform, ChangeKind.UPDATE, shorter),
    ]
    after_update = await platform.list_modules(MODULE.product_key)
    done.append(await changed(platform, ChangeKind.DELETE, MODULE))

    assert all(isinstance(answer, Accepted) for answer in done)
    assert isinstance(after_update, Listing)
    (custom,) = [module for module in after_update.modules if module.module_name == MODULE.module_name]
    assert (custom.alias_name, custom.desc) == ("扫码", "new text")
    assert custom.created_at is not None
    assert abs(custom.created_at - time.time()) < 120
    assert MODULE.module_name not in [module.module_name for module in box.modules(MODULE.product_key)]


@pytest.mark.parametrize("kind", [ChangeKind.UPDATE, ChangeKind.DELETE])
async def test_module_that_is_not_there_is_gone(platform: Client, kind: ChangeKind) -> None:
    await changed(platform, ChangeKind.CREATE, MODULE)
    await changed(platform, ChangeKind.DELETE, MODULE)

    answer = await changed(platform, kind, MODULE)

    assert isinstance(answer, Failure)
    assert answer.kind is FailureKind.GONE


async def test_products_of_many_pages_are_all_read(platform: Client) -> None:
    keys = {f"a1Prod{number:05d}" for number in range(205)}
    for key in keys:
        await changed(platform, ChangeKind.CREATE, OtaModule(key, "m"))

    products = await gather(lambda page: platform.list_products(page=page))

    assert isinstance(products, tuple)
    assert {product.product_key for product in products} == keys
    assert all(product.name for product in products)
