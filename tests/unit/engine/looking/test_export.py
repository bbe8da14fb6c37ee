"""What an export writes, and that it writes all or nothing."""

from __future__ import annotations

import asyncio
import csv
import os
import re
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking import opening
from bulk.engine.looking.export import export
from bulk.engine.looking.manifest import manifest_path, read_source
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, SettingsError, StoppedError, UnreadError
from bulk.events import Event, LookStarted
from bulk.sandbox import FaultPlan
from tests.unit.engine.conftest import carrying

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

SHOWN = [("a1A", "m", "主控", "a, b"), ("a1A", "n"), ("a1B",), ("a1C", "=x")]


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_every_custom_module_is_a_row_and_the_manifest_describes_the_file(make_box: Make, tmp_path: Path) -> None:
    box, path = make_box(), tmp_path / "o.csv"
    box.fill(SHOWN)
    events: list[Event] = []

    done = await export(path, box.settings(), credentials=box.keys(), listener=events.append)

    assert rows(path) == [
        ["ProductKey", "ModuleName", "AliasName", "Desc", "ProductName"],
        ["a1A", "m", "主控", "a, b", "Product a1A"],
        ["a1A", "n", "", "", "Product a1A"],
        ["a1C", "=x", "", "", "Product a1C"],
    ]
    assert (done.rows, done.products, done.read_otherwise) == (3, 3, 1)
    manifest = orjson.loads(manifest_path(path).read_bytes())
    assert manifest["sha256"] == sha256(path.read_bytes()).hexdigest() == done.sha256
    assert (manifest["bytes"], manifest["file"], manifest["products_of"]) == (path.stat().st_size, "o.csv", "all")
    (account,) = manifest["accounts"]
    assert account["without_modules"] == [{"product_key": "a1B", "product_name": "Product a1B"}]
    assert [row["module_name"] for row in account["read_otherwise_rows"]] == ["=x"]
    assert [event for event in events if isinstance(event, LookStarted)] == [LookStarted("Exporting", 3)]
    assert set(box.actions()) == {"QueryProductList", "QueryProduct", "ListOTAModuleByProduct"}


async def test_objects_leave_absent_fields_out(make_box: Make, tmp_path: Path) -> None:
    box, path = make_box(), tmp_path / "o.jsonl"
    box.fill(SHOWN[:2])

    await export(path, box.settings(), credentials=box.keys())

    first, second = map(orjson.loads, path.read_bytes().splitlines())
    assert (first["AliasName"], first["Desc"]) == ("主控", "a, b")
    assert second == {"ProductKey": "a1A", "ModuleName": "n", "ProductName": "Product a1A"}


async def test_accounts_are_in_one_file_and_those_not_chosen_are_not_asked(
    make_box: Make, make_job: Make, tmp_path: Path
) -> None:
    cn, eu, us = make_box(), make_box(), make_box()
    cn.fill([("a1A", "m")])
    eu.fill([("a1A", "m"), ("a1B", "m")])
    settings, keys = make_job({"cn": cn, "eu": eu, "us": us}, only_accounts=("cn", "eu"))
    events: list[Event] = []

    done = await export(tmp_path / "o.csv", settings, credentials=keys, listener=events.append)

    assert [row[:3] for row in rows(tmp_path / "o.csv")[1:]] == [
        ["cn", "a1A", "m"],
        ["eu", "a1A", "m"],
        ["eu", "a1B", "m"],
    ]
    assert [(one.account, one.products, one.modules) for one in done.accounts] == [("cn", 1, 1), ("eu", 2, 2)]
    assert len(us.seen) == 0
    source = read_source(tmp_path / "o.csv")
    assert source is not None
    assert source.platforms == {"cn": f"{cn.endpoint} (alibaba)", "eu": f"{eu.endpoint} (alibaba)"}


@pytest.mark.parametrize(("distributed", "keys"), [(False, ["a1A"]), (True, ["a1A", "a1Theirs"])])
async def test_products_of_other_accounts_are_left_out_unless_asked_for(
    make_box: Make, tmp_path: Path, *, distributed: bool, keys: list[str]
) -> None:
    box, path = make_box(), tmp_path / "o.csv"
    box.fill([("a1A", "m")])
    box.console().add_product("a1Theirs", product_name="Theirs", is_owned=False)
    box.console().create("a1Theirs", "m")

    done = await export(path, box.settings(), distributed=distributed, credentials=box.keys())

    assert [row[0] for row in rows(path)[1:]] == keys
    (account,) = done.accounts
    assert [product.product_key for product in account.distributed] == ["a1Theirs"]
    assert account.left_out == (0 if distributed else 1)


