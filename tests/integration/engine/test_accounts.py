"""Several accounts in one run, each on a platform of its own: what befalls one costs no other."""

from __future__ import annotations

import asyncio
import csv
import socket
import sqlite3
from collections import Counter
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.engine.plan import plan
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError
from bulk.events import (
    AccountStopped,
    AccountTakenOver,
    AttemptMade,
    Event,
    LaneOpened,
    RowSettled,
    RunStarted,
    RunStopping,
)
from bulk.ledger.views.status import read_status
from bulk.model import Dialect, OtaModule
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.settings import FailureCap, Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from bulk.model import Summary

PRODUCTS = 3
ROWS = 4
PER_ACCOUNT = PRODUCTS * ROWS


def secret_of(name: str) -> str:
    return f"secret-of-{name}-of-thirty-letters"


def key_of(name: str, *, secret: str | None = None) -> StaticCredentials:
    return StaticCredentials(Credentials(f"LTAI-{name}", secret or secret_of(name)))


@dataclass
class Accounts:
    """Accounts, each with a platform of its own, a key and an input that has rows for all of them."""

    path: Path
    boxes: dict[str, Sandbox]
    settings: dict[str, AccountSettings]
    keys: dict[str, StaticCredentials]

    def write(self, *, column: bool = True) -> None:
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ProductKey", "ModuleName", *(["Account"] if column else [])])
            for product in range(PRODUCTS):
                for name in self.settings:
                    for row in range(ROWS):
                        cells = [f"{name}-p{product}", f"m{row}", *([name] if column else [])]
                        writer.writerow(cells)

    @property
    def ledger(self) -> Path:
        return self.path.with_name(f"{self.path.name}.ledger.db")

    async def run(self, *, keys: Mapping[str, StaticCredentials] | None = None, **given: Any) -> Summary:
        listener = {"listener": given.pop("listener")} if "listener" in given else {}
        stop = {"stop": given.pop("stop")} if "stop" in given else {}
        settings = self.told(**given)
        return await run(str(self.path), settings, credentials=self.keys if keys is None else keys, **listener, **stop)

    def told(self, **given: Any) -> Settings:
        told: dict[str, Any] = {"accounts": self.settings, "qps": 0, "list_qps": 0, "dialect": Dialect.ALIBABA}
        return Settings(**(told | given))

    def change(self, name: str, **changes: Any) -> None:
        self.settings[name] = replace(self.settings[name], **changes)


@pytest.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Return what starts a platform for each account: names, and for some what goes wrong there."""
    async with AsyncExitStack() as stack:

        async def start(*names: str, column: bool = True, **faults: str) -> Accounts:
            boxes = {name: await stack.enter_async_context(box_of(name, faults.get(name, ""))) for name in names}
            settings = {name: AccountSettings(endpoint=box.endpoint) for name, box in boxes.items()}
            made = Accounts(tmp_path / "modules.csv", boxes, settings, {name: key_of(name) for name in names})
            made.write(column=column)
            return made

        yield start


def box_of(name: str, faults: str) -> Sandbox:
    return Sandbox(
        SandboxConfig(
            qps=0,
            list_qps=0,
            starting_world=False,
            faults=FaultPlan.parse(faults),
            access_key_id=f"LTAI-{name}",
            access_key_secret=secret_of(name),
        )
    )


@contextmanager
def port_where_nobody_listens() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@contextmanager
def port_that_never_connects() -> Iterator[int]:
    """Listen with a queue that is full: what comes waits for its connection until it gives up."""
    with socket.socket() as sock, AsyncSockets() as waiting:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        waiting.fill(sock.getsockname())
        yield sock.getsockname()[1]


class AsyncSockets:
    """Connections that nobody accepts."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            sock.close()

    def fill(self, address: tuple[str, int]) -> None:
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            self._sockets.append(sock)


def is_whole(account: Any) -> bool:
    return bool(account.exit_code == 0 and account.stopped is None and account.outcomes["created"] == PER_ACCOUNT)


