from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.options import ENVIRONMENT_HELP
from bulk.engine.ingest import ingest
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Outcome, Summary, Target
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    for name in re.findall(r"(?:BULK|ALIBABA_CLOUD)_\w+", ENVIRONMENT_HELP):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_summary() -> Callable[..., Summary]:
    def make(*, outcomes: dict[str, int] | None = None, **fields: Any) -> Summary:
        counts = dict.fromkeys(map(str, Outcome), 0) | (outcomes or {"created": 3})
        usual: dict[str, Any] = {
            "run_id": "r1",
            "ledger": "in.csv.ledger.db",
            "input": "in.csv",
            "target": "https://h (tuya)",
            "rows": sum(counts.values()),
            "absent": 0,
            "requests": {"list": 1, "create": 3},
            "retries": 0,
            "throttled": 0,
            "recovered": 0,
            "elapsed_s": 1.0,
            "exit_code": 0,
        }
        return Summary(outcomes=counts, **(usual | fields))

    return make


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger of three rows, none of them sent: two are open, one is invalid; one run is over."""
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName,Owner\npk1,mod-1,=me\npk1,mod 2,you\npk2,mod-3,them\n", encoding="utf-8")
    path = tmp_path / "in.csv.ledger.db"
    opened = Ledger.open(path, target=Target(Dialect.TUYA, "https://h"))
    try:
        opened.begin_run("r1", at=0.0, version="1", source="in.csv", rates=(10.0, 10.0))
        asyncio.run(ingest(str(source), ReadSettings(), opened, stop=StopSignal(), listener=ignore))
        opened.end_run("r1", at=1.0, exit_code=130, stopped="interrupted by Ctrl-C", summary=None)
    finally:
        opened.close()
    return path
