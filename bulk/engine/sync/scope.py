"""Which products a sync looks at: those of the file, narrowed by options, and those that you named for pruning."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import orjson

from bulk.engine.sync.plan_file import read_entries
from bulk.engine.threads import held, in_thread
from bulk.ledger.looking import LookReader
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.settings.values import is_wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from bulk.engine.job import Part
    from bulk.ledger.store import Ledger
    from bulk.settings import Settings

__all__ = ["Scope", "opened_looks"]


@dataclass(frozen=True, slots=True)
class Scope:
    """What narrows the products of the file, and what is added to them."""

    settings: Settings
    accounts: tuple[str, ...]
    """The accounts that are tried."""

    besides: tuple[str, ...]
    """Products to look at although no row names them."""

    def first_products(self, ledger: Ledger) -> dict[str, frozenset[str]] | None:
        """Return the products of a trial, by account: the first ones of the file; ``None``: this is no trial.

        Raises:
            LedgerError: The ledger can't be read.
        """
        if self.settings.limit is None:
            return None
        asked = {"accounts": orjson.dumps(self.accounts).decode()}
        with translated(ledger.path):
            found = ledger.connection.execute(query("first_products"), asked)
            wanted = [pair for pair in found if is_wanted(pair[1], self.settings.only)][: self.settings.limit]
        return {name: frozenset(key for account, key in wanted if account == name) for name in self.accounts}


@asynccontextmanager
async def opened_looks(
    scope: Scope, ledger: Ledger, parts: Iterable[Part], *, plan: Path | None
) -> AsyncIterator[list[tuple[Part, LookReader]]]:
    """Open the reader of each account's look, for accounts with products in scope.

    Args:
        scope: Which products.
        ledger: The ledger that has the input.
        parts: The accounts that are tried.
        plan: For an apply, the plan's file, which says what may be changed; ``None``: this is no apply.

    Raises:
        LedgerError: The ledger can't be read.
    """
    first = await in_thread(scope.first_products, ledger)
    async with AsyncExitStack() as stack:
        looks = []
        for part in parts:
            lanes = await stack.enter_async_context(
                held(
                    LookReader,
                    ledger.path,
                    account=part.name,
                    wanted=partial(_is_in_scope, scope.settings.only, None if first is None else first[part.name]),
                    besides=scope.besides,
                    approved=None if plan is None else read_entries(plan, part.name),
                )
            )
            if lanes.products:
                looks.append((part, lanes))
        yield looks


def _is_in_scope(only: tuple[str, ...], first: frozenset[str] | None, product_key: str) -> bool:
    return is_wanted(product_key, only) and (first is None or product_key in first)
