"""One instance of one account: its products, their modules and packages, and the journal that they are kept in."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from bulk.errors import SettingsError
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.sandbox.worlds.journal import Journal
    from bulk.sandbox.worlds.seeds import WorldSeed

__all__ = ["World"]

_ADDED: Final = {"put": StoredModule, "product": StoredProduct, "package": StoredPackage}
"""Operation in the journal → what it adds, or replaces."""

_OPERATIONS: Final = {kind: operation for operation, kind in _ADDED.items()}

Stored = StoredModule | StoredProduct | StoredPackage


class World:
    """Products, modules and packages; every change is in the journal before it is visible."""

    def __init__(
        self,
        journal: Journal | None,
        *,
        products: frozenset[str] | None,
        distributed: frozenset[str] = frozenset(),
        realm: str = "",
    ) -> None:
        """Load this world's records from the journal.

        Args:
            journal: Where changes are kept; ``None``: nowhere.
            products: The products that exist, besides those that the journal names; ``None``: every one does.
            distributed: Products that belong to another account, which distributed them to this one.
            realm: Name of this world in a journal that several share.

        Raises:
            SettingsError: A record can't be read.
        """
        self._journal = journal
        self._realm = realm
        self._any_product = products is None
        self._products = {
            key: StoredProduct(product_key=key, is_owned=key not in distributed)
            for key in (products or frozenset()) | distributed
        }
        self._dropped: set[str] = set()
        self._modules: dict[str, dict[str, StoredModule]] = {}
        self._packages: dict[str, StoredPackage] = {}
        self._unwritten: tuple[Stored, ...] = ()
        """The starting world, until something changes in it: reading a world must not write anything."""

        records = journal.records_of(realm) if journal else ()
        self.is_fresh = not records
        """Whether nothing has ever happened in it."""

        for number, record in records:
            self._replay(record, number)

    def populate(self, seed: WorldSeed) -> None:
        """Give it a starting world."""
        things: tuple[Stored, ...] = (*seed.products, *seed.modules, *seed.packages)
        self._unwritten += things
        self._insert(*things)
        self.is_fresh = self.is_fresh and not things

    def holds_product(self, product_key: str) -> bool:
        """Say whether the product is known here, rather than one of any that exist."""
        return product_key in self._products or product_key in self._modules

    def has_product(self, product_key: str) -> bool:
        """Say whether the product exists."""
        return (self._any_product and product_key not in self._dropped) or self.holds_product(product_key)

    def product(self, product_key: str) -> StoredProduct:
        """Return what is known of a product that exists."""
        return self._products.get(product_key) or StoredProduct(product_key=product_key)

    def products(self) -> tuple[str, ...]:
        """Return the products that can be named: the newest first, those of one time in order of their keys."""
        keys = self._products.keys() | self._modules.keys()
        return tuple(sorted(keys, key=lambda key: (-self.product(key).created_ms, key)))

    def modules(self, product_key: str) -> tuple[StoredModule, ...]:
        """Return the product's modules, oldest first."""
        return tuple(self._modules.get(product_key, {}).values())

    def module(self, product_key: str, module_name: str) -> StoredModule | None:
        """Return the module of that name, whatever its letter case."""
        return self._modules.get(product_key, {}).get(module_name.casefold())

    def packages(self, product_key: str | None = None, module_name: str | None = None) -> tuple[StoredPackage, ...]:
        """Return packages in order of their making: all, those of a product, or those of a module."""
        return tuple(
            package
            for package in self._packages.values()
            if product_key in (None, package.product_key)
            and (module_name is None or module_name.casefold() == package.module_name.casefold())
        )

    def put(self, *things: Stored) -> None:
        """Make modules, products or packages, or replace those of the same name.

        Raises:
            OSError: The journal can't be written; nothing has changed.
        """
        self._write(*map(_record, things))
        self._insert(*things)

    def delete(self, module: StoredModule) -> None:
        """Remove a module, and what packages it has."""
        self._change("delete", product_key=module.product_key, module_name=module.module_name)

    def drop_package(self, package_id: str) -> None:
        """Remove a package; the module stays."""
        self._change("drop_package", package_id=package_id)

    def drop_product(self, product_key: str) -> None:
        """Remove a product with everything in it, so that nobody finds it any more."""
        self._change("drop_product", product_key=product_key)

    def _change(self, operation: str, **fields: str) -> None:
        self._write({"op": operation, **fields})
        self._removers[operation](**fields)

    def _write(self, *records: dict[str, Any]) -> None:
        if self._journal:
            named = {"realm": self._realm} if self._realm else {}
            self._journal.append(*(record | named for record in (*map(_record, self._unwritten), *records)))
            self._unwritten = ()
        self.is_fresh = False

    def _insert(self, *things: Stored) -> None:
        for thing in things:
            if isinstance(thing, StoredPackage):
                self._packages[thing.package_id] = thing
                continue
            self._dropped.discard(thing.product_key)
            if isinstance(thing, StoredProduct):
                self._products[thing.product_key] = thing
            else:
                self._modules.setdefault(thing.product_key, {})[thing.module_name.casefold()] = thing

    @property
    def _removers(self) -> Mapping[str, Callable[..., None]]:
        return {
            "delete": self._remove_module,
            "drop_package": self._remove_package,
            "drop_product": self._remove_product,
        }

    def _remove_module(self, product_key: str, module_name: str) -> None:
        # The product stays, without modules: deleting a module must not make its product unknown.
        self._modules.setdefault(product_key, {}).pop(module_name.casefold(), None)
        for package in self.packages(product_key, module_name):
            self._remove_package(package.package_id)

    def _remove_package(self, package_id: str) -> None:
        self._packages.pop(package_id, None)

    def _remove_product(self, product_key: str) -> None:
        for package in self.packages(product_key):
            self._remove_package(package.package_id)
        self._modules.pop(product_key, None)
        self._products.pop(product_key, None)
        self._dropped.add(product_key)

    def _replay(self, record: Mapping[str, Any], number: int) -> None:
        fields = dict(record)
        operation = fields.pop("op")
        fields.pop("realm", None)
        try:
            if operation in _ADDED:
                self._insert(_ADDED[operation](**fields))
            elif operation in self._removers:
                self._removers[operation](**fields)
            else:
                raise SettingsError(f"the sandbox's state, line {number}: unknown operation {operation!r}")
        except TypeError as exc:
            raise SettingsError(f"the sandbox's state, line {number}: not a {operation} record: {exc}") from exc


def _record(thing: Stored) -> dict[str, Any]:
    return {"op": _OPERATIONS[type(thing)], **asdict(thing)}
