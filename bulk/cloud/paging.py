"""Read all pages of a list. An incomplete page is refused; a list that changed meanwhile is read again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bulk.cloud.replies import UnreadableDataError, text_of, truth_of
from bulk.model import Failure, FailureKind, Package, Page, Product
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from bulk.cloud.replies import Answer

__all__ = ["PACKAGES_A_PAGE", "PRODUCTS_A_PAGE", "gather", "read_packages", "read_product", "read_products"]

PACKAGES_A_PAGE = 100
"""The most that ListOTAFirmware gives (its page, both platforms)."""

PRODUCTS_A_PAGE = 200
"""The most that QueryProductList gives (its page, both platforms)."""

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, *(8.0,) * 6)
"""Wait before each further reading of a list that moved: a person who makes products goes on for a while."""

Item = TypeVar("Item", bound=Package | Product)


async def _no_pause(_pause_s: float) -> bool:
    return False


async def gather(
    ask: Callable[[int], Awaitable[Page[Item] | Failure | None]],
    *,
    pause: Callable[[float], Awaitable[bool]] = _no_pause,
) -> tuple[Item, ...] | Failure | None:
    """Read all pages until two readings in succession agree, and return each entry once.

    An entry that is made or deleted meanwhile moves others to another page. Then one entry may be seen twice and
    another one never; if both happen, the total does not show it. A single page shows one moment, and is read once.

    Args:
        ask: Asks for the page of that number, starting at 1; it keeps the pace and repeats what failed. It returns
            ``None`` if the run is stopping.
        pause: Waits so many seconds after a reading in which the list moved; returns whether the run is stopping.

    Returns:
        The entries, the failure of a page that could not be read, or ``None`` as ``ask`` returned it.
    """
    before: _Reading[Item] | None = None
    totals: list[int] = []
    for pause_s in (*PAUSES_S, None):
        reading = await _read_through(ask)
        if reading is None or isinstance(reading, Failure):
            return reading
        if reading.is_whole and (reading.pages == 1 or (before and before.entries.keys() == reading.entries.keys())):
            return tuple(reading.entries.values())
        totals.append(reading.total)
        moved = not reading.is_whole or (before is not None and before.is_whole)
        if moved and pause_s is not None and await pause(pause_s):
            return None
        before = reading
    return Failure(
        kind=FailureKind.DOUBTFUL,
        code="pages_shifted",
        message=f"the list changed while it was read, {len(totals)} times in a row; its totals: {totals}",
        remedy="Run again when nothing else creates or deletes there.",
    )


@dataclass(slots=True)
class _Reading(Generic[Item]):
    """What all pages showed, from the first to the last."""

    total: int
    """As the first page says it."""

    entries: dict[Hashable, Item] = field(default_factory=dict)
    pages: int = 0
    held_still: bool = True
    """Whether every page gave the same total."""

    @property
    def is_whole(self) -> bool:
        """Whether it shows as many entries as the total says."""
        return self.held_still and len(self.entries) == self.total

    def add(self, page: Page[Item]) -> None:
        self.pages += 1
        self.held_still &= page.total == self.total
        self.entries |= {_key_of(item): item for item in page.items}


async def _read_through(
    ask: Callable[[int], Awaitable[Page[Item] | Failure | None]],
) -> _Reading[Item] | Failure | None:
    reading: _Reading[Item] | None = None
    number = 1
    while True:
        page = await ask(number)
        if page is None or isinstance(page, Failure):
            return page
        reading = reading or _Reading(page.total)
        reading.add(page)
        if page.is_last or not reading.held_still:
            return reading
        number += 1


def _key_of(item: Package | Product) -> Hashable:
    return item.firmware_id if isinstance(item, Package) else item.product_key


def read_packages(answer: Answer, number: int, product_key: str | None, *, status: int) -> Page[Package]:
    """Read a page of ListOTAFirmware.

    Args:
        answer: The reply.
        number: Of the page that was asked for.
        product_key: The product that was asked for; ``None``: all.
        status: HTTP status of the reply.

    Raises:
        UnreadableDataError: It is incomplete, contradicts itself, or has a shape that no document shows.
    """
    fields = _fields_of(answer)
    items = _items(fields, "firmwareinfo", "simplefirmwareinfo", mark="firmwareid")
    packages = tuple([_read_package(item, product_key) for item in items])
    total, size = _figures(fields, number, PACKAGES_A_PAGE, entries=len(packages))
    return Page(packages, number, size, total, answer.request_id, status)


def read_products(answer: Answer, number: int, *, status: int) -> Page[Product]:
    """Read a page of QueryProductList.

    Args:
        answer: The reply.
        number: Of the page that was asked for.
        status: HTTP status of the reply.

    Raises:
        UnreadableDataError: As above.
    """
    fields = _fields_of(answer)
    products = tuple([_read_product(item) for item in _items(fields, "list", "productinfo", mark="productkey")])
    total, size = _figures(fields, number, PRODUCTS_A_PAGE, entries=len(products))
    return Page(products, number, size, total, answer.request_id, status)


def read_product(answer: Answer, product_key: str) -> Product:
    """Read what QueryProduct says of one product. Its reply holds the ProductSecret, which is not read.

    Args:
        answer: The reply.
        product_key: The product that was asked for: the documents' samples mask theirs.

    Raises:
        UnreadableDataError: It says nothing of a product.
    """
    if not isinstance(answer.data, dict):
        raise UnreadableDataError("Data is no product")
    return _read_product({**_lowered(answer.data), "productkey": product_key})


def _figures(fields: Mapping[str, Any], number: int, asked: int, *, entries: int) -> tuple[int, int]:
    """Return the total and the size of a full page, if the page has as many entries as these two require."""
    total, shown_number = _whole(fields.get("total")), _whole(fields.get("currentpage"))
    if total is None:
        raise UnreadableDataError("the page has no readable Total")
    if shown_number is not None and shown_number != number:
        raise UnreadableDataError(f"page {number} was asked for, and page {shown_number} came")
    size = min(_whole(fields.get("pagesize")) or asked, asked)
    expected = max(0, min(size, total - (number - 1) * size))
    if entries != expected:
        raise UnreadableDataError(f"page {number} shows {entries} of the {expected} entries that it should have")
    return total, size


def _fields_of(answer: Answer) -> dict[str, Any]:
    """Return a reply's fields, including those of its Data, by names in lower case."""
    data = answer.data
    inner = _lowered(data) if isinstance(data, dict) else {}
    return {**inner, **{name: value for name, value in _lowered(answer.fields).items() if value is not None}}


