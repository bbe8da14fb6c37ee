from __future__ import annotations

import asyncio
import logging
import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
import structlog

from bulk.cli.flags.common import ENVIRONMENT_HELP
from bulk.engine.ingest import ingest
from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.ledger.store import Ledger
from bulk.model import Action, Dialect, Target
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.model import Summary


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    for name in re.findall(r"(?:BULK|ALIBABA_CLOUD)_\w+", ENVIRONMENT_HELP):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def make_summary(make_summary: Callable[..., Summary]) -> Callable[..., Summary]:
    requests = {"list": 1, "create": 3}
    return partial(make_summary, ledger="in.csv.ledger.db", input="in.csv", outcomes={"created": 3}, requests=requests)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger of three rows, none of them sent: two are open, one is invalid; one run is over."""
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName,Owner\npk1,mod-1,=me\npk1,mod 2,you\npk2,mod-3,them\n", encoding="utf-8")
    path = tmp_path / "in.csv.ledger.db"
    opened = Ledger.open(path, targets={"": Target(Dialect.TUYA, "https://h")})
    try:
        opened.begin_run("r1", at=0.0, version="1", input_name="in.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0})
        asyncio.run(ingest(str(source), ReadSettings(), opened, stop=StopSignal(), listener=ignore))
        opened.end_run("r1", at=1.0, exit_code=130, stopped="interrupted by Ctrl-C", summary=None)
    finally:
        opened.close()
    return path
