"""What the platform lists page by page: products, and the update packages of modules.

A part of `bulk.model`, which offers them to all other modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Identity", "Package", "Packages", "Page", "Product"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One complete page of a list: it has as many entries as its own figures require.

    Pages do not show one moment: entries that are made or deleted meanwhile move others from one page to another.
    `bulk.cloud.paging.gather` combines the pages.
    """

    items: tuple[Item, ...]
    number: int
    """Starting at 1."""

    size: int
    """Entries of a full page."""

    total: int
    """Entries of all pages, when this one was read."""

    request_id: str | None
    http_status: int

    @property
    def is_last(self) -> bool:
        """Whether no page follows, as far as this one knows."""
        return not self.items or self.number * self.size >= self.total


class Product(NamedTuple):
    """A product, as the list of an account's products shows it, or QueryProduct."""

    product_key: str
    name: str
    created_at: float | None = None
    """In seconds since the epoch, UTC; ``None``: not readable."""

    is_owned: bool | None = None
    """``False``: another account distributed it to this one. ``None``: not said, as the documented list never does."""


class Package(NamedTuple):
    """An OTA update package, as ListOTAFirmware shows it."""

    firmware_id: str
    product_key: str
    module_name: str | None
    """``None``: the list does not say, so it may be any module's."""

    name: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Packages:
    """All packages of a product. Made only from a complete list: with a part, other modules would look free."""

    packages: tuple[Package, ...]

    def of(self, module_name: str) -> tuple[Package, ...]:
        """Return the packages that a module holds, and those that name no module and may be its own.

        Args:
            module_name: In any letter case, as the platform ignores it.
        """
        name = module_name.casefold()
        return tuple(_of(name, self.packages))


def _of(name: str, packages: Iterable[Package]) -> Iterable[Package]:
    return (package for package in packages if package.module_name is None or package.module_name.casefold() == name)


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of the keys, as GetCallerIdentity says it."""

    uid: str
    """The account's ID, by which the platform counts requests: all its users share its rates."""

    arn: str
    """The ARN of the user or role, such as ``acs:ram::1234567890123456:user/nightly``."""

    request_id: str | None
    http_status: int
