"""Announce an account's requests and retries to the listener."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bulk.events import AttemptMade, RetryScheduled
from bulk.model import Action, Attempt, Failure, Product

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.events import Listener
    from bulk.model import Accepted, Listing, Package, Page

__all__ = ["Notes"]


class Notes:
    """Announces the results of requests to a listener only; `Recorder` also writes the ledger."""

    def __init__(self, *, listener: Listener, account: str = "", wall_clock: Callable[[], float] = time.time) -> None:
        """Only store the listener.

        Args:
            listener: Learns of every attempt and retry.
            account: Owner of the requests; empty if no accounts are named.
            wall_clock: Seconds since the epoch.
        """
        self._listener = listener
        self._account = account
        self._wall_clock = wall_clock

    def attempted(
        self,
        action: Action,
        answer: Listing | Accepted | Product | Page[Package] | Page[Product] | Failure,
        key: tuple[str, str | None],
        *,
        latency_s: float,
        repeat: bool,
        left_s: float | None = None,
    ) -> None:
        """Note one request and its answer.

        Args:
            action: What it asked for.
            answer: How it ended.
            key: ProductKey and ModuleName of its subject; a listing has no ModuleName.
            latency_s: How long it took.
            repeat: The request before it failed.
            left_s: When it left, by the clock of its rate; ``None``: it did not leave.
        """
        del repeat
        self._listener(AttemptMade(self._attempt(action, answer, key, latency_s, left_s)))

    def _attempt(
        self,
        action: Action,
        answer: Listing | Accepted | Product | Page[Package] | Page[Product] | Failure,
        key: tuple[str, str | None],
        latency_s: float,
        left_s: float | None,
    ) -> Attempt:
        failure = answer if isinstance(answer, Failure) else None
        # A product is kept without its reply, because the reply contains the ProductSecret.
        reply = None if isinstance(answer, Product) else answer
        return Attempt(
            at=self._wall_clock() - latency_s,
            action=action,
            product_key=key[0],
            module_name=key[1],
            http_status=reply.http_status if reply else None,
            code=failure.code if failure else None,
            request_id=reply.request_id if reply else None,
            latency_s=latency_s,
            failure=failure.kind if failure else None,
            account=self._account,
            left_s=left_s,
        )

    def announce_retry(
        self, action: Action, failure: Failure, *, product_key: str, line: int | None, attempt: int, delay_s: float
    ) -> None:
        """Announce that a failed request will be sent again, unless the work stops first."""
        self._listener(
            RetryScheduled(
                action=action,
                product_key=product_key,
                line=line,
                attempt=attempt,
                delay_s=delay_s,
                code=failure.code,
                message=failure.message,
                account=self._account,
            )
        )
