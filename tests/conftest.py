"""What several folders share: the loop's watchdog, jobs to run, and the audit of what a run promised.

`pytest` plays each fault and each crash a few times; `pytest -m torture` plays them with many seeds, for minutes.
"""

from __future__ import annotations

import asyncio
import csv
import os
import random
import selectors
import signal
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict, deque
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Action, OtaModule
from tests.forked import ForkHost

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from pathlib import Path

    from bulk.sandbox import Sandbox, Seen

_SURELY_NOT_CARRIED_OUT = (
    "Throttling",
    "InvalidTimeStamp.Expired",
    "InvalidAccessKeyId",
    "InvalidSecurityToken",
    "SignatureDoesNotMatch",
)


# Examples are held to what they assert, not to how fast a busy machine makes and runs them.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    _receive_signals()
    if sys.dont_write_bytecode and "PYTHONPYCACHEPREFIX" not in os.environ:
        _compile_once_for_all_children(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Say how many processes `-n auto` is; `-n 0`, as for a debugger, is none.

    Many tests wait for children, timers and disks: cores have work for more processes than there are cores.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    if config.args and all("::" in argument for argument in config.args):
        return 0  # tests that are named one by one are sooner done than processes are started
    return min(_cores() + _cores() // 2, _MAX_WORKERS)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name packed bytes by their kind: they hold the time, and all workers must name a test alike."""
    return next((kind for magic, kind in _PACKED.items() if isinstance(val, bytes) and val.startswith(magic)), None)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _receive_signals() -> None:
    """Undo what `nohup`, and a shell's `&`, leave to their children: runs that ignore Ctrl-C or a hang-up never end."""
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


def _compile_once_for_all_children(config: pytest.Config) -> None:
    """Keep bytecode in a folder of this session, where the environment wants none beside the sources.

    Some thousand child processes would each compile all of `bulk`.
    """
    folder = tempfile.TemporaryDirectory(prefix="bulk-tests-bytecode-")
    config.add_cleanup(folder.cleanup)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = folder.name


_PACKED = MappingProxyType({b"\x1f\x8b": "gzip", b"PK": "zip"})
_MAX_WORKERS = 8
"""More than so many would wait for the slowest tests, and for each other at the disk."""


@dataclass(frozen=True)
class Job:
    """An input file, and the modules that it asks for."""

    path: Path
    wanted: list[OtaModule]

    @property
    def ledger(self) -> Path:
        return self.path.with_name(f"{self.path.name}.ledger.db")

    def write(self) -> None:
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ProductKey", "ModuleName", "AliasName", "Desc"])
            writer.writerows([m.product_key, m.module_name, m.alias_name, m.desc] for m in self.wanted)

    def provisionable(self) -> int:
        """Rows that find a slot on an empty platform."""
        products = Counter(module.product_key for module in self.wanted)
        return sum(min(MAX_CUSTOM_MODULES, rows) for rows in products.values())


@dataclass(frozen=True)
class Standing:
    """A row, as the ledger has it."""

    line: int
    module: OtaModule
    outcome: str
    code: str | None
    message: str | None
    recovered: bool


class Audit:
    """Compares what a ledger says with what the platform did, where nobody else wrote to it."""

    def __init__(self, ledger: Path, box: Sandbox) -> None:
        self.box = box
        with closing(sqlite3.connect(ledger)) as connection:
            records = connection.execute(
                'SELECT line, product_key, module_name, alias_name, "desc", outcome, code, message, recovered '
                "FROM standing ORDER BY line"
            ).fetchall()
        self.rows = [Standing(record[0], OtaModule(*record[1:5]), *record[5:]) for record in records]

    def outcomes(self) -> Counter[str]:
        return Counter(row.outcome for row in self.rows)

    def promises_hold(self) -> None:
        """Check what must be true after any run, finished or not, that left no request in flight."""
        self._created_rows_are_on_the_platform_with_their_content()
        self._nothing_was_carried_out_twice()
        self._nothing_was_asked_for_again_without_a_listing()
        self._nobody_went_past_ten()

    def job_is_done(self, job: Job) -> None:
        """Check also that every row has its outcome, and that the ledger knows of everything that was made."""
        self.promises_hold()
        assert self.outcomes() == Counter(
            created=job.provisionable(), over_budget=len(job.wanted) - job.provisionable()
        ) - Counter(over_budget=0)
        made = {(made.product_key, made.module_name) for made in self.box.carried_out}
        assert self._created() == made

    def recovered_is_where_a_listing_proved_it(self, *, replies_in_time: bool = True) -> None:
        """Check, where no run was killed, that exactly the creates whose reply was lost are marked as recovered.

        With a short timeout, a reply may come too late on a busy machine, which the platform can't know.
        """
        for row in self.rows:
            if row.outcome == "created":
                lost = self._reply_was_lost(row.module)
                assert row.recovered == lost or (row.recovered and not replies_in_time), row
            if row.recovered:
                assert self._was_listed_once_made(row.module), row

    def _created(self) -> set[tuple[str, str]]:
        return {(row.module.product_key, row.module.module_name) for row in self.rows if row.outcome == "created"}

    def _created_rows_are_on_the_platform_with_their_content(self) -> None:
        for row in self.rows:
            if row.outcome == "created":
                assert row.module in self.box.modules(row.module.product_key), row

    def _nothing_was_carried_out_twice(self) -> None:
        made = Counter((made.product_key, made.module_name.casefold()) for made in self.box.carried_out)
        assert not [key for key, times in made.items() if times > 1]

    def _nothing_was_asked_for_again_without_a_listing(self) -> None:
        in_doubt: dict[str, set[str]] = defaultdict(set)
        for seen in self.box.seen:
            if seen.action == Action.LIST:
                in_doubt[seen.product_key].clear()
            else:
                assert seen.module_name not in in_doubt[seen.product_key], f"sent again, and nobody listed: {seen}"
                if not seen.code.startswith(_SURELY_NOT_CARRIED_OUT):
                    in_doubt[seen.product_key].add(seen.module_name)

    def _nobody_went_past_ten(self) -> None:
        assert "iot.ota.CreateOTAModuleExceedLimit" not in self.box.codes
        for product_key in {row.module.product_key for row in self.rows}:
            custom = [m for m in self.box.modules(product_key) if m.module_name != RESERVED_MODULE_NAME]
            assert len(custom) <= MAX_CUSTOM_MODULES

    def _reply_was_lost(self, module: OtaModule) -> bool:
        sent = [seen for seen in self.box.seen if (seen.product_key, seen.module_name) == _name(module)]
        (carrier,) = [seen for seen in sent if _was_carried_out(seen)][:1]
        return carrier.fault not in ("", "slow-body-after")

    def _was_listed_once_made(self, module: OtaModule) -> bool:
        seen = iter(self.box.seen)
        made = any(_name(module) == (s.product_key, s.module_name) and _was_carried_out(s) for s in seen)
        return made and any(s.action == Action.LIST and s.product_key == module.product_key for s in seen)


def _name(module: OtaModule) -> tuple[str, str]:
    return module.product_key, module.module_name


def _was_carried_out(seen: Seen) -> bool:
    return seen.fault.endswith("-after") or (not seen.fault and not seen.code)


class Watched(deque["Seen"]):
    """A sandbox's log of requests that tells somebody of each, after it was carried out and before it is answered."""

    def __init__(self, before: Iterable[Seen], tell: Callable[[Seen], None]) -> None:
        super().__init__(before)
        self._tell = tell

    def append(self, seen: Seen, /) -> None:
        super().append(seen)
        self._tell(seen)


@pytest.fixture
def watch() -> Callable[[Sandbox, Callable[[Seen], None]], None]:
    """Return what tells of every request that a sandbox meets from now on."""

    def start(box: Sandbox, tell: Callable[[Seen], None]) -> None:
        box.seen = Watched(box.seen, tell)

    return start


@pytest.fixture
def audit() -> Callable[[Path, Sandbox], Audit]:
    return Audit


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """Return a maker of jobs: products of 1 to 12 rows, or as many as told, in shuffled order."""

    def make(*, products: int = 12, rows: int | None = None, seed: int = 0, name: str = "modules.csv") -> Job:
        dice = random.Random(seed)
        wanted = [
            OtaModule(f"a1Prod{number:05d}", f"module-{index}", f"模块{index}", f"Nr. {index} of {number}")
            for number in range(products)
            for index in range(rows or dice.randint(1, 12))
        ]
        dice.shuffle(wanted)
        job = Job(tmp_path / name, wanted)
        job.write()
        return job

    return make


@pytest.fixture(autouse=True)
def _no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find the keys of whoever runs it, nor ask for those of the machine, which would leave loopback."""
    for variable in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN", "CREDENTIALS_URI", "OIDC_TOKEN_FILE"):
        monkeypatch.delenv(f"ALIBABA_CLOUD_{variable}", raising=False)
    for variable in ("CLI_PROFILE_DISABLED", "ECS_METADATA_DISABLED"):
        monkeypatch.setenv(f"ALIBABA_CLOUD_{variable}", "true")
    monkeypatch.setenv("ALIBABA_CLOUD_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(scope="session")
def meeting_place(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("meeting-place"))


@pytest.fixture(autouse=True)
def _no_runs_of_this_machine(monkeypatch: pytest.MonkeyPatch, meeting_place: str) -> None:
    """Let no test share a rate with runs of whoever runs it, nor leave files where they meet."""
    monkeypatch.setattr("bulk.engine.sessions.shared_window._PLACES", (meeting_place,))


@pytest.fixture(scope="session")
def fork_host() -> Iterator[ForkHost]:
    host = ForkHost()
    yield host
    host.close()


@pytest.fixture
def no_blocking_calls() -> Iterator[None]:
    """Fail where `bulk` blocks the event loop.

    Excepted is the sandbox, which plays the platform and would run elsewhere.
    """
    with blockbuster_ctx("bulk", excluded_modules=["bulk.sandbox"]):
        yield


class _JumpingSelector(selectors.SelectSelector):
    """Waits in no time: when nothing is left to do, the loop's clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set"
        self.now += max(0.0, timeout)
        return super().select(0)


class _SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


@pytest.fixture(scope="session")
def simulate() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Return what runs a coroutine to its end on a loop of its own, without waiting."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=_SimulatedLoop) as runner:
            runner.run(main)

    return run
