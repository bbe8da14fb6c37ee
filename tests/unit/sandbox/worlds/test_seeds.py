from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.sandbox.worlds.seeds import as_file, read_seed, starting_world
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct
from bulk.sandbox.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path


def write(tmp_path: Path, text: str, name: str = "world.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_world_is_read_from_toml(tmp_path: Path) -> None:
    seed = read_seed(
        write(
            tmp_path,
            """
            products = [{product_key = "p", product_name = "Lamp", created_ms = 5, is_owned = false}]
            modules = [{product_key = "p", module_name = "mcu", alias_name = "主控"}]
            packages = [{product_key = "p", module_name = "mcu"}, {product_key = "p", module_name = "mcu"}]
            """,
        )
    )

    assert seed.products == (StoredProduct(product_key="p", product_name="Lamp", created_ms=5, is_owned=False),)
    assert seed.modules == (StoredModule(product_key="p", module_name="mcu", alias_name="主控"),)
    assert [package.package_id for package in seed.packages] == ["1", "2"]


def test_list_of_modules_alone_is_a_world(tmp_path: Path) -> None:
    path = write(tmp_path, '[{"product_key": "p", "module_name": "mcu"}]', "world.json")

    assert read_seed(path).modules == (StoredModule(product_key="p", module_name="mcu"),)


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("{", "world.json", "can't be read"),
        ("modules = 5", "world.toml", "is no world"),
        ("devices = []", "world.toml", "devices is no table of a world; it takes products, modules, packages"),
        ('modules = [{product_key = "p"}]', "world.toml", "something under modules is no module"),
        ('packages = [{module_name = "m"}]', "world.toml", "something under packages is no package"),
    ],
)
def test_mistake_is_named(text: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        read_seed(write(tmp_path, text, name))


def test_dumped_world_can_be_started_with(tmp_path: Path) -> None:
    world = World(None, products=frozenset({"q"}))
    world.populate(starting_world())
    world.put(StoredPackage(package_id="7", product_key="a1Demo00001", module_name="mcu"))
    path = tmp_path / "world.json"
    path.write_bytes(as_file(world))

    again = World(None, products=frozenset())
    again.populate(read_seed(path))

    assert again.products() == world.products()
    assert [again.modules(key) for key in again.products()] == [world.modules(key) for key in world.products()]
    assert again.packages() == world.packages()
