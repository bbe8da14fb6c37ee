"""What `bulk fleet run` and `bulk fleet status` show, from the values alone."""

from __future__ import annotations

import io
from typing import Any

import pytest

from bulk.cli.screens.fleet import FleetScreen, fleet_line, summary_lines
from bulk.cli.screens.fleet_status import status_lines
from bulk.fleet.driver import FleetLook, FleetSummary
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import Manifest, Shard
from bulk.fleet.progress import GivenUp, Progress, Shards, ShardState
from bulk.fleet.standing import AccountStatus, FleetStatus, ShardStatus, Standing

STORE = "s3://bucket/job"


def manifest(*, shards: int = 3, rows: int = 90) -> Manifest:
    each = rows // shards if shards else 0
    return Manifest(
        split="cafe",
        input="modules.csv",
        shape="{}",
        rows=rows,
        terms=Terms(term_s=30.0, request_timeout_s=10.0, window_s=1.0),
        shards=tuple(
            Shard(number=number, accounts=(f"a{number}",), rows=each, sha256="", file=f"input/{number}")
            for number in range(shards)
        ),
    )


def progress(shard: int, state: ShardState, **given: Any) -> Progress:
    return Progress(shard=shard, fence=1, state=state, holder="host:1", started_at=0.0, at=1.0, **given)


def look(*progresses: Progress, failed: dict[int, GivenUp] | None = None, **given: Any) -> FleetLook:
    return FleetLook(
        manifest=given.pop("manifest", manifest()),
        shards=Shards(progress={one.shard: one for one in progresses}, failed=failed or {}),
        working=(0, 1),
        elapsed_s=61.0,
    )


def summary(**given: Any) -> FleetSummary:
    usual: dict[str, Any] = {
        "store": STORE,
        "input": "modules.csv",
        "rows": 90,
        "outcomes": {"created": 90},
        "shards": {"done": 3, "incomplete": 0, "failed": 0, "left": 0},
        "failed": {},
        "elapsed_s": 61.0,
        "exit_code": 0,
        "stopped": None,
    }
    return FleetSummary(**(usual | given))


def shard(number: int, standing: Standing, **given: Any) -> ShardStatus:
    usual: dict[str, Any] = {
        "accounts": 1,
        "rows": 30,
        "outcomes": {"pending": 30},
        "per_s": 0.0,
        "fence": 1,
        "holder": "host:1",
        "heard_s_ago": None,
        "why": None,
    }
    return ShardStatus(number=number, standing=standing, **(usual | given))


def status(*shards: ShardStatus, **given: Any) -> FleetStatus:
    usual: dict[str, Any] = {
        "store": STORE,
        "input": "modules.csv",
        "rows": 30 * len(shards),
        "outcomes": {"pending": 30 * len(shards)},
        "per_s": 0.0,
        "accounts": {
            f"a{one.number}": AccountStatus(shard=one.number, outcomes={}, rows=None, stopped=None) for one in shards
        },
        "shards": shards,
    }
    return FleetStatus(**(usual | given))


def test_the_line_counts_rows_shards_and_the_rate_of_those_at_work() -> None:
    ended = progress(0, ShardState.ENDED, rows=30, outcomes={"created": 28, "failed": 2}, per_s=9.0)
    working = progress(1, ShardState.WORKING, rows=30, outcomes={"created": 10}, per_s=8.5)

    line = fleet_line(look(ended, working))

    assert line.startswith("40 of 90 rows (44%); created 38, failed 2; 8.5 a second; 1 of 3 shards done, 2 at work")
    assert "given up" not in line


def test_the_line_names_shards_that_were_given_up_and_a_fleet_without_rows_is_done() -> None:
    gone = GivenUp(shard=2, fence=5, tries=5, why="no key", at=1.0)

    assert "1 shard given up" in fleet_line(look(failed={2: gone}))
    assert fleet_line(look(manifest=manifest(shards=0, rows=0))).startswith("0 of 0 rows (100%)")


