"""A run with a map of products: the ledger has the target's keys, records and results keep the source's."""

from __future__ import annotations

import csv
import io
from asyncio import to_thread
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.plan import plan
from bulk.engine.run import run
from bulk.errors import InputError
from bulk.report.results import write_results, write_retry_file
from tests.integration.looking.conftest import box_of, keys_of, names_in, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.sandbox import Sandbox

INPUT = (
    "ProductKey,ModuleName,AliasName,Desc,Note\na1Source001,mcu,主控,d,n1\na1Source002,mcu,,,n2\na1Source003,led,,,n3\n"
)
JSON_LINES = '{"ProductKey":"a1Source001","ModuleName":"mcu"}\n{"ProductKey":"a1Source002","ModuleName":"mcu"}\n'
HEADER = "ProductKey,ProductName,TargetProductKey,Source,Target\n"


def map_for(folder: Path, box: Sandbox, *pairs: tuple[str, str], source: str = "elsewhere", target: str = "") -> str:
    path = folder / "map.csv"
    here = target or f"{box.endpoint.rstrip('/')} (alibaba)"
    path.write_text(HEADER + "".join(f"{key},,{place},{source},{here}\n" for key, place in pairs))
    return str(path)


async def ran(box: Sandbox, source: Path, product_map: str, **changes: Any) -> Any:
    return await run(str(source), settings_for(box, product_map=product_map, **changes), credentials=keys_of(box))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text(INPUT, encoding="utf-8")
    return path


def results_of(source: Path) -> list[dict[str, str]]:
    out = io.BytesIO()
    write_results(source.with_name(f"{source.name}.ledger.db"), out, format="csv")
    return list(csv.DictReader(io.StringIO(out.getvalue().decode())))


async def test_modules_are_made_in_the_targets_products_and_results_name_both_keys(
    tmp_path: Path, source: Path
) -> None:
    pairs = [("a1Source001", "a1Target001"), ("a1Source002", "a1Target002")]
    async with box_of() as box:
        summary = await ran(box, source, map_for(tmp_path, box, *pairs))
        again = await ran(box, source, map_for(tmp_path, box, *pairs))

        assert [module.module_name for module in box.modules("a1Target001") if module.module_name != "default"] == [
            "mcu"
        ]
        assert not any(seen.product_key.startswith("a1Source") for seen in box.seen)
    rows = await to_thread(results_of, source)
    assert summary.outcomes["created"] == again.outcomes["created"] == 2
    assert again.requests["create"] == 0
    assert [(row["ProductKey"], row["target_product_key"], row["Note"]) for row in rows] == [
        ("a1Source001", "a1Target001", "n1"),
        ("a1Source002", "a1Target002", "n2"),
        ("a1Source003", "", "n3"),
    ]
    assert (rows[2]["outcome"], rows[2]["code"]) == ("invalid", "product_key.unmapped")


async def test_rows_to_try_again_have_the_sources_keys(tmp_path: Path, source: Path) -> None:
    retry = tmp_path / "again.csv"
    async with box_of(denied=frozenset({"CreateOTAModule"})) as box:
        await ran(box, source, map_for(tmp_path, box, ("a1Source001", "a1Target001"), ("a1Source002", "a1Target002")))
    await to_thread(write_retry_file, source.with_name("in.csv.ledger.db"), retry)

    assert retry.read_text(encoding="utf-8") == INPUT


async def test_json_lines_are_mapped_too(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(JSON_LINES)
    async with box_of() as box:
        await ran(box, source, map_for(tmp_path, box, ("a1Source001", "a1Target001"), ("a1Source002", "a1Target002")))

    rows = await to_thread(results_of, source)
    assert [(row["ProductKey"], row["target_product_key"]) for row in rows] == [
        ("a1Source001", "a1Target001"),
        ("a1Source002", "a1Target002"),
    ]


@pytest.mark.parametrize(
    ("pairs", "given", "said"),
    [
        ([("a1Source001", "")], {}, "line 2: ProductKey 'a1Source001' has no TargetProductKey"),
        ([("a1Source001", "a1T"), ("a1Source002", "a1T")], {}, "line 3: TargetProductKey 'a1T' is in line 2 already"),
        ([("a1Source001", "a1T"), ("a1Source001", "a1U")], {}, "line 3: ProductKey 'a1Source001' is in line 2 already"),
        ([("a1Source001", "a1 T")], {}, "TargetProductKey holds"),
        ([("a1Source001", "a1T")], {"target": "https://other (tuya)"}, "it is for https://other"),
    ],
)
async def test_map_that_leaves_something_open_refuses_the_batch(
    tmp_path: Path, source: Path, pairs: list[tuple[str, str]], given: dict[str, str], said: str
) -> None:
    async with box_of() as box:
        path = map_for(tmp_path, box, *pairs, **given)
        for job in (run, plan):
            with pytest.raises(InputError, match=r"map\.csv") as raised:
                await job(str(source), settings_for(box, product_map=path), credentials=keys_of(box))
            assert said in str(raised.value)
            assert raised.value.exit_code == 2

        assert not box.seen


async def test_platform_that_the_map_moves_away_from_is_never_written_to(tmp_path: Path, source: Path) -> None:
    async with box_of() as box:
        here = f"{box.endpoint.rstrip('/')} (alibaba)"
        path = map_for(tmp_path, box, ("a1Source001", "a1T"), source=here)
        with pytest.raises(InputError, match="moves modules away from"):
            await ran(box, source, path)

        assert not box.seen


async def test_repeats_are_found_where_two_rows_become_one_module(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("Account,ProductKey,ModuleName\ncn,a1Source001,mcu\neu,a1Source001,mcu\n")
    async with box_of() as box:
        here = f"{box.endpoint.rstrip('/')} (alibaba)"
        (tmp_path / "map.csv").write_text(
            f"Account,ProductKey,TargetProductKey,Target\ncn,a1Source001,a1T1,{here}\neu,a1Source001,a1T2,{here}\n"
        )
        summary = await ran(box, source, str(tmp_path / "map.csv"))

        assert summary.outcomes["created"] == 2
        assert box.modules("a1T1")
        assert box.modules("a1T2")
    rows = await to_thread(results_of, source)
    assert {row["target_product_key"] for row in rows} == {"a1T1", "a1T2"}


async def test_map_for_another_target_is_refused_before_the_ledger_of_that_target(tmp_path: Path, source: Path) -> None:
    async with box_of() as box, box_of() as other:
        path = map_for(tmp_path, box, ("a1Source001", "a1T"))
        with pytest.raises(InputError, match="it is for") as raised:
            await ran(other, source, path)
        left_behind = names_in(tmp_path)
        await ran(box, source, path)
        with pytest.raises(InputError, match="it is for"):
            await ran(other, source, path)

        assert not other.seen
    assert raised.value.exit_code == 2
    assert left_behind == ["in.csv", "map.csv"]
