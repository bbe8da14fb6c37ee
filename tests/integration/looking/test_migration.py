"""The whole way from one platform to another of a different dialect; the source sees no write."""

from __future__ import annotations

import csv
from asyncio import to_thread
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.looking.export import export
from bulk.engine.looking.mapping import map_products
from bulk.engine.plan import plan
from bulk.engine.run import run
from bulk.errors import InputError, SettingsError
from bulk.model import Dialect
from tests.integration.looking.conftest import READS, actions_seen, box_of, fill, keys_of, settings_for

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = [
    *((f"a1S{index:08}", f"m{number}", "主控", "d") for index in range(20) for number in range(index % 4)),
    ("a1S00000000",),
    ("a1Ambig0001", "mcu"),
    ("a1Ambig0002", "mcu"),
    ("a1Gone00001", "mcu"),
]
NAMES = {"a1Ambig0001": "Twin", "a1Ambig0002": "Twin"}


def completed(path: Path, **targets: str) -> None:
    """Fill in the targets of products as a person does, and take out the lines of those that stay open."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["TargetProductKey"] = row["TargetProductKey"] or targets.get(row["ProductKey"], "")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["TargetProductKey"])


async def test_modules_go_to_a_platform_of_another_dialect(tmp_path: Path) -> None:
    export_file, map_file = tmp_path / "export.csv", tmp_path / "map.csv"
    async with box_of(dialect=Dialect.ALIBABA) as source, box_of(dialect=Dialect.TUYA) as target:
        fill(source, SOURCE, names=NAMES)
        fill(
            target,
            [(f"T{index:010}",) for index in range(20)],
            names={f"T{index:010}": f"Product a1S{index:08}" for index in range(20)},
        )
        fill(target, [("Ttwin000001",), ("Ttwin000002",)], names={"Ttwin000001": "Twin", "Ttwin000002": "Twin"})
        to: dict[str, Any] = {"dialect": Dialect.TUYA}

        await export(export_file, settings_for(source), credentials=keys_of(source))
        mapped = await map_products(str(export_file), map_file, settings_for(target, **to), credentials=keys_of(target))
        assert {each.source.product_key for each in mapped.open_products} == {
            "a1Ambig0001",
            "a1Ambig0002",
            "a1Gone00001",
        }
        assert mapped.exit_code == 1
        to["product_map"] = str(map_file)
        with pytest.raises(InputError, match="a1Gone00001"):
            await run(str(export_file), settings_for(target, **to), credentials=keys_of(target))
        await to_thread(completed, map_file, a1Ambig0001="Ttwin000002", a1Ambig0002="Ttwin000001")

        planned = await plan(str(export_file), settings_for(target, **to), credentials=keys_of(target))
        first = await run(str(export_file), settings_for(target, limit=3, **to), credentials=keys_of(target))
        whole = await run(str(export_file), settings_for(target, **to), credentials=keys_of(target))

        assert planned.would_create == whole.outcomes["created"] == 32
        assert 0 < first.outcomes["created"] < 32
        assert whole.outcomes["invalid"] == 1
        for index in range(20):
            there = [m for m in target.modules(f"T{index:010}") if m.module_name != "default"]
            assert len(there) == index % 4
        assert actions_seen(source) <= READS


async def test_settings_of_the_source_are_refused(tmp_path: Path) -> None:
    async with box_of() as source:
        fill(source, SOURCE)
        await export(tmp_path / "e.csv", settings_for(source), credentials=keys_of(source))
        with pytest.raises(SettingsError, match="give the target's settings"):
            await map_products(
                str(tmp_path / "e.csv"), tmp_path / "m.csv", settings_for(source), credentials=keys_of(source)
            )


async def test_map_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "e.csv").write_text("ProductKey,ModuleName\na1,m\n")
    (tmp_path / "m.csv").write_text("by hand")
    async with box_of() as target:
        with pytest.raises(SettingsError, match="completed by hand"):
            await map_products(
                str(tmp_path / "e.csv"), tmp_path / "m.csv", settings_for(target), credentials=keys_of(target)
            )

    assert (tmp_path / "m.csv").read_text() == "by hand"
