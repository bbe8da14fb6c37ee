"""What an export writes, and that it writes nothing where it could not read everything."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from bulk.engine.looking.export import export
from bulk.engine.run import run
from bulk.engine.stop import StopSignal
from bulk.errors import SettingsError, StoppedError, UnreadError
from bulk.sandbox import FaultPlan
from tests.integration.looking.conftest import READS, actions_seen, box_of, fill, keys_of, names_in, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.sandbox import Console, Sandbox, Seen

MODULES = [
    ("a1Lamp00001", "mcu", "主控", 'two\nlines, "quoted"'),
    ("a1Lamp00001", "led"),
    ("a1Lamp00002", "mcu", "=1+1", "-x"),
    ("a1Empty0001",),
]


async def exported(box: Sandbox, output: Path, **given: Any) -> Any:
    return await export(output, settings_for(box), credentials=keys_of(box), **given)


@pytest.mark.parametrize("name", ["o.csv", "o.jsonl"])
async def test_what_was_exported_is_read_back_as_it_is_on_the_platform(tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    async with box_of() as box:
        fill(box, MODULES)
        done = await exported(box, output)
        summary = await run(str(output), settings_for(box), credentials=keys_of(box))

    assert (done.products, done.rows) == (3, 3)
    # An alias that only looks like a formula breaks the platform's documented rules, and is written as it is.
    assert summary.outcomes["exists"] == 2
    assert summary.outcomes["invalid"] == 1
    assert "=1+1" in output.read_text(encoding="utf-8")


async def test_manifest_says_where_from_how_much_and_how_to_recognise_it(tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    async with box_of() as box:
        fill(box, MODULES)
        await exported(box, output)
        endpoint = box.endpoint.rstrip("/")
        manifest = orjson.loads((tmp_path / "o.csv.manifest.json").read_bytes())

    assert manifest["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert (manifest["products"], manifest["rows"]) == (3, 3)
    assert manifest["accounts"][0]["endpoint"] == endpoint
    assert manifest["accounts"][0]["without_modules"] == [
        {"product_key": "a1Empty0001", "product_name": "Product a1Empty0001"}
    ]
    assert output.read_text(encoding="utf-8").startswith("ProductKey,ModuleName,AliasName,Desc,ProductName\n")


async def test_rows_that_a_run_would_not_read_as_they_are_on_the_platform_are_named(tmp_path: Path) -> None:
    odd = [("a1A", "fine"), ("a1A", "padded", " x"), ("a1B", "null", "x", "NULL"), ("a1B", "bell", "x", "\x07")]
    async with box_of() as box:
        fill(box, odd)
        done = await exported(box, tmp_path / "o.csv")
        manifest = orjson.loads((tmp_path / "o.csv.manifest.json").read_bytes())

    assert [row.module_name for row in done.accounts[0].read_otherwise] == ["padded", "null", "bell"]
    assert manifest["read_otherwise"] == 3
    assert manifest["accounts"][0]["read_otherwise_rows"][0] == {
        "product_key": "a1A",
        "module_name": "padded",
        "reason": "AliasName is ' x', and a run reads 'x'",
    }


async def test_export_only_reads_and_leaves_default_out(tmp_path: Path) -> None:
    async with box_of() as box:
        fill(box, MODULES)
        await exported(box, tmp_path / "o.csv")

        assert actions_seen(box) <= READS
    assert ",default," not in (tmp_path / "o.csv").read_text(encoding="utf-8")


async def test_two_exports_of_one_state_are_the_same_file(tmp_path: Path) -> None:
    async with box_of() as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(300)])
        first = await exported(box, tmp_path / "a.csv")
        box.console().drop_product("a1P00000005")
        box.console().add_product("a1P00000005", product_name="Product a1P00000005")
        box.console().create("a1P00000005", "m")
        second = await exported(box, tmp_path / "b.csv")

    assert first.sha256 == second.sha256
    assert first.rows == 300


async def test_pages_that_shift_are_read_until_all_products_are_there(tmp_path: Path) -> None:
    pages = 0

    def rival(seen: Seen, console: Console) -> None:
        nonlocal pages
        if seen.action == "QueryProductList":
            pages += 1
            if pages == 1:
                console.add_product("a1New000001")
                console.create("a1New000001", "new")

    async with box_of() as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(450)])
        box.let_in(rival)
        done = await exported(box, tmp_path / "o.csv")

    assert (done.products, done.rows) == (451, 451)


async def test_product_that_is_deleted_meanwhile_leaves_no_file_and_is_named(tmp_path: Path) -> None:
    output = tmp_path / "o.csv"
    output.write_text("as it was")

    def rival(seen: Seen, console: Console) -> None:
        if seen.action == "QueryProductList":
            console.drop_product("a1P00000003")

    async with box_of(products=frozenset(f"a1P{index:08}" for index in range(5))) as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(5)])
        box.let_in(rival)
        with pytest.raises(UnreadError, match="a1P00000003") as raised:
            await exported(box, output)

    assert raised.value.exit_code == 3
    assert "run again" in str(raised.value)
    assert names_in(tmp_path) == ["o.csv"]
    assert output.read_text() == "as it was"


@pytest.mark.parametrize(("given", "rows"), [({}, 1), ({"distributed": True}, 2)])
async def test_distributed_products_are_named_and_left_out_unless_asked_for(
    tmp_path: Path, given: dict[str, Any], rows: int
) -> None:
    async with box_of() as box:
        fill(box, [("a1Own000001", "m"), ("a1Dist00001",)])
        box.console().add_product("a1Dist00002", is_owned=False)
        box.console().create("a1Dist00002", "theirs")
        done = await exported(box, tmp_path / "o.csv", **given)

    assert [product.product_key for product in done.accounts[0].distributed] == ["a1Dist00002"]
    assert done.rows == rows


async def test_products_of_a_file_are_exported_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("ProductKey\na1Lamp00002\na1Lamp00002\n")
    async with box_of() as box:
        fill(box, MODULES, names={"a1Lamp00002": "灯"})
        done = await exported(box, tmp_path / "o.csv", products=str(tmp_path / "p.csv"))

    assert done.rows == 1
    assert (tmp_path / "o.csv").read_text(encoding="utf-8").endswith(",灯\n")


async def test_faults_are_repeated(tmp_path: Path) -> None:
    faults = FaultPlan.parse("list:http500=20%,products:reset=30%,product:throttle=20%")
    async with box_of(faults=faults, seed=3) as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(60)])
        done = await exported(box, tmp_path / "o.csv")

    assert done.rows == 60


async def test_stop_leaves_no_file(tmp_path: Path) -> None:
    stop = StopSignal()
    async with box_of() as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(60)])
        box.let_in(lambda seen, _: stop.request("interrupted by Ctrl-C", exit_code=130) if seen.product_key else None)
        with pytest.raises(StoppedError, match="nothing was written") as raised:
            await exported(box, tmp_path / "o.csv", stop=stop)

    assert raised.value.exit_code == 130
    assert names_in(tmp_path) == []


async def test_wrong_key_and_missing_right_end_it_at_once(tmp_path: Path) -> None:
    async with box_of(denied=frozenset({"QueryProduct"})) as box:
        fill(box, MODULES)
        with pytest.raises(StoppedError, match="QueryProduct") as raised:
            await exported(box, tmp_path / "o.csv")

    assert raised.value.exit_code == 3


async def test_folder_that_is_not_there_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    async with box_of() as box:
        with pytest.raises(SettingsError, match="can't be written"):
            await exported(box, tmp_path / "no" / "o.csv")

        assert not box.seen
