"""Platforms that the doctor reaches without a socket, and the keys that it finds for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.wire.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.errors import NotSentError


@pytest.fixture
def endpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, NotSentError | None]:
    """Return which endpoints can't be reached, and why; no test waits between two tries."""
    refused: dict[str, NotSentError | None] = {}

    async def reach(endpoint: str, *, timeout_s: float) -> Reach:
        assert timeout_s > 0
        error = refused.get(endpoint)
        if error:
            raise error
        return Reach(address="192.0.2.1", connect_s=0.001)

    monkeypatch.setattr("bulk.engine.checks.platform.reach", reach)
    monkeypatch.setattr("bulk.engine.checks.platform._PAUSE_S", 0.0)
    monkeypatch.chdir(tmp_path)
    return refused


@pytest.fixture
def find_keys(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put keys into the environment: ``find_keys("CN", key_id, secret)``."""

    def put(prefix: str, key_id: str, secret: str) -> None:
        monkeypatch.setenv(f"{prefix}_ACCESS_KEY_ID", key_id)
        monkeypatch.setenv(f"{prefix}_ACCESS_KEY_SECRET", secret)

    return put


@pytest.fixture
def keys_of(find_keys: Callable[..., None]) -> Callable[..., str]:
    """Put the keys of a platform into the environment, and return their prefix: ``keys_of(box, "CN")``."""

    def put(box: Any, prefix: str = "CN", *, secret: str | None = None, account: str = "") -> str:
        keys = box.credentials_of(account)
        find_keys(prefix, keys.access_key_id, secret or keys.access_key_secret)
        return prefix

    return put
