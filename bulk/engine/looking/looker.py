"""Read from one account, at its pace, and retry if that may help. Its platform has no methods that write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.cloud.paging import gather
from bulk.engine.sessions.requests import Requests
from bulk.events import LaneClosed, LaneOpened
from bulk.model import Action

if TYPE_CHECKING:
    from bulk.cloud.reading import ReadingPlatform
    from bulk.cloud.wire.transport import Leave
    from bulk.engine.sessions.requests import Way
    from bulk.model import Failure, Listing, Page, Product

__all__ = ["Looker"]


class Looker(Requests):
    """One account's reader. ``None`` as an answer means that the work is stopping."""

    def __init__(self, platform: ReadingPlatform, way: Way) -> None:
        """Take the platform, which sends each request once, and the rules that all requests follow."""
        super().__init__(way)
        self._platform = platform
        self.account = way.account

    async def list_modules(self, product_key: str) -> Listing | Failure | None:
        """List a product's modules."""
        self._listener(LaneOpened(product_key, 0, self.account))
        try:
            return await self._ask(Action.LIST, self._platform.list_modules, product_key, key=(product_key, None))
        finally:
            self._listener(LaneClosed(product_key, self.account))

    async def list_products(self) -> tuple[Product, ...] | Failure | None:
        """List all products of the account; if pages shift while they are read, read them again."""
        return await gather(self._ask_page, pause=self._stop.sleep)

    async def _ask_page(self, number: int) -> Page[Product] | Failure | None:
        async def request(page: int, *, leave: Leave) -> Page[Product] | Failure:
            return await self._platform.list_products(page=page, leave=leave)

        return await self._ask(Action.LIST_PRODUCTS, request, number, key=("", None))

    async def show_product(self, product_key: str) -> Product | Failure | None:
        """Ask for one product: its name, and whether the account owns it."""
        return await self._ask(Action.SHOW_PRODUCT, self._platform.show_product, product_key, key=(product_key, None))
