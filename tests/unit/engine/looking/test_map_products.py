"""The map that is written from an export and the target's products, and what is refused before it is."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking.export import export
from bulk.engine.looking.mapping import map_products
from bulk.engine.stop import StopSignal
from bulk.errors import InputError, SettingsError, StoppedError, UnreadError
from bulk.rows.products.product_map import Place, read_product_map
from bulk.sandbox import RivalPlan
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], str]
    Make = Callable[..., Any]

EXPORT = "ProductKey,ModuleName,ProductName\ns1,m,Lamp\ns1,n,Lamp\ns2,m,Fan\ns3,m,\n"


def written(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".jsonl":
        return list(map(orjson.loads, path.read_bytes().splitlines()))
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["map.csv", "map.jsonl"])
async def test_map_has_each_product_once_with_its_target_or_why_it_is_open(
    write: Write, make_box: Make, tmp_path: Path, name: str
) -> None:
    box, path = make_box(), tmp_path / name
    box.console().add_product("t1", product_name=" Lamp ")
    box.console().add_product("s2", product_name="Ventilator")
    source = write("e.csv", EXPORT)

    done = await map_products(source, path, box.settings(), credentials=box.keys())

    assert [(row["ProductKey"], row["TargetProductKey"], row["MatchedBy"]) for row in written(path)] == [
        ("s1", "t1", "ProductName"),
        ("s2", "s2", "ProductKey"),
        ("s3", "", "the target has no such ProductKey, and the export has no ProductName"),
    ]
    assert {(row["Source"], row["Target"]) for row in written(path)} == {("", f"{box.endpoint} (alibaba)")}
    assert ([product.source.product_key for product in done.open_products], done.exit_code) == (["s3"], 1)
    assert done.notices == (
        f"{source} has no manifest beside it: the map does not say which platform its products are of",
    )
    assert box.actions() == {"QueryProductList": 1}


async def test_map_from_an_export_is_read_by_the_job_of_the_target_and_by_no_job_of_the_source(
    make_box: Make, tmp_path: Path
) -> None:
    old, new = make_box(), make_box()
    old.fill([("s1", "m"), ("s2",)])
    new.console().add_product("t1", product_name="Product s1")
    await export(tmp_path / "e.csv", old.settings(), credentials=old.keys())

    done = await map_products(str(tmp_path / "e.csv"), tmp_path / "map.csv", new.settings(), credentials=new.keys())

    assert (done.exit_code, done.notices) == (0, ())
    product_map = read_product_map(done.path, ReadSettings())
    assert product_map.place_of("", "s1") == Place("", "t1")
    product_map.refuse_other_targets({"": f"{new.endpoint} (alibaba)"})
    with pytest.raises(InputError, match="it moves modules away from"):
        product_map.refuse_other_targets({"": f"{old.endpoint} (alibaba)"})


async def test_product_without_rows_that_has_the_name_too_leaves_it_open(make_box: Make, tmp_path: Path) -> None:
    old, new = make_box(), make_box()
    old.fill([("s1", "m")])
    old.console().add_product("s2", product_name="Product s1")
    new.console().add_product("t1", product_name="Product s1")
    await export(tmp_path / "e.csv", old.settings(), credentials=old.keys())

    done = await map_products(str(tmp_path / "e.csv"), tmp_path / "map.csv", new.settings(), credentials=new.keys())

    assert [product.how for product in done.open_products] == ["2 products of the source would become t1"]


async def test_open_product_names_the_account_that_it_can_only_be_in(
    write: Write, make_box: Make, make_job: Make, tmp_path: Path
) -> None:
    cn, eu = make_box(), make_box()
    source = write("e.csv", "Account,ProductKey,ModuleName\ncn,s1,m\nold,s2,m\n")
    both, keys = make_job({"cn": cn, "eu": eu})
    one, _ = make_job({"cn": cn, "eu": eu}, only_accounts=("eu",))

    await map_products(source, tmp_path / "both.csv", both, credentials=keys)
    await map_products(source, tmp_path / "one.csv", one, credentials=keys)

    assert [row["TargetAccount"] for row in written(tmp_path / "both.csv")] == ["cn", ""]
    assert [row["TargetAccount"] for row in written(tmp_path / "one.csv")] == ["eu", "eu"]
    assert [row["Target"] for row in written(tmp_path / "both.csv")] == [f"{cn.endpoint} (alibaba)", ""]


async def test_on_one_platform_a_product_is_not_mapped_to_itself(
    make_box: Make, make_job: Make, tmp_path: Path
) -> None:
    box = make_box()
    box.fill([("s1", "m")])
    settings, keys = make_job({"old": box})
    await export(tmp_path / "e.csv", settings, credentials=keys)
    other, keys = make_job({"new": box})

    done = await map_products(str(tmp_path / "e.csv"), tmp_path / "map.csv", other, credentials=keys)

    assert [product.how for product in done.open_products] == [
        "the target's keys see this very product: they may be those of the source"
    ]


@pytest.mark.parametrize(
    ("accounts", "reason"),
    [
        (None, r"the settings name https.* give the target's settings; to move"),
        ("old", r"account old is https.* give the target's settings, or choose its accounts with --account; to move"),
    ],
)
async def test_platform_is_not_mapped_to_itself(
    make_box: Make, make_job: Make, tmp_path: Path, accounts: str | None, reason: str
) -> None:
    box = make_box()
    box.fill([("s1", "m")])
    settings, keys = make_job({accounts: box}) if accounts else (box.settings(), box.keys())
    await export(tmp_path / "e.csv", settings, credentials=keys)
    before = len(box.seen)

    with pytest.raises(SettingsError, match=reason):
        await map_products(str(tmp_path / "e.csv"), tmp_path / "map.csv", settings, credentials=keys)

    assert len(box.seen) == before
    assert not (tmp_path / "map.csv").exists()


async def test_map_that_is_there_is_kept(write: Write, make_box: Make, tmp_path: Path) -> None:
    box, path = make_box(), write("map.csv", "completed by hand")

    with pytest.raises(SettingsError, match="is there already, and may be completed by hand"):
        await map_products(write("e.csv", EXPORT), path, box.settings(), credentials=box.keys())

    assert (tmp_path / "map.csv").read_text() == "completed by hand"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("e.csv", "ProductKey,ModuleName\na 1,m\n", "one row can't be used, so nothing was written:\n  line 2: "),
        ("e.jsonl", '{"ProductKey":"s1","Account":"\\u0000"}\n', "line 1: a cell holds a NUL"),
    ],
)
async def test_export_with_a_row_that_can_not_be_read_is_refused(
    write: Write, make_box: Make, tmp_path: Path, name: str, text: str, reason: str
) -> None:
    box = make_box()

    with pytest.raises(InputError, match=reason):
        await map_products(write(name, text), tmp_path / "map.csv", box.settings(), credentials=box.keys())

    assert len(box.seen) == 0


async def test_map_goes_where_it_can_be_written_and_has_a_known_ending(
    write: Write, make_box: Make, tmp_path: Path
) -> None:
    box, source = make_box(), write("e.csv", EXPORT)

    with pytest.raises(SettingsError, match="its name does not tell a format"):
        await map_products(source, tmp_path / "map.xlsx", box.settings(), credentials=box.keys())
    assert len(box.seen) == 0
    with pytest.raises(SettingsError, match=r"it can't be written .*; name another file"):
        await map_products(source, tmp_path / "no" / "map.csv", box.settings(), credentials=box.keys())


@pytest.mark.parametrize("account", [None, "cn"])
async def test_list_of_products_that_never_holds_still_leaves_no_map(
    write: Write, make_box: Make, make_job: Make, tmp_path: Path, account: str | None
) -> None:
    box = make_box(rival=RivalPlan.parse("product=100%"))
    box.fill([(f"a1{number:04}",) for number in range(201)])
    settings, keys = make_job({account: box}) if account else (box.settings(), box.keys())

    with pytest.raises(UnreadError, match=r"the list of products can't be read: .*; nothing was written") as raised:
        await map_products(write("e.csv", EXPORT), tmp_path / "map.csv", settings, credentials=keys)

    assert ("account cn: " in str(raised.value)) == bool(account)
    assert "Run again when nothing else creates or deletes there." in str(raised.value)
    assert not (tmp_path / "map.csv").exists()


async def test_stop_leaves_no_map(write: Write, make_box: Make, tmp_path: Path) -> None:
    box, stop = make_box(), StopSignal()
    box.let_in(lambda *_: stop.request("Ctrl-C"))

    with pytest.raises(StoppedError, match="Ctrl-C; nothing was written"):
        await map_products(
            write("e.csv", EXPORT), tmp_path / "map.csv", box.settings(), credentials=box.keys(), stop=stop
        )

    assert not (tmp_path / "map.csv").exists()
