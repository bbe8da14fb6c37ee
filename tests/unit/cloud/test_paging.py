"""A page is complete or no page; a whole is made of pages that belong together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk.cloud.paging import gather, read_packages, read_products
from bulk.cloud.replies import UnreadableDataError, read_answer
from bulk.model import Failure, FailureKind, Package, Packages, Page, Product

PRODUCTS = [{"ProductKey": f"a1{number:04d}", "ProductName": f"灯 {number}"} for number in range(3)]
PACKAGE = {"FirmwareId": "f1", "ProductKey": "a1****", "ModuleName": "MCU", "FirmwareName": "n", "DestVersion": "1.0"}


def products(fields: dict[str, Any], number: int = 1) -> Page[Product]:
    return read_products(read_answer(orjson.dumps({"Success": True, **fields})), number, status=200)


def packages(fields: dict[str, Any], number: int = 1, product_key: str | None = "a1") -> Page[Package]:
    return read_packages(read_answer(orjson.dumps({"Success": True, **fields})), number, product_key, status=200)


def paged(entries: object, *, total: int, number: int = 1, size: int = 200, wrapped: bool = True) -> dict[str, Any]:
    shown = {"ProductInfo": entries} if wrapped else entries
    return {"Data": {"CurrentPage": number, "PageSize": size, "PageCount": 1, "Total": total, "List": shown}}


def lowered(value: Any) -> Any:
    """Write keys as Tuya does."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: lowered(inner) for name, inner in value.items()}
    return [lowered(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("spelled", [lambda fields: fields, lowered])
@pytest.mark.parametrize("wrapped", [True, False])
def test_products_are_read_in_every_documented_shape(spelled: Any, wrapped: bool) -> None:
    page = products(spelled(paged(PRODUCTS, total=3, wrapped=wrapped)))

    assert [product.product_key for product in page.items] == ["a10000", "a10001", "a10002"]
    assert page.items[0].name == "灯 0"
    assert (page.total, page.is_last) == (3, True)


def test_product_says_when_it_was_made_and_whose_it_is_where_the_list_does() -> None:
    entries = [{"ProductKey": "a", "GmtCreate": 1581595942000, "Owner": False}, {"ProductKey": "b", "Owner": True}]

    theirs, ours, silent = products(paged([*entries, {"ProductKey": "c"}], total=3)).items

    assert (theirs.created_at, theirs.is_owned) == (1581595942.0, False)
    assert (ours.is_owned, silent.is_owned) == (True, None)


def test_page_past_the_last_is_empty() -> None:
    page = products(paged([], total=20, number=5, size=5), number=5)

    assert (page.items, page.is_last) == ((), True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (paged(PRODUCTS, total=4), "3 of the 4 entries"),
        (paged(PRODUCTS, total=2), "3 of the 2 entries"),
        (paged(PRODUCTS, total=250, size=200), "3 of the 200 entries"),
        (paged(None, total=3), "0 of the 3 entries"),
        (paged(PRODUCTS, total=3, number=2), "page 2 came"),
        ({"Data": {"List": {"ProductInfo": PRODUCTS}}}, "no readable Total"),
        ({"Data": None}, "no readable Total"),
        (paged([{"ProductName": "no key"}], total=1), "no ProductKey"),
        (paged(["a1"], total=1), "not an entry"),
        (paged({"Other": PRODUCTS, "More": 1}, total=3, wrapped=False), "neither an entry nor a wrapped list"),
    ],
)
def test_page_that_is_incomplete_or_contradicts_itself_is_none(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UnreadableDataError, match=words):
        products(fields)


def test_server_that_gives_smaller_pages_than_asked_for_is_followed() -> None:
    entries = [{"ProductKey": f"a{number}"} for number in range(50)]

    page = products(paged(entries, total=120, size=50))

    assert (page.size, page.is_last) == (50, False)


@pytest.mark.parametrize("spelled", [lambda fields: fields, lowered])
@pytest.mark.parametrize(
    "info", [{"SimpleFirmwareInfo": [PACKAGE]}, [PACKAGE], {"SimpleFirmwareInfo": PACKAGE}, PACKAGE]
)
def test_packages_are_read_in_every_documented_shape(spelled: Any, info: object) -> None:
    figures = {"CurrentPage": 1, "PageSize": 100, "PageCount": 1, "Total": 1}

    for fields in ({**figures, "FirmwareInfo": info}, {"Data": {**figures, "FirmwareInfo": info}}):
        assert packages(spelled(fields)).items == (Package("f1", "a1", "MCU", "n", "1.0"),)


def test_entries_may_be_the_data_itself() -> None:
    assert packages({"Total": 1, "Data": [PACKAGE]}).items == (Package("f1", "a1", "MCU", "n", "1.0"),)
    assert products({"Total": 3, "Data": PRODUCTS}).total == 3


def test_product_without_packages_has_an_empty_page() -> None:
    assert packages({"Total": 0, "FirmwareInfo": {"SimpleFirmwareInfo": []}}).items == ()
    assert packages({"Total": "0", "FirmwareInfo": {}}).items == ()
    assert packages({"Total": 0}).items == ()


@pytest.mark.parametrize("missing", ["FirmwareId", "ProductKey"])
def test_package_that_can_not_be_told_apart_is_unreadable(missing: str) -> None:
    entry = {name: value for name, value in PACKAGE.items() if name != missing}

    with pytest.raises(UnreadableDataError):
        packages({"Total": 1, "FirmwareInfo": [entry]}, product_key=None)


def test_module_holds_its_packages_in_any_letter_case_and_those_that_do_not_say_whose_they_are() -> None:
    mcu, other, silent = (Package("1", "a", "MCU"), Package("2", "a", "ble"), Package("3", "a", None))

    whole = Packages((mcu, other, silent))

    assert whole.of("mcu") == (mcu, silent)
    assert Packages((other,)).of("mcu") == ()


class Shelf:
    """A list of the platform, newest first; something happens after each page."""

    def __init__(self, size: int, *events: Any, names: int = 7) -> None:
        self.names = [f"p{number}" for number in range(names)]
        self.size = size
        self.asked: list[int] = []
        self._events = list(events)

    async def page(self, number: int) -> Page[Product] | Failure | None:
        self.asked.append(number)
        shown = self.names[(number - 1) * self.size : number * self.size]
        page = Page(tuple(Product(name, "") for name in shown), number, self.size, len(self.names), None, 200)
        event = self._events.pop(0) if self._events else None
        if callable(event):
            event(self)
            return page
        return page if event is None else event


def add(shelf: Shelf) -> None:
    shelf.names.insert(0, f"new{len(shelf.names)}")


def drop(shelf: Shelf) -> None:
    shelf.names.pop(0)


def swap(shelf: Shelf) -> None:
    drop(shelf)
    shelf.names.append("late")


async def test_all_pages_make_a_whole() -> None:
    shelf = Shelf(3)

    entries = await gather(shelf.page)

    assert isinstance(entries, tuple)
    assert [product.product_key for product in entries] == shelf.names
    assert shelf.asked == [1, 2, 3] * 2  # as one reading can't tell whether the list moved meanwhile


async def test_list_of_one_page_is_read_once() -> None:
    shelf = Shelf(10)

    entries = await gather(shelf.page)

    assert isinstance(entries, tuple)
    assert (len(entries), shelf.asked) == (7, [1])


@pytest.mark.parametrize("event", [add, drop, swap])
async def test_list_that_moves_while_it_is_read_is_read_again(event: Any) -> None:
    shelf = Shelf(3, event)

    entries = await gather(shelf.page)

    assert isinstance(entries, tuple)
    assert [product.product_key for product in entries] == shelf.names


async def test_list_that_never_holds_still_is_no_whole_list() -> None:
    shelf = Shelf(3, *[add] * 100)

    result = await gather(shelf.page)

    assert isinstance(result, Failure)
    assert (result.kind, result.code) == (FailureKind.DOUBTFUL, "pages_shifted")
    assert len(shelf.asked) < 30


async def test_list_that_moves_is_given_time_to_hold_still() -> None:
    shelf = Shelf(3, *[add] * 20)
    pauses: list[float] = []

    async def pause(pause_s: float) -> bool:
        pauses.append(pause_s)
        return False

    entries = await gather(shelf.page, pause=pause)

    assert isinstance(entries, tuple)
    assert [product.product_key for product in entries] == shelf.names
    assert pauses == sorted(pauses)
    assert sum(pauses) > 30


async def test_run_that_stops_while_a_list_moves_ends_the_reading() -> None:
    async def stopping(_pause_s: float) -> bool:
        return True

    assert await gather(Shelf(3, add).page, pause=stopping) is None


async def test_page_that_fails_leaves_no_short_list() -> None:
    failed = Failure(kind=FailureKind.DOUBTFUL, code="timeout", message="no answer")

    assert await gather(Shelf(3, None, failed).page) is failed


async def test_run_that_stops_ends_the_reading() -> None:
    async def nothing(_number: int) -> None:
        return None

    assert await gather(nothing) is None


async def test_pages_that_never_end_end() -> None:
    async def same(number: int) -> Page[Product]:
        return (
            Page((Product("a", ""),), number, 1, 10**6, None, 200)
            if number < 50
            else Page((), number, 1, 10**6, None, 200)
        )

    assert isinstance(await gather(same), Failure)


@given(
    names=st.integers(1, 30),
    size=st.integers(1, 10),
    moves=st.lists(st.sampled_from([None, add, drop, swap]), max_size=8),
)
async def test_whole_has_what_was_there_all_the_time(names: int, size: int, moves: list[Any]) -> None:
    shelf = Shelf(size, *moves, names=names + len(moves))
    before = set(shelf.names)

    entries = await gather(shelf.page)

    if isinstance(entries, tuple):
        assert {product.product_key for product in entries} >= before & set(shelf.names)
        assert len({product.product_key for product in entries}) == len(entries)
