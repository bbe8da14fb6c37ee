"""A fleet as its commands see it: settings in a file, keys in the environment; store and platforms in this process."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.commands.fleet.work import work_by_text
from bulk.fleet import worker
from bulk.fleet.engines import Try
from bulk.fleet.segments import ShippingWriter
from tests.unit.fleet.conftest import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROWS = 6
"""Of each account."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """Return the store that any URL opens."""
    store = MemoryStore()
    for place in ("bulk.fleet.store_url", "bulk.fleet.worker"):
        monkeypatch.setattr(f"{place}.open_store", lambda _url, **_: store)
    return store


@pytest.fixture
def boxes(
    tmp_path: Path, make_box: Callable[..., Any], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Return the platforms of two accounts; `bulk.toml` names them, and `in.csv` has rows of both."""
    assert store.objects == {}
    boxes = {name: make_box() for name in ("eu", "us")}
    tables, lines = [], []
    for name, box in boxes.items():
        keys = box.credentials_of("")
        monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_ID", keys.access_key_id)
        monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_SECRET", keys.access_key_secret)
        tables.append(
            f'[accounts.{name}]\nendpoint = "{box.endpoint}"\ndialect = "alibaba"\nkey_env = "{name.upper()}"\n'
            f'rate_group = "{name}"\nqps = 0\nlist_qps = 0\n'
        )
        box.fill([(f"{name}1",)])
        lines += [f"{name},{name}1,m{number}" for number in range(ROWS)]
    (tmp_path / "bulk.toml").write_text("\n".join(tables))
    (tmp_path / "in.csv").write_text("\n".join(["Account,ProductKey,ModuleName", *lines, ""]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(worker, "ShippingWriter", partial(ShippingWriter, every_s=0.001))
    return boxes


class Threads:
    """An engine like `LocalEngine`, whose workers are threads of this process."""

    def __init__(self, words: Sequence[str], *, processes: int, logs: Path) -> None:
        self._words = words
        self._free = processes
        self.logs = logs
        self.ended_by: str | None = None
        self.is_closed = False

    async def slots(self) -> int:
        return self._free

    async def work(self, shard: int, *, attempt: str) -> Try:
        assert attempt
        self._free -= 1
        task = json.dumps({"words": [*self._words, "--shard", str(shard)], "ended_by": self.ended_by})
        said = json.loads(await asyncio.to_thread(work_by_text, task))
        self._free += 1
        return Try(exit_code=said["exit_code"], why=said["stopped"] or "")

    async def ask_to_end(self) -> None: ...

    async def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Threads]:
    """Return the engines that `local:N` makes."""
    made: list[Threads] = []

    def make(*args: Any, **options: Any) -> Threads:
        made.append(Threads(*args, **options))
        return made[-1]

    monkeypatch.setattr("bulk.fleet.engines.local.LocalEngine", make)
    return made
