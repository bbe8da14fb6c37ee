"""What a world holds at its first use: from a file, or the demo products of the package."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from bulk.errors import SettingsError
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bulk.sandbox.worlds.world import World

__all__ = ["WorldSeed", "as_file", "read_seed", "starting_world"]

_TABLES: Final = ("products", "modules", "packages")
_Kind = TypeVar("_Kind", StoredProduct, StoredModule, StoredPackage)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSeed:
    """Products, modules and packages; a product that has a module need not be named."""

    products: tuple[StoredProduct, ...] = ()
    modules: tuple[StoredModule, ...] = ()
    packages: tuple[StoredPackage, ...] = ()


def starting_world() -> WorldSeed:
    """Return the demo products that the package brings along."""
    content = files("bulk.sandbox").joinpath("starting_world.json").read_bytes()
    return WorldSeed(modules=tuple(StoredModule(**fields) for fields in orjson.loads(content)))


def read_seed(path: Path) -> WorldSeed:
    """Read a world file: tables ``products``, ``modules`` and ``packages``, in TOML or JSON by the file's name.

    A package needs only ``product_key`` and ``module_name``; it is numbered where it has no ``package_id``.

    Raises:
        SettingsError: The file can't be read, or something in it is no product, module or package.
    """
    content = _read(path)
    unknown = content.keys() - set(_TABLES)
    if unknown:
        raise SettingsError(
            f"{path}: {', '.join(sorted(unknown))} is no table of a world; it takes {', '.join(_TABLES)}"
        )
    numbered = [
        {"package_id": str(number)} | fields for number, fields in enumerate(content.get("packages", ()), start=1)
    ]
    return WorldSeed(
        products=_things(path, StoredProduct, content.get("products", ())),
        modules=_things(path, StoredModule, content.get("modules", ())),
        packages=_things(path, StoredPackage, numbered),
    )


def as_file(world: World) -> bytes:
    """Write a world as `read_seed` reads it, in JSON: one product, module or package a line."""
    keys = world.products()
    tables: dict[str, Iterable[StoredProduct | StoredModule | StoredPackage]] = {
        "products": [replace(world.product(key), product_name=world.product(key).shown_name) for key in keys],
        "modules": [module for key in keys for module in world.modules(key)],
        "packages": list(world.packages()),
    }
    written = []
    for name, things in tables.items():
        lines = b",\n  ".join(orjson.dumps(asdict(thing)) for thing in things)
        written.append(b'"%b": [%b]' % (name.encode(), b"\n  " + lines + b"\n" if lines else b""))
    return b"{" + b",\n".join(written) + b"}\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        content = orjson.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as exc:
        raise SettingsError(f"the world {path} can't be read: {exc}") from exc
    # A bare list is one of modules, as the package's own demo is written.
    content = {"modules": content} if isinstance(content, list) else content
    if not isinstance(content, dict) or not all(isinstance(table, list) for table in content.values()):
        raise SettingsError(f"{path} is no world: it takes lists named {', '.join(_TABLES)}")
    return content


def _things(path: Path, kind: type[_Kind], tables: Any) -> tuple[_Kind, ...]:  # noqa: ANN401 - as the file has it
    try:
        return tuple(kind(**fields) for fields in tables)
    except TypeError as exc:
        noun = kind.__name__.removeprefix("Stored").lower()
        raise SettingsError(f"{path}: something under {noun}s is no {noun}: {exc}") from exc
