"""Platforms to read from: worlds of modules, and the record of what arrived there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.retry import RetryPolicy
from bulk.model import Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

READS = {"ListOTAModuleByProduct", "QueryProduct", "QueryProductList"}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long waits are is the policy's own test; here they would only take time.
    monkeypatch.setattr("bulk.engine.looking.opening.RetryPolicy", partial(RetryPolicy, first_s=0.004, cap_s=0.02))
    monkeypatch.setattr("bulk.engine.looking.opening.PRODUCTS_PER_S", 0.0)
    monkeypatch.setattr("bulk.cloud.paging.PAUSES_S", (0.001,) * 11)


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


def box_of(**config: Any) -> Sandbox:
    told: dict[str, Any] = {"qps": 0, "list_qps": 0, "rates": {"products": 0, "product": 0}, "starting_world": False}
    return Sandbox(SandboxConfig(**(told | config)))


def fill(
    box: Sandbox, modules: Iterable[tuple[str, ...]], *, account: str = "", names: dict[str, str] | None = None
) -> None:
    """Make modules, each (product, name, alias, description), the last two where there are any, or a product alone."""
    console = box.console(account)
    for product_key, *module in modules:
        if not any(product_key == known for known in box.world(account).products()):
            console.add_product(product_key, product_name=(names or {}).get(product_key, f"Product {product_key}"))
        if module:
            name, alias, desc = (*module, None, None)[:3]
            console.create(product_key, str(name), alias_name=alias, desc=desc)


def settings_for(box: Sandbox, **changes: Any) -> Settings:
    told: dict[str, Any] = {"endpoint": box.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
    return Settings(**(told | changes))


def keys_of(box: Sandbox, account: str = "") -> StaticCredentials:
    keys = box.credentials_of(account)
    return StaticCredentials(Credentials(keys.access_key_id, keys.access_key_secret))


def actions_seen(box: Sandbox) -> set[str]:
    return {str(seen.action) for seen in box.seen}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
