"""Rows against a new listing, and file against file: what is compared, what is unknown, and what is refused."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking.check import check
from bulk.engine.looking.comparison import Verdict
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, SettingsError, StoppedError
from bulk.events import Event, LookStarted
from bulk.sandbox import FaultPlan
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
OWNED = "Account,ProductKey,ModuleName\n"


def counts(done: Any) -> dict[str, int]:
    return {str(verdict): count for verdict, count in done.counts.items() if count}


def findings(path: Path) -> list[tuple[str, int | None, str]]:
    read = map(orjson.loads, path.read_bytes().splitlines())
    return [(each["verdict"], each["line"], each["module_name"]) for each in read]


async def test_rows_are_compared_with_a_new_listing_and_only_read(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()
    box.fill([("a1A", "same", "x", "d"), ("a1A", "text", "x"), ("a1A", "more"), ("a1B", "not asked for")])
    source = write("a.csv", f"{HEADER}a1A,same,x,d\na1A,text,y,\na1A,gone,,\na1A,b d,,\n")
    events: list[Event] = []

    done = await check(
        source,
        box.settings(),
        surplus=True,
        output=tmp_path / "f.jsonl",
        credentials=box.keys(),
        listener=events.append,
    )

    assert (done.rows, done.equal, done.products, done.exit_code) == (4, 1, 1, 1)
    assert done.other == f"{box.endpoint} (alibaba)"
    assert findings(tmp_path / "f.jsonl") == [
        ("different", 3, "text"),
        ("missing", 4, "gone"),
        ("unread", 5, "b d"),
        ("surplus", None, "more"),
    ]
    assert box.actions() == {"ListOTAModuleByProduct": 1}
    assert [event for event in events if isinstance(event, LookStarted)] == [LookStarted("Checking", 1)]


async def test_all_equal_is_0_and_others_modules_count_only_if_asked_for(write: Write, make_box: Make) -> None:
    box = make_box()
    box.fill([("a1A", "m"), ("a1A", "more")])
    source = write("a.csv", f"{HEADER}a1A,m,,\n")

    plain = await check(source, box.settings(), credentials=box.keys())
    strict = await check(source, box.settings(), surplus=True, credentials=box.keys())

    assert [(done.exit_code, counts(done), done.equal) for done in (plain, strict)] == [
        (0, {}, 1),
        (1, {"surplus": 1}, 1),
    ]


async def test_product_that_can_not_be_listed_is_unread_with_the_platforms_words(write: Write, make_box: Make) -> None:
    box = make_box(products=frozenset({"a1A"}))
    box.fill([("a1A", "m")])
    source = write("a.csv", f"{HEADER}a1A,m,,\na1Nowhere,m,,\n")

    done = await check(source, box.settings(), surplus=True, credentials=box.keys())

    assert counts(done) == {"unread": 1}
    assert done.examples[0].reason.startswith("its product could not be listed: iot.prod.")


@pytest.mark.parametrize("only_accounts", [(), ("cn", "eu")])
async def test_file_that_names_no_accounts_is_refused_unless_one_account_is_chosen(
    write: Write, make_box: Make, make_job: Make, only_accounts: tuple[str, ...]
) -> None:
    names = only_accounts or ("cn",)
    boxes = {name: make_box() for name in names}
    settings, keys = make_job(boxes, only_accounts=only_accounts)

    with pytest.raises(InputError, match="no column for Account"):
        await check(write("a.csv", f"{HEADER}a1A,m,,\n"), settings, credentials=keys)

    assert not any(box.seen for box in boxes.values())


async def test_once_an_account_is_stopped_its_products_are_unread_with_that_reason(
    write: Write, make_box: Make, make_job: Make
) -> None:
    broken, well = make_box(faults=FaultPlan.parse("code:iot.system.BillIsOverDue-before=100%")), make_box()
    well.fill([("a1A", "m")])
    settings, keys = make_job({"cn": broken, "eu": well}, concurrency=1)
    rows = "".join(f"cn,a1{number:04},m\n" for number in range(3))
    source = write("a.csv", f"{OWNED}{rows}eu,a1A,m\n")

    done = await check(source, settings, credentials=keys)

    assert (counts(done), done.equal) == ({"unread": 3}, 1)
    assert all("BillIsOverDue" in finding.reason for finding in done.examples)
    assert sum(broken.actions().values()) == 1


async def test_account_without_rows_is_not_opened(write: Write, make_box: Make, make_job: Make) -> None:
    cn, eu = make_box(), make_box()
    cn.fill([("a1A", "m")])
    settings, keys = make_job({"cn": cn, "eu": eu})

    done = await check(write("a.csv", f"{OWNED}cn,a1A,m\n,a1A,n\n"), settings, credentials=keys)
    nothing = await check(write("b.csv", f"{OWNED}us,a1A,m\n"), settings, credentials=keys)

    assert (counts(done), counts(nothing)) == ({"unread": 1}, {"unread": 1})
    assert (sum(cn.actions().values()), len(eu.seen)) == (1, 0)
    assert done.other == f"{cn.endpoint} (alibaba), {eu.endpoint} (alibaba)"


async def test_chosen_account_owns_rows_that_name_none_and_the_others_are_left_out(
    write: Write, make_box: Make, make_job: Make
) -> None:
    cn, eu = make_box(), make_box()
    eu.fill([("a1A", "m")])
    settings, keys = make_job({"cn": cn, "eu": eu}, only_accounts=("eu",))

    named = await check(
        write("a.csv", f"{OWNED}eu,a1A,m\ncn,a1B,m\ncn,a1B,b d\neu,a1A,b d\n"), settings, credentials=keys
    )
    unnamed = await check(write("b.csv", f"{HEADER}a1A,m,,\na1A,b d,,\n"), settings, credentials=keys)

    assert (named.rows, counts(named)) == (2, {"unread": 1})
    assert [(finding.line, finding.account) for finding in named.examples] == [(5, "eu")]
    assert (unnamed.rows, counts(unnamed)) == (2, {"unread": 1})
    assert len(cn.seen) == 0


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"only": ("a1B*",)}, {"missing": 2, "unread": 2, "surplus": 1}),
        ({"limit": 1}, {"missing": 2, "unread": 2, "surplus": 1}),
        ({}, {"missing": 3, "unread": 3, "surplus": 2}),
    ],
)
async def test_products_outside_the_scope_are_not_compared_and_not_asked_for(
    write: Write, make_box: Make, narrowed: dict[str, Any], found: dict[str, int]
) -> None:
    box = make_box()
    box.fill([("a1B", "more"), ("a1A", "more")])
    # A row that names no product may be of any.
    source = write("a.csv", f"{HEADER}a1B,m,,\na1A,m,,\na1A,b d,,\na1B,b d,,\na1B,n,,\n,n,,\n")
    other = write("b.csv", f"{HEADER}a1B,more,,\na1A,more,,\n")

    done = await check(source, box.settings(**narrowed), surplus=True, credentials=box.keys())
    files = await check(source, Settings(**narrowed), other=other, surplus=True)

    assert counts(done) == counts(files) == found
    unread = {(each.product_key, each.module_name) for each in done.examples if each.verdict is Verdict.UNREAD}
    assert unread - {("a1A", "b d")} == {("a1B", "b d"), ("", "n")}
    assert (("a1A", "b d") in unread) == (not narrowed)
    assert {seen.product_key for seen in box.seen} == ({"a1B"} if narrowed else {"a1A", "a1B"})


async def test_scope_that_leaves_no_row_is_refused(write: Write, make_box: Make) -> None:
    box = make_box()
    source = write("a.csv", f"{HEADER}a1A,m,,\n")

    with pytest.raises(InputError, match="no row of it is left to compare: correct --only or --account"):
        await check(source, box.settings(only=("a1a*",)), credentials=box.keys())

    assert len(box.seen) == 0


async def test_file_without_rows_asks_for_nothing_and_everything_else_is_surplus(write: Write) -> None:
    done = await check(write("a.csv", HEADER), Settings(), other=write("b.csv", f"{HEADER}a1A,m,,\n"), surplus=True)

    assert (done.rows, done.equal, counts(done)) == (0, 0, {"surplus": 1})


async def test_map_leads_to_the_targets_products_and_what_it_lacks_is_unread(write: Write, make_box: Make) -> None:
    box = make_box()
    box.fill([("t1", "m")])
    here = f"{box.endpoint} (alibaba)"
    product_map = write("map.csv", f"ProductKey,TargetProductKey,Target\ns1,t1,{here}\n")
    source = write("a.csv", f"{HEADER}s1,m,,\ns2,m,,\ns1,b d,,\n")
    settings = box.settings(product_map=product_map)

    done = await check(source, settings, credentials=box.keys())
    files = await check(source, settings, other=write("b.csv", f"{HEADER}t1,m,,\n"))

    for one in (done, files):
        assert (one.rows, one.equal, counts(one)) == (3, 1, {"unread": 2})
        # The row of an unknown product has the source's key, the other one the target's.
        assert [(each.line, each.product_key) for each in one.examples] == [(3, "s2"), (4, "t1")]
    assert {seen.product_key for seen in box.seen} == {"t1"}


async def test_map_of_another_platform_is_refused_before_anything_is_asked(write: Write, make_box: Make) -> None:
    box = make_box()
    product_map = write("map.csv", "ProductKey,TargetProductKey,Target\ns1,t1,https://else (tuya)\n")

    with pytest.raises(InputError, match="it is for https://else"):
        await check(write("a.csv", f"{HEADER}s1,m,,\n"), box.settings(product_map=product_map), credentials=box.keys())

    assert len(box.seen) == 0


async def test_accounts_of_the_map_decide_and_its_sources_accounts_do_not(
    write: Write, make_box: Make, make_job: Make
) -> None:
    cn, eu = make_box(), make_box()
    eu.fill([("t1", "m")])
    settings, keys = make_job({"cn": cn, "eu": eu})
    product_map = write(
        "map.csv", f"Account,ProductKey,TargetAccount,TargetProductKey,Target\nold,s1,eu,t1,{eu.endpoint} (alibaba)\n"
    )

    done = await check(
        write("a.csv", f"{OWNED}old,s1,m\n"), replace(settings, product_map=product_map), credentials=keys
    )

    assert (done.equal, done.exit_code) == (1, 0)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("cn,a1A,m\neu,a1A,m\n", f"{OWNED}cn,a1A,m\n", {"missing": 1}),
        ("cn,a1A,m\n", "ProductKey,ModuleName\na1A,m\n", {}),
        ("cn,a1A,m\n", f"{OWNED}eu,a1A,m\n", {"missing": 1, "surplus": 1}),
        ("cn,a1A,m\n", f"{OWNED}cn,a1A,m\ncn,a1A,n\ncn,a1A,b d\n", {"surplus": 1, "unread": 1}),
    ],
)
async def test_two_files_are_compared_by_account_if_both_name_them(
    write: Write, first: str, second: str, found: dict[str, int]
) -> None:
    done = await check(
        write("a.csv", OWNED + first), Settings(), other=write("b.csv", second), surplus=True, credentials=None
    )

    assert counts(done) == found
    assert done.equal == first.count("\n") - found.get("missing", 0)


async def test_accounts_of_a_map_are_compared_if_the_other_file_names_them(write: Write) -> None:
    product_map = write("map.csv", "ProductKey,TargetAccount,TargetProductKey\ns1,eu,t1\n")
    target = write("map2.csv", "ProductKey,TargetAccount,TargetProductKey,Target\ns1,eu,t1,https://h (alibaba)\n")
    source, other = write("a.csv", "ProductKey,ModuleName\ns1,m\n"), write("b.csv", f"{OWNED}cn,t1,m\n")

    by_account = await check(source, Settings(product_map=target), other=other)
    by_key = await check(source, Settings(product_map=product_map), other=other)

    assert (counts(by_account), counts(by_key)) == ({"missing": 1}, {})


async def test_only_the_chosen_accounts_of_two_files_are_compared(write: Write) -> None:
    first, second = write("a.csv", f"{OWNED}cn,a1A,m\neu,a1A,m\n"), write("b.csv", f"{OWNED}eu,a1A,x\ncn,a1A,x\n")
    accounts = {name: AccountSettings(region="cn-shanghai", profile=name) for name in ("cn", "eu")}

    done = await check(first, Settings(accounts=accounts, only_accounts=("cn",)), other=second, surplus=True)

    assert (done.rows, counts(done)) == (1, {"missing": 1, "surplus": 1})


async def test_objects_that_lack_the_account_of_the_first_ones_are_compared_without_it(write: Write) -> None:
    first = write("a.jsonl", '{"ProductKey":"a1A","ModuleName":"m"}\n')
    second = write("b.jsonl", '{"ProductKey":"a1A","ModuleName":"m","Account":"c\\u0000n"}\n')

    assert counts(await check(first, Settings(), other=second)) == {}


async def test_twenty_findings_are_examples_and_the_file_has_all(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()
    rows = "".join(f"a1{number:04},=m,,\n" if number == 1 else f"a1{number:04},m,,\n" for number in range(25))
    source = write("a.csv", HEADER + rows)

    done = await check(source, box.settings(), output=tmp_path / "f.csv", credentials=box.keys())

    lines = (tmp_path / "f.csv").read_text(encoding="utf-8").splitlines()
    assert (len(done.examples), len(lines)) == (20, 26)
    assert lines[0] == "verdict,line,account,product_key,module_name,reason"
    assert lines[1] == "missing,2,,a10000,m,not there"
    assert not any(",=" in line for line in lines)


async def test_file_that_can_not_hold_the_findings_is_refused(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()
    source = write("a.csv", f"{HEADER}a1A,m,,\n")

    with pytest.raises(SettingsError, match="its name does not tell a format"):
        await check(source, box.settings(), output=tmp_path / "f.txt", credentials=box.keys())
    assert len(box.seen) == 0
    with pytest.raises(SettingsError, match=r"it can't be written .*; name another file"):
        await check(source, box.settings(), output=tmp_path / "no" / "f.csv", credentials=box.keys())


async def test_stop_ends_the_reading_of_the_file_without_findings(write: Write, make_box: Make, tmp_path: Path) -> None:
    box, stop = make_box(), StopSignal()
    stop.request("Ctrl-C", exit_code=130)
    source, output = write("a.csv", f"{HEADER}a1A,m,,\n"), tmp_path / "f.csv"

    for other in (None, source):
        with pytest.raises(StoppedError, match="Ctrl-C; the comparison is not done") as raised:
            await check(source, box.settings(), other=other, output=output, credentials=box.keys(), stop=stop)
        assert raised.value.exit_code == 130

    assert len(box.seen) == 0
    assert not output.exists()


@pytest.mark.parametrize("is_other", [False, True])
async def test_stop_ends_the_wait_for_a_pipe_that_nobody_fills(
    write: Write, make_box: Make, tmp_path: Path, *, is_other: bool
) -> None:
    box, stop, pipe = make_box(), StopSignal(), tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    source = write("a.csv", f"{HEADER}a1A,m,,\n")
    how: dict[str, Any] = {"wanted": source, "other": str(pipe)} if is_other else {"wanted": str(pipe)}
    work = asyncio.ensure_future(check(settings=box.settings(), credentials=box.keys(), stop=stop, **how))
    writer = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # returns when the pipe is being read
    try:
        stop.request("the deadline is over")
        with suppress(BrokenPipeError):  # it may have obeyed already
            os.write(writer, b"ProductKey,")
        with pytest.raises(StoppedError, match="the deadline is over; the comparison is not done"):
            await work
    finally:
        os.close(writer)


async def test_row_that_can_not_be_read_says_in_which_file_it_is(write: Write) -> None:
    first, second = write("a.csv", f"{HEADER}a1A,b d,,\n"), write("b.csv", f"{HEADER}a1A,b d,,\n")

    done = await check(first, Settings(), other=second)

    assert [finding.reason.startswith(f"{second}: ") for finding in done.examples] == [False, True]
