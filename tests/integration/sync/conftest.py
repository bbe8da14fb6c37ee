"""A job that is synced night after night against a real sandbox, in this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.control.guard import Limit
from bulk.control.retry import RetryPolicy
from bulk.engine.run import run
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync
from bulk.events import ignore
from bulk.model import RESERVED_MODULE_NAME, Dialect
from bulk.sandbox import Sandbox, SandboxConfig
from bulk.settings import Settings
from tests.nights import CREATE, DELETE, LIST, UPDATE, Cells, NightlyFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bulk.engine.stop import StopSignal
    from bulk.engine.sync.planning import SyncPlan
    from bulk.events import Listener
    from bulk.model import Summary
    from bulk.sandbox import Seen
    from bulk.sandbox.worlds.console import Console

EVERYTHING_GOES: dict[str, Any] = {"max_updates": Limit(1_000), "max_deletes": Limit(1_000)}
WRITES = {CREATE, UPDATE, DELETE}


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    # How long waits are is the policy's own test; here they would only take time.
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.004, cap_s=0.02))


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@dataclass
class Nights(NightlyFile):
    """A file, its ledger, and the platform."""

    box: Sandbox

    def without(self, *modules: tuple[str, str]) -> list[Cells]:
        return [row for row in self.rows if row[:2] not in modules]

    def settings(self, **changes: Any) -> Settings:
        told: dict[str, Any] = {"endpoint": self.box.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        return Settings(**(told | changes))

    def keys(self) -> StaticCredentials:
        keys = self.box.credentials
        return StaticCredentials(Credentials(keys.access_key_id, keys.access_key_secret))

    async def run(self, **changes: Any) -> Summary:
        return await run(str(self.file), self.settings(**changes), credentials=self.keys())

    async def sync(
        self,
        *,
        settings: dict[str, Any] | None = None,
        detailed: bool = False,
        stop: StopSignal | None = None,
        listener: Listener = ignore,
        **options: Any,
    ) -> Summary:
        return await sync(
            str(self.file),
            self.settings(**(settings or {})),
            SyncOptions(**options),
            detailed_exit_code=detailed,
            credentials=self.keys(),
            listener=listener,
            stop=stop,
        )

    async def plan(self, output: Path | None = None, **options: Any) -> SyncPlan:
        return await plan_sync(
            str(self.file), self.settings(), SyncOptions(**options), output=output, credentials=self.keys()
        )

    async def apply(self, plan: Path, **options: Any) -> Summary:
        return await apply(plan, self.settings(), credentials=self.keys(), **options)

    def modules(self, product_key: str) -> dict[str, tuple[str, str]]:
        return {
            module.module_name: (module.alias_name or "", module.desc or "")
            for module in self.box.modules(product_key)
            if module.module_name != RESERVED_MODULE_NAME
        }

    def sent(self, since: int = 0) -> Counter[str]:
        return Counter(seen.action for seen in list(self.box.seen)[since:])

    def written(self, since: int = 0) -> int:
        return sum(count for action, count in self.sent(since).items() if action in WRITES)

    def mark(self) -> int:
        return len(self.box.seen)

    def when(
        self, action: str, act: Callable[[Console], object], *, product_key: str | None = None, nth: int | None = None
    ) -> Counter[str]:
        """Let somebody else act once the platform has met an action, of any product or one: each time, or the nth.

        Returns:
            How often it has met the action.
        """
        met: Counter[str] = Counter()

        def look(seen: Seen, console: Console) -> None:
            if seen.action == action and product_key in (None, seen.product_key):
                met[action] += 1
                if nth in (None, met[action]):
                    act(console)

        self.box.let_in(look)
        return met

    def never_sent_blindly(self) -> None:
        in_doubt: set[tuple[str | None, str | None]] = set()
        for seen in self.box.seen:
            if seen.action == LIST:
                in_doubt = {key for key in in_doubt if key[0] != seen.product_key}
            elif seen.module_name:
                key = seen.product_key, seen.module_name
                assert key not in in_doubt, f"sent again, and nobody listed: {seen}"
                in_doubt.add(key)


ROWS: list[Cells] = [
    (f"a1Prod{number:05d}", f"m{index}", f"alias{index}", f"desc {number}")
    for number in range(3)
    for index in range(10 if number == 0 else 4)
]
"""The first product is full."""


@pytest.fixture
def config() -> dict[str, Any]:
    """Return what the platform is told besides."""
    return {}


@pytest.fixture
async def nights(tmp_path: Path, config: dict[str, Any]) -> AsyncIterator[Nights]:
    """Return a job whose first night has been."""
    async with Sandbox(SandboxConfig(qps=0, list_qps=0, starting_world=False, **config)) as box:
        job = Nights(tmp_path / "m.csv", box)
        job.write(ROWS)
        yield job


@pytest.fixture
async def synced(nights: Nights) -> Nights:
    """Return a job whose first night has been."""
    summary = await nights.sync()
    assert summary.exit_code == 0
    return nights


@pytest.fixture
def everything_goes() -> Callable[[], dict[str, Limit]]:
    """Return limits that nothing reaches."""
    return lambda: dict(EVERYTHING_GOES)
