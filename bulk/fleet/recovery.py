"""Continue a shard: with this machine's ledger, or with what its holders shipped, whichever knows more."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from bulk.engine.threads import closed_in_thread, in_thread
from bulk.errors import StoppedError
from bulk.exits import ExitCode
from bulk.fleet.segments import last_segments_of, replay, segments_of, standing_after
from bulk.fleet.store import Outage
from bulk.ledger.sql import query
from bulk.ledger.storage.database import translated
from bulk.ledger.times import iso_utc
from bulk.ledger.writer import LedgerWriter
from bulk.model import OtaModule, Outcome, Settlement
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeVar

    from bulk.engine.stop import StopSignal
    from bulk.errors import LedgerError
    from bulk.fleet.local import LocalShard
    from bulk.fleet.store import Store
    from bulk.ledger.store import Ledger

    _Found = TypeVar("_Found")

__all__ = ["answered", "refill", "shipped_before", "unshipped"]

_ASKED_EVERY_S = 1.0

_MARGIN_S = 60.0
"""An outcome that is older than the last shipped one by more than this was already shipped."""

_HALF_A_MILLISECOND_S = 0.0005
"""A ledger cuts times off. This is added so that a time that is read and written again does not lose a millisecond."""


async def shipped_before(store: Store, shard: int, here: LocalShard, stop: StopSignal) -> Sequence[Settlement] | None:
    """Return what was last shipped before this machine's ledger ended, and remove an outdated ledger.

    Args:
        store: The fleet's store.
        shard: Number of the shard; this process has its lease.
        here: This machine's folder; its ledger is not open.
        stop: Ends the wait for a store that does not answer.

    Returns:
        ``None``: there is no ledger to continue with.

    Raises:
        StoppedError: A stop was requested.
    """
    if known := await in_thread(lambda: here.known_fence):
        last = await answered(lambda: last_segments_of(store, shard, known), stop)
        if not last.is_overtaken:
            return last.settlements
    await in_thread(here.forget)
    return None


async def refill(ledger: Ledger, store: Store, shard: int, stop: StopSignal) -> None:
    """Write what all holders shipped into a new ledger.

    Raises:
        LedgerError: It can't be written.
        StoppedError: A stop was requested.
    """
    found = await answered(lambda: segments_of(store, shard), stop)
    if not found:
        return
    failures: list[LedgerError] = []
    writer = LedgerWriter(
        ledger.connection,
        ledger.path,
        run_id=secrets.token_hex(16),
        loop=asyncio.get_running_loop(),
        on_failure=failures.append,  # which `close` raises
    )
    async with closed_in_thread(writer):
        await replay(found, writer)


def unshipped(ledger: Ledger, shipped: Sequence[Settlement]) -> list[Settlement]:
    """Return outcomes that are in a ledger but not in the store: a process died before it stored their segment.

    Args:
        ledger: As its last process left it.
        shipped: What was last shipped.
    """
    since = max((one.at for one in shipped), default=_MARGIN_S) - _MARGIN_S
    known = {_key(one): (one.outcome, iso_utc(one.at)) for one in standing_after(shipped)}
    with translated(ledger.path):
        cursor = ledger.connection.execute(query("settled_since"), (iso_utc(since),))
        columns = [column for column, *_ in cursor.description]
        records = [dict(zip(columns, record, strict=True)) for record in cursor]
    found = [(_settlement(record), record["settled_at"]) for record in records]
    return [one for one, at in found if known.get(_key(one)) != (one.outcome, at)]


def _settlement(record: Mapping[str, Any]) -> Settlement:
    settled_at = utc_seconds(record["settled_at"]) or 0.0
    return Settlement(
        line=record["line"],
        module=OtaModule(record["product_key"], record["module_name"], record["alias_name"], record["desc"]),
        outcome=Outcome(record["outcome"]),
        at=settled_at + _HALF_A_MILLISECOND_S,
        code=record["code"],
        message=record["message"],
        request_id=record["request_id"],
        attempts=record["attempts"],
        recovered=bool(record["recovered"]),
        in_doubt=bool(record["in_doubt"]),
        account=record["account"],
    )


def _key(one: Settlement) -> tuple[str, str, str]:
    return one.account, one.module.product_key, one.module.module_name.casefold()


async def answered(ask: Callable[[], Awaitable[_Found | Outage]], stop: StopSignal) -> _Found:
    """Ask a store until it answers.

    Raises:
        StoppedError: A stop was requested first.
    """
    while isinstance(found := await ask(), Outage):
        if await stop.sleep(_ASKED_EVERY_S):
            raise StoppedError(stop.reason or found.why, exit_code=stop.exit_code or ExitCode.STOPPED)
    return found
