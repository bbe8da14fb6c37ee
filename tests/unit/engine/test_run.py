"""A run from its input to its summary: what it tells, what the ledger remembers of it, and how it ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.conclude import summary_json
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, LedgerError
from bulk.events import AccountStopped, AccountTakenOver, Event, RunEnded, RunStarted, RunStopping
from bulk.sandbox import FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import Summary

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
OWNED = "Account,ProductKey,ModuleName\n"
OVERDUE = "code:iot.system.BillIsOverDue-before=100%"


def outcomes(summary: Summary) -> dict[str, int]:
    return {outcome: count for outcome, count in summary.outcomes.items() if count}


def ends(ledger: Path) -> list[tuple[int | None, str | None]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("SELECT exit_code, stopped FROM runs ORDER BY rowid").fetchall()


async def test_run_creates_what_is_missing_and_tells_its_beginning_and_its_end(
    write: Write, make_box: Make, tmp_path: Path
) -> None:
    box, events = make_box(), list[Event]()
    box.fill([("a1A", "there", "x")])
    source = write("m.csv", f"{HEADER}a1A,there,x,\na1A,new,,\na1B,new,,\na1 bad,m,,\n")

    summary = await run(source, box.settings(), credentials=box.keys(), listener=events.append)

    assert outcomes(summary) == {"created": 2, "exists": 1, "invalid": 1}
    assert (summary.exit_code, summary.stopped, summary.accounts) == (1, None, {})
    assert [reason.rows for reason in summary.reasons] == [1]
    (started,) = [event for event in events if isinstance(event, RunStarted)]
    assert (started.rows, started.outside, started.accounts, started.syncs) == (4, 0, {}, False)
    assert events[-1] == RunEnded(summary)
    assert {"accounts", "changes", "withheld", "surplus", "plan"}.isdisjoint(orjson.loads(summary_json(summary)))
    assert ends(tmp_path / "m.csv.ledger.db") == [(1, None)]
    assert box.actions() == {"ListOTAModuleByProduct": 2, "CreateOTAModule": 2}


async def test_run_that_finds_everything_done_sends_nothing(write: Write, make_box: Make) -> None:
    box, source = make_box(), write("m.csv", f"{HEADER}a1A,m,,\n")
    await run(source, box.settings(), credentials=box.keys())
    before = len(box.seen)

    again = await run(source, box.settings(), credentials=box.keys())

    assert (outcomes(again), again.exit_code) == ({"created": 1}, 0)
    assert again.reasons == ()
    assert len(box.seen) == before


async def test_run_of_accounts_tells_which_of_them_have_rows_and_which_rows_it_leaves(
    write: Write, make_box: Make, make_job: Make
) -> None:
    settings, keys = make_job({"cn": make_box(), "eu": make_box(), "us": make_box()}, only=("a1A",))
    source = write("m.csv", f"{OWNED}cn,a1A,m\ncn,a1B,m\neu,a1B,m\n")
    events: list[Event] = []

    summary = await run(source, settings, credentials=keys, listener=events.append)

    (started,) = [event for event in events if isinstance(event, RunStarted)]
    assert {name: (one.rows, one.outside) for name, one in started.accounts.items()} == {"cn": (2, 1), "eu": (1, 1)}
    assert started.outside == 2
    assert {*orjson.loads(summary_json(summary))["accounts"]} == {"cn", "eu", "us"}
    assert {name: one.exit_code for name, one in summary.accounts.items()} == {"cn": 1, "eu": 1, "us": 0}
    assert (summary.exit_code, outcomes(summary)) == (1, {"created": 1, "pending": 2})


@pytest.mark.parametrize(("broken", "said"), [(1, "account a0: "), (2, "2 accounts, the first: account a0: ")])
async def test_account_that_must_stop_stops_alone_and_the_summary_names_it(
    write: Write, make_box: Make, make_job: Make, tmp_path: Path, broken: int, said: str
) -> None:
    boxes = {f"a{number}": make_box(faults=FaultPlan.parse(OVERDUE)) for number in range(broken)}
    well = make_box()
    settings, keys = make_job({**boxes, "well": well})
    rows = "".join(f"{name},a1A,m\n" for name in (*boxes, "well"))
    events: list[Event] = []

    summary = await run(write("m.csv", OWNED + rows), settings, credentials=keys, listener=events.append)

    assert well.texts("a1A") == {"m": ("", "")}
    assert sorted(event.account for event in events if isinstance(event, AccountStopped)) == list(boxes)
    assert (summary.exit_code, outcomes(summary)) == (3, {"created": 1, "pending": broken})
    assert summary.stopped is not None
    assert summary.stopped.startswith(f"{said}iot.system.BillIsOverDue")
    assert summary.accounts["well"].stopped is None
    assert ends(tmp_path / "m.csv.ledger.db") == [(3, summary.stopped)]


async def test_stop_of_the_whole_run_is_told_once_and_is_the_runs_reason(
    write: Write, make_box: Make, make_job: Make
) -> None:
    box, stop = make_box(), StopSignal()
    box.let_in(lambda *_: stop.request("Ctrl-C", exit_code=130))
    settings, keys = make_job({"cn": box, "eu": make_box()}, concurrency=1)
    events: list[Event] = []

    summary = await run(
        write("m.csv", f"{OWNED}cn,a1A,m\ncn,a1B,m\n"), settings, credentials=keys, listener=events.append, stop=stop
    )

    assert [event for event in events if isinstance(event, RunStopping)] == [RunStopping("Ctrl-C")]
    assert not any(isinstance(event, AccountStopped) for event in events)
    assert (summary.exit_code, summary.stopped) == (130, "Ctrl-C")
    assert sum(box.actions().values()) == 1


async def test_stop_after_the_last_row_changes_nothing(write: Write, make_box: Make) -> None:
    box, stop = make_box(), StopSignal()
    box.let_in(lambda seen, _: stop.request("too late") if seen.action == "CreateOTAModule" else None)

    summary = await run(write("m.csv", f"{HEADER}a1A,m,,\n"), box.settings(), credentials=box.keys(), stop=stop)

    assert (summary.exit_code, summary.stopped, outcomes(summary)) == (0, None, {"created": 1})


async def test_input_that_was_not_read_is_no_reason_to_call_the_run_done(write: Write, make_box: Make) -> None:
    box, stop, source = make_box(), StopSignal(), write("m.csv", f"{HEADER}a1A,m,,\n")
    await run(source, box.settings(), credentials=box.keys())
    write("m.csv", f"{HEADER}a1A,m,,\na1A,n,,\n")

    stop.request("Ctrl-C", exit_code=130)
    summary = await run(source, box.settings(), credentials=box.keys(), stop=stop)

    assert (summary.exit_code, summary.stopped) == (130, "Ctrl-C")
    assert outcomes(summary) == {"created": 1}


async def test_records_that_had_no_account_are_taken_over_by_the_one_with_that_platform(
    write: Write, make_box: Make, make_job: Make
) -> None:
    box = make_box()
    await run(write("m.csv", f"{HEADER}a1A,m,,\n"), box.settings(), credentials=box.keys())
    settings, keys = make_job({"cn": box})
    events: list[Event] = []

    summary = await run(write("m.csv", f"{OWNED}cn,a1A,m\n"), settings, credentials=keys, listener=events.append)

    assert [event for event in events if isinstance(event, AccountTakenOver)] == [
        AccountTakenOver(account="cn", before="", keys=1)
    ]
    assert (summary.exit_code, outcomes(summary)) == (0, {"created": 1})
    assert box.actions()["CreateOTAModule"] == 1


async def test_input_that_can_not_be_read_is_the_recorded_end(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()

    with pytest.raises(InputError):
        await run(write("m.csv", "Nothing,Known\n1,2\n"), box.settings(), credentials=box.keys())

    ((exit_code, stopped),) = ends(tmp_path / "m.csv.ledger.db")
    assert (exit_code, stopped is not None and "m.csv" in stopped) == (2, True)


async def test_message_of_a_foreign_error_is_not_recorded(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()

    def break_down(event: Event) -> None:
        match event:
            case RunStarted():
                raise RuntimeError("https://h/?Signature=secret")
            case _:
                pass

    with pytest.raises(RuntimeError, match="secret"):
        await run(write("m.csv", f"{HEADER}a1A,m,,\n"), box.settings(), credentials=box.keys(), listener=break_down)

    assert ends(tmp_path / "m.csv.ledger.db") == [(3, "RuntimeError")]


async def test_ledger_that_disappears_ends_the_run(write: Write, make_box: Make, tmp_path: Path) -> None:
    box, ledger = make_box(), tmp_path / "m.csv.ledger.db"
    box.let_in(lambda *_: ledger.unlink(missing_ok=True))

    with pytest.raises(LedgerError):
        await run(write("m.csv", f"{HEADER}a1A,m,,\n"), box.settings(), credentials=box.keys())

    assert not ledger.exists()


async def test_sample_product_that_can_not_be_listed_stops_before_anything_is_written(
    write: Write, make_box: Make
) -> None:
    box = make_box(products=frozenset({"a1A"}))
    source = write("m.csv", f"{HEADER}a1A,m,,\n")

    refused = await run(source, box.settings(sample_product="a1Gone"), credentials=box.keys())
    assert box.actions() == {"ListOTAModuleByProduct": 1}
    done = await run(source, box.settings(sample_product="a1A"), credentials=box.keys())

    assert refused.stopped is not None
    assert refused.stopped.startswith("sample_product a1Gone could not be listed, so nothing was written: iot.prod.")
    assert (refused.exit_code, outcomes(refused)) == (3, {"pending": 1})
    assert (done.exit_code, outcomes(done)) == (0, {"created": 1})


async def test_accounts_of_one_key_need_one_rate(write: Write, make_box: Make, make_job: Make) -> None:
    cn, eu = make_box(), make_box()
    settings, keys = make_job({"cn": cn, "eu": eu})
    accounts = {**settings.accounts, "eu": replace(settings.accounts["eu"], list_qps=5)}
    keys["eu"] = keys["cn"]

    summary = await run(
        write("m.csv", f"{OWNED}cn,a1A,m\neu,a1A,m\n"), replace(settings, accounts=accounts), credentials=keys
    )

    stopped = {name: one.stopped for name, one in summary.accounts.items() if one.stopped}
    assert list(stopped.values()) == [
        "another account has the same key or rate group, and other rates: give both the same"
    ]
    assert outcomes(summary) == {"created": 1, "pending": 1}
