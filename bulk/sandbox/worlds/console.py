"""Change a world from outside, as a person at the platform's own console does: no key, no rate, no fault."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulk.model import MAX_CUSTOM_MODULES
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.sandbox.worlds.world import World

__all__ = ["Console"]


class Console:
    """The console of one account; what the platform would not allow is a `ValueError` of the test's own."""

    def __init__(self, world: World, *, clock: Callable[[], float]) -> None:
        """Open the console.

        Args:
            world: What is changed.
            clock: The platform's time, in seconds since the epoch.
        """
        self.world = world
        self._clock = clock

    def create(
        self, product_key: str, module_name: str, *, alias_name: str | None = None, desc: str | None = None
    ) -> None:
        """Make a module."""
        custom = [module for module in self.world.modules(product_key) if module.is_custom]
        if self.world.module(product_key, module_name) or len(custom) >= MAX_CUSTOM_MODULES:
            raise ValueError(f"{product_key} has {module_name} already, or no slot for it")
        self.world.put(
            StoredModule(
                product_key=product_key,
                module_name=module_name,
                alias_name=alias_name,
                desc=desc,
                created_at=self._stamp("minutes"),
            )
        )

    def update(self, product_key: str, module_name: str, *, alias_name: str | None, desc: str | None) -> None:
        """Give a module these texts; ``None``: it has none."""
        module = self._module(product_key, module_name)
        self.world.put(replace(module, alias_name=alias_name, desc=desc, modified_at=self._stamp("minutes")))

    def delete(self, product_key: str, module_name: str) -> None:
        """Remove a module, whatever packages it has."""
        self.world.delete(self._module(product_key, module_name))

    def add_package(self, product_key: str, module_name: str, *, version: str = "1.0.0") -> str:
        """Upload a package for a module, and return its id."""
        module = self._module(product_key, module_name)
        taken = [int(package.package_id) for package in self.world.packages() if package.package_id.isdigit()]
        package_id = str(max(taken, default=0) + 1)
        self.world.put(
            StoredPackage(
                package_id=package_id,
                product_key=product_key,
                module_name=module.module_name,
                version=version,
                created_at=self._stamp("milliseconds"),
            )
        )
        return package_id

    def add_product(self, product_key: str, *, product_name: str = "", is_owned: bool = True) -> None:
        """Make a product: the newest, so that it comes first in lists and shifts their pages."""
        now_ms = round(self._clock() * 1000)
        product = StoredProduct(
            product_key=product_key, product_name=product_name, created_ms=now_ms, is_owned=is_owned
        )
        self.world.put(product)

    def drop_product(self, product_key: str) -> None:
        """Remove a product with everything in it."""
        self.world.drop_product(product_key)

    def drop_package(self, package_id: str) -> None:
        """Remove a package."""
        self.world.drop_package(package_id)

    def _module(self, product_key: str, module_name: str) -> StoredModule:
        module = self.world.module(product_key, module_name)
        if module is None:
            raise ValueError(f"{product_key} has no module {module_name}")
        return module

    def _stamp(self, precision: str) -> str:
        return datetime.fromtimestamp(self._clock(), UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"
