"""The platform in a box, asked without a socket: what it answers, remembers and lets go wrong."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.errors import SettingsError
from bulk.sandbox import Account, Box, SandboxConfig
from bulk.sandbox.faults import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk.sandbox.arrivals import Seen
    from bulk.sandbox.call import Call
    from bulk.sandbox.replies import Reply
    from bulk.sandbox.worlds.console import Console
    from tests.unit.sandbox.conftest import CallMaker, Keys

CREATE = {"Action": "CreateOTAModule", "ProductKey": "p", "ModuleName": "mcu"}


class Asked:
    """A box, and what asks it."""

    def __init__(self, make_call: CallMaker, **config: Any) -> None:
        self.make_call = make_call
        self.box = Box(SandboxConfig(**({"qps": 0, "list_qps": 0, "starting_world": False} | config)))
        self.box.open()

    def call(self, keys: Keys | None = None, **params: str) -> Call:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.box.now()))
        keys = keys or next(iter(self.box.accounts.values()))
        return self.make_call({"ProductKey": "p", "Timestamp": at} | params, keys=keys)

    def ask(self, keys: Keys | None = None, **params: str) -> Reply:
        return self.box.answer(self.box.visit(self.call(keys, **params)))


@pytest.fixture
def boxes() -> Iterator[list[Box]]:
    opened: list[Box] = []
    yield opened
    for box in opened:
        box.close()


@pytest.fixture
def asked(make_call: CallMaker, boxes: list[Box]) -> Any:
    def make(**config: Any) -> Asked:
        made = Asked(make_call, **config)
        boxes.append(made.box)
        return made

    return make


def test_change_is_made_told_and_remembered(asked: Any) -> None:
    platform = asked()

    reply = platform.ask(**CREATE)

    assert (reply.status, reply.code) == (200, "")
    assert [module.module_name for module in platform.box.modules("p")][-1] == "mcu"
    assert [(change.product_key, change.module_name) for change in platform.box.carried_out] == [("p", "mcu")]
    assert platform.box.requests == {"CreateOTAModule": 1}
    assert [(seen.action, seen.carried_out) for seen in platform.box.seen] == [("CreateOTAModule", True)]


def test_change_that_is_no_create_is_remembered_apart_from_those_that_made_a_module(asked: Any) -> None:
    platform = asked()
    platform.ask(**CREATE)
    platform.ask(**(CREATE | {"Action": "DeleteOTAModule"}))

    assert [change.action for change in platform.box.changes] == ["CreateOTAModule", "DeleteOTAModule"]
    assert len(platform.box.carried_out) == 1


@pytest.mark.parametrize(
    ("faults", "is_made"), [("create:http500-before=1x", False), ("create:http500-after=1x", True)]
)
def test_fault_is_told_alike_whether_the_change_was_made_or_not(asked: Any, faults: str, is_made: bool) -> None:
    platform = asked(faults=FaultPlan.parse(faults))

    reply = platform.ask(**CREATE)

    assert reply.status == 500
    assert bool(platform.box.carried_out) == is_made
    assert [seen.carried_out for seen in platform.box.seen] == [is_made]
    assert sum(platform.box.injected.values()) == 1


@pytest.mark.parametrize(("faults", "headers"), [("", {}), ("retry-after=300ms", {"x-acs-retry-after": "300"})])
def test_throttled_reply_asks_for_the_pause_of_the_plan(asked: Any, faults: str, headers: dict[str, str]) -> None:
    platform = asked(qps=1, faults=FaultPlan.parse(faults))
    platform.ask(**CREATE)

    reply = platform.ask(**(CREATE | {"ModuleName": "wifi"}))

    assert (reply.code, reply.headers) == ("Throttling.User", headers)


def test_request_to_another_path_is_counted_as_a_stray_and_changes_nothing(asked: Any) -> None:
    platform = asked()

    reply = platform.box.answer(platform.box.visit(replace(platform.call(**CREATE), path="/elsewhere")))

    assert (reply.status, platform.box.strays, platform.box.changes) == (404, 1, [])


def test_stranger_is_refused_and_calls_no_rival(asked: Any) -> None:
    platform = asked()
    rivals: list[str] = []
    platform.box.let_in(lambda seen, _console: rivals.append(seen.action))
    stranger = Account(name="stranger", access_key_id="who", access_key_secret="knows", uid="9")

    refused = platform.ask(stranger, **CREATE)
    platform.ask(**CREATE)

    assert refused.code == "InvalidAccessKeyId.NotFound"
    assert rivals == ["CreateOTAModule"]


def test_rival_changes_the_world_of_the_account_that_asked_after_its_request(asked: Any) -> None:
    accounts = tuple(
        Account(name=name, access_key_id=f"id-{name}", access_key_secret="s", uid=name, qps=0, list_qps=0)
        for name in ("cn", "eu")
    )
    platform = asked(accounts=accounts)

    def rival(seen: Seen, console: Console) -> None:
        console.create(seen.product_key, f"after-{seen.account}")

    platform.box.let_in(rival)

    reply = platform.ask(accounts[1])

    assert orjson.loads(reply.body)["code"] == ""
    assert "after-eu" not in reply.body.decode()
    assert [module.module_name for module in platform.box.modules("p", "eu")][-1] == "after-eu"
    assert "after-eu" not in [module.module_name for module in platform.box.modules("p", "cn")]


def test_account_has_its_own_faults_and_its_own_clock(asked: Any) -> None:
    late = FaultPlan.parse("clock-skew=+20m,http503=1x")
    accounts = tuple(
        Account(
            name=name, access_key_id=f"id-{name}", access_key_secret="s", uid=name, qps=0, list_qps=0, faults=faults
        )
        for name, faults in (("cn", None), ("eu", late))
    )
    platform = asked(accounts=accounts)

    codes = [[platform.ask(account).status for _ in range(2)] for account in accounts]

    assert codes[0] == [200, 200]
    assert codes[1] == [503, 400]
    assert platform.box.now(late) - platform.box.now() == pytest.approx(1200, abs=1)


def test_connection_is_refused_as_often_as_the_plan_says(asked: Any) -> None:
    platform = asked(faults=FaultPlan.parse("refuse=2x"))

    assert [platform.box.refuses() for _ in range(3)] == [True, True, False]
    assert platform.box.injected == {"refuse-before": 2}


def test_state_that_another_sandbox_writes_is_the_platforms_own_error_and_stays_as_it_is(
    asked: Any, tmp_path: Path
) -> None:
    first, second = (asked(state=tmp_path / "cloud.jsonl") for _ in range(2))
    first.ask(**CREATE)
    before = (tmp_path / "cloud.jsonl").read_bytes()

    reply = second.ask(**(CREATE | {"ModuleName": "wifi"}))

    assert (reply.status, reply.code) == (500, "InternalError")
    assert "another sandbox writes to it" in reply.body.decode()
    assert second.box.changes == []
    assert (tmp_path / "cloud.jsonl").read_bytes() == before


def test_arrivals_are_written_one_a_line(asked: Any, tmp_path: Path) -> None:
    platform = asked(arrivals=tmp_path / "arrivals.jsonl")
    platform.ask(**CREATE)
    platform.ask()

    lines = [orjson.loads(line) for line in (tmp_path / "arrivals.jsonl").read_bytes().splitlines()]
    assert [line["action"] for line in lines] == ["CreateOTAModule", "ListOTAModuleByProduct"]


def test_log_that_can_not_be_written_keeps_nobody_from_opening_the_state_again(asked: Any, tmp_path: Path) -> None:
    state = tmp_path / "cloud.jsonl"

    with pytest.raises(SettingsError):
        asked(state=state, arrivals=tmp_path / "no" / "arrivals.jsonl")

    assert asked(state=state).ask(**CREATE).status == 200