async def test_products_of_a_file_are_exported_with_the_platforms_names_also_distributed_ones(
    write: Write, make_box: Make, tmp_path: Path
) -> None:
    box, path = make_box(), tmp_path / "o.csv"
    box.fill(SHOWN)
    box.console().add_product("a1Theirs", product_name="Theirs", is_owned=False)
    box.console().create("a1Theirs", "m")
    products = write("p.csv", "ProductKey\na1Theirs\na1C\na1Theirs\n")

    done = await export(path, box.settings(), products=products, credentials=box.keys())

    assert [(row[0], row[4]) for row in rows(path)[1:]] == [("a1C", "Product a1C"), ("a1Theirs", "Theirs")]
    assert done.products_of == products
    assert box.actions() == {"QueryProduct": 2, "ListOTAModuleByProduct": 2}


async def test_product_that_can_not_be_read_leaves_the_earlier_file_and_is_named(
    write: Write, make_box: Make, tmp_path: Path
) -> None:
    box, path = make_box(products=frozenset({"a1A"})), tmp_path / "o.csv"
    box.fill(SHOWN[:1])
    path.write_text("earlier")
    one = write("p.csv", "ProductKey\na1A\na1Gone\n")
    many = write("q.csv", "ProductKey\n" + "".join(f"a1Gone{number:02}\n" for number in range(23)))

    with pytest.raises(UnreadError, match=r"one product can't be read, so nothing was written.*\n  a1Gone: ") as raised:
        await export(path, box.settings(), products=one, credentials=box.keys())
    with pytest.raises(UnreadError, match="23 products can't be read") as raised_of_many:
        await export(path, box.settings(), products=many, credentials=box.keys())

    assert "If a product was deleted meanwhile, run again" in str(raised.value)
    lines = str(raised_of_many.value).splitlines()
    assert ("a1Gone19: " in lines[20], lines[21].strip()) == (True, "and 3 more")
    assert path.read_text() == "earlier"
    assert names(tmp_path) == ["o.csv", "p.csv", "q.csv"]


async def test_listing_that_fails_after_the_product_was_shown_is_named_with_its_account(
    make_box: Make, make_job: Make, tmp_path: Path
) -> None:
    box = make_box(faults=FaultPlan.parse("list:code:iot.prod.NotExistedProduct-before=1x"))
    box.fill([("a1A", "m"), ("a1B", "m")])
    settings, keys = make_job({"cn": box}, concurrency=1)

    with pytest.raises(UnreadError, match=r"\n  account cn, a1A: iot\.prod\.NotExistedProduct"):
        await export(tmp_path / "o.csv", settings, credentials=keys)

    assert names(tmp_path) == []


@pytest.mark.parametrize("accounts", [False, True])
async def test_key_that_may_not_list_products_ends_it(
    make_box: Make, make_job: Make, tmp_path: Path, *, accounts: bool
) -> None:
    box = make_box(denied=frozenset({"QueryProductList"}))
    settings, keys = make_job({"cn": box}) if accounts else (box.settings(), box.keys())

    with pytest.raises((UnreadError, StoppedError)) as raised:
        await export(tmp_path / "o.csv", settings, credentials=keys)

    assert "nothing was written" in str(raised.value)
    assert names(tmp_path) == []


async def test_faults_that_pass_are_repeated(make_box: Make, tmp_path: Path) -> None:
    box = make_box(faults=FaultPlan.parse("list:throttle=2x,products:http503=1x,product:reset=1x"))
    box.fill(SHOWN[:2])

    done = await export(tmp_path / "o.csv", box.settings(), credentials=box.keys())

    assert done.rows == 2
    assert box.actions()["ListOTAModuleByProduct"] == 3


