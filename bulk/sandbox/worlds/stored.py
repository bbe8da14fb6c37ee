"""What the platform keeps: products, their modules, and the packages of the modules. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from bulk.model import RESERVED_MODULE_NAME, OtaModule

__all__ = ["StoredModule", "StoredPackage", "StoredProduct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModule:
    """A module as the platform keeps it."""

    product_key: str
    module_name: str
    alias_name: str | None = None
    desc: str | None = None
    created_at: str = "2024-11-01T02:00Z"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProduct:
    """What the platform knows of a product, besides its modules."""

    product_key: str
    product_name: str = ""
    """Empty: named after its key."""

    created_ms: int = 0
    """When it was made, in milliseconds since the epoch; lists of products show the newest first."""

    is_owned: bool = True
    """Whether it is the account's own; a product that another account distributed to it is not."""

    description: str | None = None
    node_type: int = 0

    @property
    def shown_name(self) -> str:
        """The name that queries show."""
        return self.product_name or f"Product {self.product_key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPackage:
    """An update package; the module that it is for can't be deleted while it is there."""

    package_id: str
    product_key: str
    module_name: str
    version: str = "1.0.0"
    source_version: str = ""
    name: str = ""
    """Empty: named after its id."""

    kind: int = 0
    """0: the whole firmware; 1: a difference to ``source_version``."""

    status: int = 0
    """0: not verified; 1: verified; 2: being verified; 3: verification failed."""

    created_at: str = "2024-11-01T02:00:00.000Z"