def test_the_end_names_the_next_command() -> None:
    lines = list(summary_lines(summary(), "bulk fleet run X"))

    assert lines == [
        "90 rows in s3://bucket/job: created 90",
        "3 shards: 3 done; 1 min 1 s",
        "Next:  bulk fleet merge s3://bucket/job -o LEDGER",
    ]


def test_the_end_of_a_fleet_with_shards_given_up_names_some_and_the_command_that_goes_on() -> None:
    failed = {str(number): "no key" for number in range(12)}

    lines = list(summary_lines(summary(failed=failed, exit_code=3, stopped="out of reach"), "bulk fleet run X"))

    assert sum("was given up: no key" in line for line in lines) == 10
    assert "  and 2 shards more: see bulk fleet status" in lines
    assert "Stopped: out of reach" in lines
    assert lines[-1] == "To go on:  bulk fleet run X"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_the_screen_draws_one_line_on_a_terminal_and_few_elsewhere(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("bulk.cli.screens.fleet.sys.stderr", stderr)
    monkeypatch.setattr("bulk.cli.screens.fleet.wants_live", lambda _stream: is_terminal)

    with FleetScreen() as screen:
        screen.show(look())
        screen.show(look())

    said = stderr.getvalue()
    assert said.count("0 of 90") == (2 if is_terminal else 1)
    assert said.endswith("\r\x1b[K") is is_terminal
    assert said.startswith("\r\x1b[K" if is_terminal else "[1 min 1 s] ")


def test_a_screen_that_nobody_reads_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    stderr.close()
    monkeypatch.setattr("bulk.cli.screens.fleet.sys.stderr", stderr)
    monkeypatch.setattr("bulk.cli.screens.fleet.wants_live", lambda _stream: True)

    with FleetScreen() as screen:
        screen.show(look())


def test_a_fleet_at_work_is_left_alone() -> None:
    at_work = shard(0, Standing.WORKING, outcomes={"created": 10, "pending": 20}, per_s=9.5, heard_s_ago=2.0)
    accounts = {"a0": AccountStatus(shard=0, outcomes={"created": 10}, rows=30, stopped=None)}

    lines = status_lines(status(at_work, per_s=9.5, accounts=accounts))

    assert "Now: 9.5 rows a second" in lines
    assert "          0: 10 of 30 rows, 9.5/s, host:1, heard 2.0 s ago" in lines
    assert lines[-1] == "To do: nothing; work is under way. Look again later."
    assert max(map(len, lines)) <= 80


def test_shards_that_nobody_works_on_are_named_with_their_cause_and_a_command() -> None:
    left = [shard(number, Standing.GIVEN_UP, why="the key is not known " * 20) for number in range(6)]

    shown = "\n".join(status_lines(status(*left)))

    assert "and 2 more shards" in shown
    assert " …" in shown
    assert "To do: nobody works on 6 shards (0, 1, 2, 3, …)." in shown
    assert "Fix the cause that is named above, and let" in shown
    assert "  bulk fleet work s3://bucket/job --shard 0" in shown


def test_shards_that_were_never_begun_need_no_cause() -> None:
    waiting = shard(0, Standing.WAITING, holder=None)
    done = shard(1, Standing.DONE, outcomes={"created": 30})

    shown = "\n".join(status_lines(status(waiting, done)))

    assert "not started" in shown
    assert "  Let your engine continue, or work here:" in shown
    assert "Now: " not in shown


def test_a_fleet_that_is_done_is_to_be_merged() -> None:
    done = shard(0, Standing.DONE, outcomes={"created": 30})
    accounts = {"a0": AccountStatus(shard=0, outcomes={"created": 30}, rows=30, stopped=None)}

    lines = status_lines(status(done, accounts=accounts))

    assert lines[-1] == "  bulk fleet merge s3://bucket/job -o LEDGER"
