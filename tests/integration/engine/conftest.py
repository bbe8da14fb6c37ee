"""Runs in this process against a real sandbox, with short waits before a request is repeated."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.retry import RetryPolicy
from bulk.engine.run import run
from bulk.model import Dialect
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bulk.model import Summary
    from bulk.sandbox import Sandbox
    from tests.conftest import Job


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long waits are is the policy's own test; here they would only take time.
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.004, cap_s=0.02))


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


def settings_for(box: Sandbox, **changes: Any) -> Settings:
    told: dict[str, Any] = {"endpoint": box.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
    return Settings(**(told | changes))


def keys_of(box: Sandbox) -> StaticCredentials:
    keys = box.credentials
    return StaticCredentials(Credentials(keys.access_key_id, keys.access_key_secret))


@pytest.fixture
def run_job() -> Callable[..., Coroutine[Any, Any, Summary]]:
    """Return a runner of jobs; keywords that are no settings go to `bulk.engine.run.run`."""

    async def run_one(job: Job, box: Sandbox, *, run_with: dict[str, Any] | None = None, **changes: Any) -> Summary:
        given: dict[str, Any] = {"credentials": keys_of(box)} | (run_with or {})
        return await run(str(job.path), settings_for(box, **changes), **given)

    return run_one
