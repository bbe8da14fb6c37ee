"""The cloud that the sandbox stands for: products and their modules, and the journal that they are kept in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import orjson

from bulk.errors import SettingsError
from bulk.model import RESERVED_MODULE_NAME, OtaModule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.sandbox.journal import Journal

__all__ = ["StoredModule", "World"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModule:
    """A module as the platform keeps it."""

    product_key: str
    module_name: str
    alias_name: str | None = None
    desc: str | None = None
    created_at: str
    """As listings show it: ``2020-10-13T09:46Z``."""

    modified_at: str | None = None
    """Likewise; ``None``: never since it was made."""

    @property
    def is_custom(self) -> bool:
        """Whether it takes one of the product's ten slots."""
        return self.module_name != RESERVED_MODULE_NAME

    def as_module(self) -> OtaModule:
        """Return what a client would know of it."""
        return OtaModule(self.product_key, self.module_name, self.alias_name, self.desc)


class World:
    """Products and their modules; every change is in the journal before it is visible."""

    def __init__(self, journal: Journal | None, *, products: frozenset[str] | None) -> None:
        self._journal = journal
        self._products = products
        self._modules: dict[str, dict[str, StoredModule]] = {}
        self._unwritten: tuple[StoredModule, ...] = ()
        """The starting world, until something happens in it: to look at a world must write nothing."""

        for number, record in enumerate(journal.records if journal else (), start=1):
            self._replay(record, number)

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has ever happened in it."""
        return not (self._modules or (self._journal and self._journal.records))

    def populate(self) -> None:
        """Give it the starting world that the package brings along."""
        content = files("bulk.sandbox").joinpath("starting_world.json").read_bytes()
        self._unwritten = tuple(StoredModule(**fields) for fields in orjson.loads(content))
        self._insert(self._unwritten)

    def has_product(self, product_key: str) -> bool:
        """Say whether the product exists."""
        return self._products is None or product_key in self._products or product_key in self._modules

    def products(self) -> tuple[str, ...]:
        """Return the products that can be named, in order of their keys."""
        return tuple(sorted((self._products or frozenset()) | self._modules.keys()))

    def modules(self, product_key: str) -> tuple[StoredModule, ...]:
        """Return the product's modules, oldest first."""
        return tuple(self._modules.get(product_key, {}).values())

    def module(self, product_key: str, module_name: str) -> StoredModule | None:
        """Return the module of that name, whatever its letter case."""
        return self._modules.get(product_key, {}).get(module_name.casefold())

    def put(self, *modules: StoredModule) -> None:
        """Make modules, or replace those of the same name.

        Raises:
            OSError: The journal can't be written; nothing has changed.
        """
        self._write(*({"op": "put", **asdict(module)} for module in modules))
        self._insert(modules)

    def update(self, module: StoredModule, *, alias_name: str | None, desc: str | None, at: str) -> None:
        """Give a module another alias or description; ``None`` leaves it."""
        self.put(
            replace(
                module,
                alias_name=module.alias_name if alias_name is None else alias_name,
                desc=module.desc if desc is None else desc,
                modified_at=at,
            )
        )

    def delete(self, module: StoredModule) -> None:
        """Remove a module."""
        self._write({"op": "delete", "product_key": module.product_key, "module_name": module.module_name})
        self._remove(module.product_key, module.module_name)

    def close(self) -> None:
        """Close the journal."""
        if self._journal:
            self._journal.close()

    def _write(self, *records: dict[str, Any]) -> None:
        if self._journal:
            self._journal.append(*({"op": "put", **asdict(module)} for module in self._unwritten), *records)
            self._unwritten = ()

    def _insert(self, modules: Iterable[StoredModule]) -> None:
        for module in modules:
            self._modules.setdefault(module.product_key, {})[module.module_name.casefold()] = module

    def _remove(self, product_key: str, module_name: str) -> None:
        # The product stays, without modules: deleting a module must not make its product unknown.
        self._modules.setdefault(product_key, {}).pop(module_name.casefold(), None)

    def _replay(self, record: dict[str, Any], number: int) -> None:
        try:
            match record:
                case {"op": "put", **fields}:
                    self._insert([StoredModule(**fields)])
                case {"op": "delete", "product_key": str(product_key), "module_name": str(module_name)}:
                    self._remove(product_key, module_name)
                case _:
                    raise SettingsError(f"the sandbox's state, line {number}: unknown operation {record.get('op')!r}")
        except TypeError as exc:
            raise SettingsError(f"the sandbox's state, line {number}: not a module: {exc}") from exc
