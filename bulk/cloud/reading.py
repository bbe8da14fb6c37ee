"""Read from the platform. Nothing in here can write: exports, comparisons and maps receive only this."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk.cloud.calling import Caller
from bulk.cloud.dialects import (
    common_parameters,
    http_method,
    list_parameters,
    package_parameters,
    product_parameters,
    product_query_parameters,
)
from bulk.cloud.failures import unreadable
from bulk.cloud.paging import PACKAGES_A_PAGE, PRODUCTS_A_PAGE, read_packages, read_product, read_products
from bulk.cloud.replies import UnreadableDataError, read_modules
from bulk.cloud.wire.transport import at_once
from bulk.model import Action, Failure, Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.cloud.replies import Answer
    from bulk.cloud.wire.transport import Leave, Reply, Transport
    from bulk.model import Package, Page, Product, Target

__all__ = ["ReadingClient", "ReadingPlatform"]

Read = TypeVar("Read")


class ReadingPlatform(Protocol):
    """What may be read of the platform. A call is one request, never repeated inside."""

    async def list_modules(self, product_key: str, /, *, leave: Leave = at_once) -> Listing | Failure:
        """Ask for all modules of a product.

        Args:
            product_key: The product's.
            leave: See `cloud.transport.Leave`.

        Raises:
            TurnMissedError: It was too late to send the request, and it was not sent.
        """
        ...

    async def list_packages(
        self, product_key: str | None, /, *, page: int = 1, leave: Leave = at_once
    ) -> Page[Package] | Failure:
        """Ask for a page of update packages; `cloud.paging.gather` makes a whole of them.

        Args:
            product_key: Of the product whose packages are asked for; ``None``: of all products.
            page: Its number, starting at 1.
            leave: As above.

        Raises:
            TurnMissedError: As above.
        """
        ...

    async def list_products(self, *, page: int = 1, leave: Leave = at_once) -> Page[Product] | Failure:
        """Ask for a page of the products that the keys may see, the newest first.

        Args:
            page: Its number, starting at 1.
            leave: As above.

        Raises:
            TurnMissedError: As above.
        """
        ...

    async def show_product(self, product_key: str, /, *, leave: Leave = at_once) -> Product | Failure:
        """Ask for one product: only this reply says whether the product is this account's own.

        Args:
            product_key: The product's.
            leave: As above.

        Raises:
            TurnMissedError: As above.
        """
        ...


class ReadingClient:
    """The platform, behind HTTP, for those who only read."""

    def __init__(
        self,
        *,
        target: Target,
        endpoint: str,
        credentials: CredentialProvider,
        transport: Transport,
        timeout_s: float = 10.0,
        wall_clock: Callable[[], float] = time.time,
        nonce: Callable[[], str] | None = None,
        on_clock_corrected: Callable[[float], None] | None = None,
    ) -> None:
        """Only store what calls will need.

        Args:
            target: Its dialect and instance say how requests are written.
            endpoint: Where requests go: the target's endpoint, or the sandbox's address.
            credentials: Asked for keys before every request, and for other keys when the platform refuses them.
            transport: Sends each request exactly once.
            timeout_s: For one request, from connecting to the last byte of the reply.
            wall_clock: Seconds since the epoch.
            nonce: Never returns the same text twice, of unreserved characters alone; default: `unique_nonces`.
            on_clock_corrected: Receives the platform's time minus ours, in seconds, when the clock is corrected.
        """
        self._caller = Caller(
            endpoint=endpoint,
            method=http_method(target.dialect),
            common=partial(common_parameters, target),
            credentials=credentials,
            transport=transport,
            timeout_s=timeout_s,
            wall_clock=wall_clock,
            nonce=nonce,
            on_clock_corrected=on_clock_corrected,
        )

    async def list_modules(self, product_key: str, *, leave: Leave = at_once) -> Listing | Failure:
        """See `ReadingPlatform.list_modules`."""

        def read(reply: Reply, answer: Answer) -> Listing:
            return Listing(read_modules(answer.data, product_key), answer.request_id, reply.status)

        return await self._read(Action.LIST, list_parameters(product_key), leave, read)

    async def list_packages(
        self, product_key: str | None, *, page: int = 1, leave: Leave = at_once
    ) -> Page[Package] | Failure:
        """See `ReadingPlatform.list_packages`."""

        def read(reply: Reply, answer: Answer) -> Page[Package]:
            return read_packages(answer, page, product_key, status=reply.status)

        parameters = package_parameters(product_key, page=page, size=PACKAGES_A_PAGE)
        return await self._read(Action.LIST_PACKAGES, parameters, leave, read)

    async def list_products(self, *, page: int = 1, leave: Leave = at_once) -> Page[Product] | Failure:
        """See `ReadingPlatform.list_products`."""

        def read(reply: Reply, answer: Answer) -> Page[Product]:
            return read_products(answer, page, status=reply.status)

        parameters = product_parameters(page=page, size=PRODUCTS_A_PAGE)
        return await self._read(Action.LIST_PRODUCTS, parameters, leave, read)

    async def show_product(self, product_key: str, *, leave: Leave = at_once) -> Product | Failure:
        """See `ReadingPlatform.show_product`."""

        def read(_reply: Reply, answer: Answer) -> Product:
            return read_product(answer, product_key)

        return await self._read(Action.SHOW_PRODUCT, product_query_parameters(product_key), leave, read)

    async def _read(
        self, action: Action, parameters: dict[str, str], leave: Leave, read: Callable[[Reply, Answer], Read]
    ) -> Read | Failure:
        """Send the request and read the reply; a success that can't be read counts as a failure."""
        credentials = await self._caller.current()
        result = await self._caller.call(action, parameters, credentials, leave)
        if isinstance(result, Failure):
            return result
        reply, answer = result
        try:
            return read(reply, answer)
        except UnreadableDataError as exc:
            return unreadable(reply, str(exc), credentials=credentials, request_id=answer.request_id)