async def test_rows_are_written_in_parts_and_in_order(make_box: Make, tmp_path: Path) -> None:
    box = make_box()
    box.fill([(f"a1{number:04}", f"m{index}") for number in range(101) for index in range(10)])

    done = await export(tmp_path / "o.csv", box.settings(), credentials=box.keys())

    written = [row[0] for row in rows(tmp_path / "o.csv")[1:]]
    assert (len(written), written) == (done.rows, sorted(written))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("o.txt", "its name does not tell a format"),
        ("no/o.csv", "it can't be written .*; name another file"),
        ("folder.csv", "it can't be written .*; name another file"),
    ],
)
async def test_file_that_can_not_be_written_is_refused_before_anything_is_asked(
    make_box: Make, tmp_path: Path, name: str, reason: str
) -> None:
    box = make_box()
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(SettingsError, match=reason):
        await export(tmp_path / name, box.settings(), credentials=box.keys())

    assert len(box.seen) == 0


async def test_rehearsal_has_nothing_to_export(make_box: Make, tmp_path: Path) -> None:
    box = make_box()

    with pytest.raises(SettingsError, match="start `bulk sandbox`, and give its --endpoint"):
        await export(tmp_path / "o.csv", box.settings(endpoint=None, sandbox=True))


async def test_file_of_products_that_names_none_is_refused(write: Write, make_box: Make, tmp_path: Path) -> None:
    box = make_box()

    with pytest.raises(InputError, match="no product is in it"):
        await export(
            tmp_path / "o.csv", box.settings(), products=write("p.csv", "ProductKey\n"), credentials=box.keys()
        )


async def test_stop_between_two_requests_leaves_no_file(make_box: Make, tmp_path: Path) -> None:
    box, stop, path = make_box(), StopSignal(), tmp_path / "o.csv"
    box.fill(SHOWN)
    box.let_in(lambda seen, _: stop.request("Ctrl-C") if seen.action == "ListOTAModuleByProduct" else None)

    with pytest.raises(StoppedError, match=re.escape(f"Ctrl-C; nothing was written, {path} is as it was")):
        await export(path, box.settings(concurrency=1), credentials=box.keys(), stop=stop)

    assert names(tmp_path) == []
    assert box.actions()["ListOTAModuleByProduct"] == 1


async def test_products_may_come_from_a_pipe(make_box: Make, tmp_path: Path) -> None:
    box, pipe = make_box(), tmp_path / "pipe.csv"
    box.fill(SHOWN)
    os.mkfifo(pipe)
    work = asyncio.ensure_future(export(tmp_path / "o.csv", box.settings(), products=str(pipe), credentials=box.keys()))
    await asyncio.to_thread(pipe.write_text, "ProductKey\na1A\n")

    assert (await work).rows == 2


async def test_stop_ends_the_wait_for_products_from_a_pipe(make_box: Make, tmp_path: Path) -> None:
    box, stop, pipe = make_box(), StopSignal(), tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    work = asyncio.ensure_future(
        export(tmp_path / "o.csv", box.settings(), products=str(pipe), credentials=box.keys(), stop=stop)
    )
    writer = await asyncio.to_thread(os.open, pipe, os.O_WRONLY)  # returns when the pipe is being read
    try:
        stop.request("Ctrl-C")
        with suppress(BrokenPipeError):  # it may have obeyed already
            os.write(writer, b"ProductKey,")
        with pytest.raises(StoppedError, match="Ctrl-C; nothing was written"):
            await work
    finally:
        os.close(writer)

    assert names(tmp_path) == ["pipe.csv"]


async def test_list_that_says_whose_the_products_are_spares_the_questions(
    make_box: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_box()
    box.fill(SHOWN[:1])
    box.console().add_product("a1Theirs", product_name="Theirs")
    box.console().create("a1Theirs", "m")

    async def send(carrier: Any, request: Any, **how: Any) -> Any:
        reply = await carrier.send(request, **how)
        body = reply.body.replace(b'"ProductKey":"a1Theirs"', b'"ProductKey":"a1Theirs","Owner":false')
        return reply._replace(body=body.replace(b'"ProductKey":"a1A"', b'"ProductKey":"a1A","Owner":true'))

    monkeypatch.setattr("bulk.engine.looking.opening.HttpTransport", carrying(opening, send))

    done = await export(tmp_path / "o.csv", box.settings(), credentials=box.keys())

    assert (done.rows, done.accounts[0].left_out) == (1, 1)
    assert box.actions() == {"QueryProductList": 1, "ListOTAModuleByProduct": 1}