def written_by_account(ledger: Path, table: str) -> Counter[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        return Counter(dict(connection.execute(f"SELECT account, count(*) FROM {table} GROUP BY account")))


async def test_each_account_gets_its_rows_and_no_other(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", "west")

    summary = await job.run()

    assert (summary.exit_code, summary.rows, summary.stopped) == (0, 3 * PER_ACCOUNT, None)
    assert list(summary.accounts) == ["north", "south", "west"]
    assert all(is_whole(account) for account in summary.accounts.values())
    for name, box in job.boxes.items():
        assert {made.product_key for made in box.carried_out} == {f"{name}-p{number}" for number in range(PRODUCTS)}
        assert len(box.carried_out) == PER_ACCOUNT
    assert summary.requests == {"list": 3 * PRODUCTS, "create": 3 * PER_ACCOUNT}
    assert written_by_account(job.ledger, "modules") == dict.fromkeys(job.boxes, PER_ACCOUNT)
    assert written_by_account(job.ledger, "attempts") == dict.fromkeys(job.boxes, PER_ACCOUNT + PRODUCTS)


async def test_a_second_run_asks_no_platform_again(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south")
    await job.run()
    seen = {name: len(box.seen) for name, box in job.boxes.items()}

    summary = await job.run()

    assert {name: len(box.seen) for name, box in job.boxes.items()} == seen
    assert (summary.exit_code, summary.requests) == (0, {"list": 0, "create": 0})
    assert all(is_whole(account) for account in summary.accounts.values())


async def test_five_accounts_in_trouble_cost_seven_others_nothing(
    accounts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.control.breaker._SILENCE_S", 0.3)
    well = [f"well{number}" for number in range(7)]
    job = await accounts(
        "wrong",
        well[0],
        "overdue",
        *well[1:3],
        "dead",
        well[3],
        "throttled",
        *well[4:6],
        "silent",
        well[6],
        overdue="code:iot.system.BillIsOverDue=100%",
        throttled="throttle=30%",
        silent="hang-before=100%",
    )
    keys = job.keys | {"wrong": key_of("wrong", secret="this-is-another-secret-altogether")}
    with port_where_nobody_listens() as port:
        job.change("dead", endpoint=f"http://127.0.0.1:{port}/")
        summary = await job.run(keys=keys, timeout_s=0.4, max_attempts=100)

    assert summary.exit_code == 3
    assert all(is_whole(summary.accounts[name]) for name in (*well, "throttled"))
    for name in ("wrong", "overdue", "dead", "silent"):
        account = summary.accounts[name]
        assert (account.exit_code, account.outcomes["created"]) == (3, 0), name
        assert account.outcomes["pending"] == PER_ACCOUNT, name
        assert account.stopped, name
        assert not job.boxes[name].carried_out
    assert "SignatureDoesNotMatch" in summary.accounts["wrong"].stopped
    assert "BillIsOverDue" in summary.accounts["overdue"].stopped
    assert "out of reach" in summary.accounts["dead"].stopped
    assert "out of reach" in summary.accounts["silent"].stopped
    assert summary.accounts["throttled"].throttled > 0
    assert summary.throttled == summary.accounts["throttled"].throttled
    assert summary.stopped
    assert summary.stopped.startswith("4 accounts stopped, the first: account wrong: SignatureDoesNotMatch")
    assert summary.outcomes["created"] == 8 * PER_ACCOUNT


async def test_accounts_that_had_trouble_are_finished_by_the_next_run(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", south="code:Forbidden.RAM=1x@4")
    first = await job.run()

    second = await job.run()

    assert (first.exit_code, first.accounts["north"].exit_code, first.accounts["south"].exit_code) == (3, 0, 3)
    assert second.exit_code == 0
    for box in job.boxes.values():
        made = Counter((made.product_key, made.module_name) for made in box.carried_out)
        assert len(made) == made.total() == PER_ACCOUNT


async def test_connections_that_hang_hold_up_no_other_account(
    accounts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.lanes.sending._GRACE_S", 0.1)
    job = await accounts("north", "dead")
    done = asyncio.Event()
    stop = StopSignal()

    def listen(event: Event) -> None:
        if isinstance(event, RowSettled) and event.settlement.account == "north":
            settled.append(event.settlement.line)
            if len(settled) == PER_ACCOUNT:
                done.set()
                stop.request("enough")

    settled: list[int | None] = []
    with port_that_never_connects() as port:
        job.change("dead", endpoint=f"http://127.0.0.1:{port}/")
        summary = await job.run(listener=listen, stop=stop, timeout_s=60)

    assert done.is_set()
    assert is_whole(summary.accounts["north"])
    assert summary.accounts["dead"].outcomes["pending"] == PER_ACCOUNT
    assert not job.boxes["dead"].seen


async def test_account_without_keys_stops_alone_and_the_only_one_is_refused(
    accounts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accounts("north", "south")
    job.change("south", key_env="SOUTH")
    for name in ("SOUTH_ACCESS_KEY_ID", "SOUTH_ACCESS_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)

    summary = await job.run(keys={"north": job.keys["north"]})

    assert is_whole(summary.accounts["north"])
    south = summary.accounts["south"]
    assert (south.exit_code, south.outcomes["pending"], south.requests) == (3, PER_ACCOUNT, {"list": 0, "create": 0})
    assert "SOUTH_ACCESS_KEY_ID" in south.stopped
    with pytest.raises(SettingsError, match="SOUTH_ACCESS_KEY_ID"):
        await job.run(keys={}, only_accounts=("south",))


async def test_two_accounts_that_are_one_are_refused_before_anything_is_sent(
    accounts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accounts("north", "south")
    for name in ("north", "south"):
        job.change(name, key_env=name.upper(), endpoint=job.boxes["north"].endpoint)
        monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_ID", "LTAI-north")
        monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_SECRET", secret_of("north"))

    with pytest.raises(SettingsError, match="'north' and 'south' are the same"):
        await job.run(keys={})

    assert not job.boxes["north"].seen


async def test_sample_product_is_listed_before_anything_is_written(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", south="list:code:iot.prod.NotExistedProduct=1x")
    for name in ("north", "south"):
        job.change(name, sample_product="sample")

    summary = await job.run()

    assert is_whole(summary.accounts["north"])
    assert job.boxes["north"].seen[0].product_key == "sample"
    assert [seen.product_key for seen in job.boxes["south"].seen] == ["sample"]
    assert summary.accounts["south"].exit_code == 3
    assert "sample_product sample could not be listed" in summary.accounts["south"].stopped


async def test_max_failures_stops_its_account_and_the_deadline_all(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", south="create:code:iot.ota.CreateOTAModuleParamError=100%")

    summary = await job.run(max_failures=FailureCap(rows=1), concurrency=1)

    assert is_whole(summary.accounts["north"])
    assert "--max-failures" in summary.accounts["south"].stopped
    assert summary.accounts["south"].outcomes["pending"] > 0


async def test_deadline_stops_every_account(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", north="latency=200ms", south="latency=200ms")
    told: list[Event] = []

    summary = await job.run(deadline_s=0.3, concurrency=1, listener=told.append)

    assert [account.exit_code for account in summary.accounts.values()] == [3, 3]
    assert all("deadline" in account.stopped for account in summary.accounts.values())
    assert "deadline" in (summary.stopped or "")
    assert sum(isinstance(event, RunStopping) for event in told) == 1
    assert not [event for event in told if isinstance(event, AccountStopped)]


async def test_account_leaves_the_rows_of_others_outside(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", "west")
    told: list[Event] = []

    summary = await job.run(only_accounts=("south",), listener=told.append)

    assert is_whole(summary.accounts["south"])
    assert [summary.accounts[name].outcomes["pending"] for name in ("north", "west")] == [PER_ACCOUNT, PER_ACCOUNT]
    assert not job.boxes["north"].seen
    assert summary.exit_code == 1
    assert [summary.accounts[name].exit_code for name in ("north", "south", "west")] == [None, 0, None]
    assert summary.accounts["north"].requests == {"list": 0, "create": 0}
    (started,) = [event for event in told if isinstance(event, RunStarted)]
    assert (started.outside, list(started.accounts)) == (2 * PER_ACCOUNT, ["south"])
    assert started.accounts["south"].rows == PER_ACCOUNT


async def test_limit_takes_the_first_products_of_the_whole_input(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south")

    summary = await job.run(limit=3)

    asked = {name: {seen.product_key for seen in box.seen} for name, box in job.boxes.items()}
    assert asked == {"north": {"north-p0", "north-p1"}, "south": {"south-p0"}}
    assert summary.outcomes["created"] == 3 * ROWS


async def test_each_account_says_how_many_rows_are_left_for_another_run(accounts: Callable[..., Any]) -> None:
    three = await accounts("cn", "eu", "us")
    seen: list[Event] = []

    await three.run(limit=4, listener=seen.append)

    (started,) = [event for event in seen if isinstance(event, RunStarted)]
    outside = {name: account.outside for name, account in started.accounts.items()}
    assert outside == {"cn": ROWS, "eu": 2 * ROWS, "us": 2 * ROWS}
    assert sum(outside.values()) == started.outside


async def test_status_says_how_the_last_run_left_each_account(accounts: Callable[..., Any]) -> None:
    three = await accounts("cn", "eu", "us")

    await three.run(keys=three.keys | {"eu": key_of("eu", secret="another-secret-of-thirty-letters")})

    status = await asyncio.to_thread(read_status, three.ledger)
    assert {name: (one.rows, one.exit_code) for name, one in status.accounts.items()} == {
        "cn": (PER_ACCOUNT, 0),
        "eu": (PER_ACCOUNT, 3),
        "us": (PER_ACCOUNT, 0),
    }
    why = status.reason_of(status.accounts["eu"])
    assert why is not None
    assert why.startswith("SignatureDoesNotMatch")
    assert status.reason_of(status.accounts["cn"]) is None
    assert status.spoken_target == "3 targets"


async def test_only_is_a_pattern_for_the_products_of_all_accounts(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south")

    await job.run(only=("*-p1",))

    asked = {name: {seen.product_key for seen in box.seen} for name, box in job.boxes.items()}
    assert asked == {"north": {"north-p1"}, "south": {"south-p1"}}


async def test_every_event_of_an_account_names_it(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", south="code:Forbidden.RAM=1x@6")
    told: list[Event] = []

    await job.run(listener=told.append)

    settled = Counter(event.settlement.account for event in told if isinstance(event, RowSettled))
    attempts = Counter(event.attempt.account for event in told if isinstance(event, AttemptMade))
    lanes = {event.account for event in told if isinstance(event, LaneOpened)}
    assert settled["north"] == PER_ACCOUNT
    assert set(settled) == set(attempts) == lanes == {"north", "south"}
    (stopped,) = [event for event in told if isinstance(event, AccountStopped)]
    assert (stopped.account, "Forbidden.RAM" in stopped.reason) == ("south", True)
    assert not [event for event in told if isinstance(event, RunStopping)]


async def test_accounts_of_one_group_share_a_pace_and_a_stopped_one_gives_its_turns_up(
    accounts: Callable[..., Any],
) -> None:
    job = await accounts("north", "south", "west", west="code:Forbidden.RAM=100%")
    for name in job.settings:
        job.change(name, rate_group="one", qps=8.0, list_qps=8.0)

    summary = await job.run()

    assert (summary.accounts["north"].exit_code, summary.accounts["west"].exit_code) == (0, 3)
    sent = sorted(seen.at for box in job.boxes.values() for seen in box.seen if seen.action == "CreateOTAModule")
    assert len(sent) == 2 * PER_ACCOUNT
    # Each on its own would have taken 1.4 s; what was late may be made good, but no second has more than eight.
    assert sent[-1] - sent[0] >= (len(sent) - 8) / 8 * 0.9


async def test_one_row_names_an_account_that_is_not_there(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south")
    with job.path.open("a", encoding="utf-8") as file:
        file.write("north-p9,m,nroth\n")

    summary = await job.run()

    assert summary.exit_code == 1
    assert summary.outcomes["invalid"] == 1
    assert sum(account.outcomes["invalid"] for account in summary.accounts.values()) == 0
    assert summary.rows == sum(sum(account.outcomes.values()) for account in summary.accounts.values()) + 1


async def test_input_without_the_column_is_for_the_one_account(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", column=False)

    summary = await job.run(only_accounts=("north",))

    assert summary.exit_code == 0
    assert len(job.boxes["north"].carried_out) == 2 * PER_ACCOUNT


async def test_records_of_a_run_without_accounts_are_the_new_name_s(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", column=False)
    told = Settings(endpoint=job.settings["north"].endpoint, dialect=Dialect.ALIBABA, qps=0, list_qps=0)
    await run(str(job.path), told, credentials=job.keys["north"])
    heard: list[Event] = []

    summary = await job.run(only_accounts=("north",), listener=heard.append)

    assert [event for event in heard if isinstance(event, AccountTakenOver)] == [
        AccountTakenOver(account="north", before="", keys=PER_ACCOUNT)
    ]
    assert is_whole(summary.accounts["north"])
    assert summary.requests == {"list": 0, "create": 0}


async def test_plan_asks_each_account_and_changes_nothing(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south", "west", west="code:Forbidden.RAM=100%")
    full = [OtaModule("south-p0", f"other{number}") for number in range(8)]
    await occupy(job, "south", full)

    made = await plan(str(job.path), job.told(), credentials=job.keys)

    assert made.exit_code == 3
    assert made.stopped is not None
    assert "account west" in made.stopped
    north, south, west = (made.accounts[name] for name in ("north", "south", "west"))
    assert (north.outcomes["created"], north.requests) == (PER_ACCOUNT, {"list": PRODUCTS, "create": PER_ACCOUNT})
    assert (south.outcomes["created"], south.outcomes["over_budget"]) == (PER_ACCOUNT - 2, 2)
    assert (west.outcomes["pending"], bool(west.stopped)) == (PER_ACCOUNT, True)
    assert made.outcomes["created"] == north.outcomes["created"] + south.outcomes["created"]
    assert made.rows == 3 * PER_ACCOUNT == sum(made.outcomes.values())
    (product,) = made.full_products
    assert (product.account, product.product_key) == ("south", "south-p0")
    assert {row.account for row in made.examples} <= {"north", "south"}
    assert [len(box.carried_out) for box in job.boxes.values()] == [0, 8, 0]
    assert not job.ledger.exists()


async def test_plan_by_the_files_alone_needs_no_key_of_any_account(accounts: Callable[..., Any]) -> None:
    job = await accounts("north", "south")

    made = await plan(str(job.path), job.told(qps=10.0, list_qps=10.0), offline=True)

    assert made.requests == {"list": 2 * PRODUCTS, "create": 2 * PER_ACCOUNT}
    assert made.seconds == pytest.approx(PER_ACCOUNT / 10)
    assert [account.outcomes["created"] for account in made.accounts.values()] == [PER_ACCOUNT, PER_ACCOUNT]


async def occupy(job: Any, name: str, modules: Iterable[OtaModule]) -> None:
    """Make modules on an account's platform that its rows don't ask for."""
    path = job.path.with_name("others.csv")
    lines = [f"{module.product_key},{module.module_name}" for module in modules]
    path.write_text("\n".join(["ProductKey,ModuleName", *lines, ""]))
    endpoint = job.settings[name].endpoint
    told = Settings(endpoint=endpoint, dialect=Dialect.ALIBABA, qps=0, list_qps=0)
    await run(str(path), told, credentials=job.keys[name])
