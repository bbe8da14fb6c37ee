from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import OtaModule
from bulk.sandbox.worlds.journal import Journal
from bulk.sandbox.worlds.seeds import starting_world
from bulk.sandbox.worlds.stored import StoredModule
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

MCU = StoredModule(product_key="p", module_name="Mcu", alias_name="主控", created_at="2024-11-19T09:47Z")
WIFI = StoredModule(product_key="p", module_name="wifi", created_at="2024-11-19T09:48Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cloud.jsonl"


def close(world: World) -> None:
    assert world._journal is not None
    world._journal.close()


def reopen(path: Path) -> World:
    """Read the journal as a second process would: the first may never have closed it."""
    return World(Journal(path), products=None)


def test_changes_are_met_again_without_a_close(path: Path) -> None:
    first = World(Journal(path), products=None)
    first.put(MCU, WIFI)
    first.put(replace(MCU, desc="Main", modified_at="2024-11-20T00:00Z"))
    first.delete(WIFI)

    second = reopen(path)

    (module,) = second.modules("p")
    assert module.as_module() == OtaModule("p", "Mcu", "主控", "Main")
    assert (module.created_at, module.modified_at) == ("2024-11-19T09:47Z", "2024-11-20T00:00Z")
    assert second.modules("p") == first.modules("p")
    close(first)
    close(second)


def test_line_that_a_kill_cut_short_is_dropped_and_written_over(path: Path) -> None:
    first = reopen(path)
    first.put(MCU)
    close(first)
    with path.open("ab") as file:
        file.write(b'{"op":"put","product_key":"p","module_na')

    second = reopen(path)
    second.put(WIFI)
    close(second)

    third = reopen(path)
    close(third)
    assert [module.module_name for module in third.modules("p")] == ["Mcu", "wifi"]


@pytest.mark.parametrize("line", ["not json", "[1]", '{"product_key":"p"}'])
def test_file_that_is_no_journal_is_refused_by_its_line(line: str, path: Path) -> None:
    path.write_text(f'{{"op":"delete","product_key":"p","module_name":"m"}}\n{line}\n', encoding="utf-8")

    with pytest.raises(SettingsError, match=r"cloud\.jsonl, line 2: not a record of a sandbox"):
        Journal(path)


@pytest.mark.parametrize("line", ['{"op":"put","product_key":"p"}', '{"op":"explode"}'])
def test_record_that_cannot_be_replayed_is_refused_by_its_line(line: str, path: Path) -> None:
    path.write_text(f"{line}\n", encoding="utf-8")
    journal = Journal(path)

    with pytest.raises(SettingsError, match="line 1"):
        World(journal, products=None)
    journal.close()


def test_folder_is_refused_as_state(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be opened"):
        Journal(tmp_path)


def test_change_that_cannot_be_written_is_not_made(path: Path) -> None:
    world = reopen(path)
    close(world)

    with pytest.raises(OSError, match="Bad file descriptor"):
        world.put(MCU)

    assert world.modules("p") == ()


def test_starting_world_is_as_the_samples_need_it(world: World) -> None:
    world.populate(starting_world())

    assert [module.module_name for module in world.modules("a1Demo00001")] == ["default", "mcu"]
    assert world.modules("a1Demo00001")[1].as_module() == OtaModule(
        "a1Demo00001", "mcu", "主控", "Main controller firmware"
    )
    assert len(world.modules("a1Demo00002")) == 8
    assert world.modules("a1Demo00003")[0].alias_name == "old-alias"


def test_world_is_fresh_until_something_happens(path: Path) -> None:
    first = reopen(path)
    assert first.is_fresh

    first.put(MCU)
    first.delete(MCU)
    close(first)

    second = reopen(path)
    close(second)
    assert not second.is_fresh


def test_products_exist_by_file_or_by_their_modules() -> None:
    world = World(None, products=frozenset({"q"}))
    world.put(MCU)

    assert [world.has_product(key) for key in ("p", "q", "r")] == [True, True, False]
    assert world.products() == ("p", "q")
    assert World(None, products=None).has_product("r")
