"""What an action is, and what it works with. To add an action, add one value in its kind's file and the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from bulk.sandbox.results import Refused, Result, error_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.model import Dialect
    from bulk.sandbox.accounts.account import Account
    from bulk.sandbox.accounts.directory import Caller, Directory
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.worlds.cloud import Cloud
    from bulk.sandbox.worlds.world import World

__all__ = ["Api", "ApiAction", "Desk", "Page", "Window", "always", "check_product", "read_page"]

_BAD_PAGE: Final = "iot.common.InvalidPageParams"
_Thing = TypeVar("_Thing")


class Api(StrEnum):
    """The services that the sandbox plays; the values are the versions that requests must name."""

    IOT = "2018-01-20"
    STS = "2015-04-01"


@dataclass(frozen=True, slots=True)
class Window:
    """A rate limit: requests that share it are counted together, by the account's UID."""

    name: str
    """Its name in ``--rate`` and an accounts file."""

    granted: Callable[[Account], float]
    """Requests a second, unless the account says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAction:
    """One action of the platform: its name, its rate limit, and what it does."""

    name: str
    prefix: str
    """Its name in faults, rates and permissions."""

    window: Callable[[Mapping[str, str]], Window]
    """Which limit a request with these parameters counts against."""

    perform: Callable[[Desk], Result]
    """Carry it out.

    Raises:
        OSError: The change could not be written to the journal, and was not made.
    """

    api: Api = Api.IOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an action works with."""

    world: World
    """The products of the instance that the request names."""

    cloud: Cloud
    caller: Caller
    directory: Directory
    config: SandboxConfig
    dialect: Dialect
    params: Mapping[str, str]
    now: float
    """The platform's time, in seconds since the epoch."""

    @property
    def product_key(self) -> str:
        """The product that it is about."""
        return self.params.get("ProductKey", "")

    @property
    def stamp(self) -> str:
        """The time as the world keeps it: to the minute."""
        return datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None).isoformat(timespec="minutes") + "Z"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    number: int
    """Starting at 1."""

    size: int

    def cut(self, things: tuple[_Thing, ...]) -> tuple[_Thing, ...]:
        """Return what is on this page; past the last page, nothing."""
        return things[(self.number - 1) * self.size : self.number * self.size]

    def counts(self, total: int) -> dict[str, int]:
        """Return what replies say of pages."""
        pages = -(-total // self.size)
        return {"CurrentPage": self.number, "PageSize": self.size, "PageCount": pages, "Total": total}


def always(name: str, granted: Callable[[Account], float]) -> Callable[[Mapping[str, str]], Window]:
    """Return a window that every request of an action counts against."""
    window = Window(name, granted)
    return lambda _: window


def read_page(params: Mapping[str, str], *, max_size: int) -> Page | Refused:
    """Read CurrentPage and PageSize, which the platform requires."""
    number, size = (_whole(params.get(name, "")) for name in ("CurrentPage", "PageSize"))
    if number < 1 or not 1 <= size <= max_size:
        return Refused(_BAD_PAGE, f"CurrentPage starts at 1 and PageSize is 1 to {max_size}.")
    return Page(number, size)


def check_product(desk: Desk) -> Result | None:
    """Refuse a product that is not named, does not exist, or is another account's."""
    if not desk.product_key:
        return Refused("iot.prod.NullProductKey", "The product key is empty.")
    if desk.world.holds_product(desk.product_key):
        return None
    if desk.cloud.is_foreign(desk.product_key, uid=desk.caller.account.uid):
        return error_of(desk.config.foreign_code, "The product belongs to another account.")
    if not desk.world.has_product(desk.product_key) or desk.cloud.is_elsewhere(desk.product_key, desk.world):
        return Refused("iot.prod.NotExistedProduct", "The product does not exist.")
    return None


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
