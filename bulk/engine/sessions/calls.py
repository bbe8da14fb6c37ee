"""What lanes may ask the platform, and send to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.cloud.paging import gather
from bulk.engine.sessions.requests import Requests
from bulk.model import Action

if TYPE_CHECKING:
    from bulk.cloud.client import Platform
    from bulk.cloud.wire.transport import Leave
    from bulk.engine.sessions.requests import Way
    from bulk.model import Accepted, Change, Failure, Listing, Package, Page

__all__ = ["Calls"]


class Calls(Requests):
    """The lanes' connection to the platform. The answer ``None`` means that the run is stopping: nothing was sent."""

    def __init__(self, platform: Platform, way: Way) -> None:
        """Take the platform, which sends each request once, and the rules that all requests follow."""
        super().__init__(way)
        self._platform = platform

    async def list_modules(self, product_key: str) -> Listing | Failure | None:
        """List a product's modules; repeat while that may help."""
        return await self._ask(Action.LIST, self._platform.list_modules, product_key, key=(product_key, None))

    async def list_packages(self, product_key: str) -> tuple[Package, ...] | Failure | None:
        """List all update packages of a product; repeat while that may help."""

        async def ask(number: int) -> Page[Package] | Failure | None:
            return await self._ask_page(product_key, number)

        return await gather(ask)

    async def _ask_page(self, product_key: str, number: int) -> Page[Package] | Failure | None:
        async def request(key: str, *, leave: Leave) -> Page[Package] | Failure:
            return await self._platform.list_packages(key, page=number, leave=leave)

        # A permanent refusal only means that nothing is deleted here: it does not stop the account.
        return await self._ask(Action.LIST_PACKAGES, request, product_key, key=(product_key, None), stops=False)

    async def apply(self, change: Change, *, repeat: bool) -> Accepted | Failure | None:
        """Send one change, once; ``repeat``: after a request for it that failed."""
        wanted = change.wanted
        key = wanted.product_key, wanted.module_name
        return await self._send(change.action, self._platform.apply, change, key=key, repeat=repeat)

    def proved(self, change: Change) -> None:
        """Note that a change whose reply was lost was carried out: the platform works, only its replies are late."""
        self._answered(change.action)
        self._breaker.answered(change.action, (change.wanted.product_key, change.wanted.module_name))