def _items(fields: Mapping[str, Any], name: str, wrapper: str, *, mark: str) -> list[dict[str, Any]]:
    """Return a page's entries with names in lower case, from a list, a wrapped list, one object, or nothing."""
    value = fields.get(name)
    if value is None and isinstance(fields.get("data"), list):
        value = fields["data"]
    if isinstance(value, dict):
        named = _lowered(value)
        if mark not in named and wrapper not in named and named:
            raise UnreadableDataError(f"{name} is an object that is neither an entry nor a wrapped list")
        value = value if mark in named else named.get(wrapper)
    entries = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        raise UnreadableDataError(f"{name} holds something that is not an entry")
    return [_lowered(entry) for entry in entries]


def _read_package(item: Mapping[str, Any], product_key: str | None) -> Package:
    firmware_id = text_of(item.get("firmwareid"))
    # Samples mask the ProductKey, so the one that was asked for is preferred.
    key = product_key or text_of(item.get("productkey"))
    if not firmware_id or not key:
        raise UnreadableDataError("a package has no FirmwareId or no ProductKey")
    module_name = text_of(item.get("modulename")) or None
    return Package(firmware_id, key, module_name, text_of(item.get("firmwarename")), text_of(item.get("destversion")))


def _read_product(item: Mapping[str, Any]) -> Product:
    key = text_of(item.get("productkey"))
    if not key:
        raise UnreadableDataError("a product has no ProductKey")
    made_at, is_owned = utc_seconds(item.get("gmtcreate")), truth_of(item.get("owner"))
    return Product(key, text_of(item.get("productname")), made_at, is_owned)


def _lowered(fields: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name).lower(): value for name, value in fields.items()}


def _whole(value: object) -> int | None:
    text = text_of(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - more is no count
