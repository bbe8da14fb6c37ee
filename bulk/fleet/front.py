"""Functions for your program: the commands of `bulk fleet`, each with the URL of a store, as in `worker.work`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.engine.stop import StopSignal
from bulk.events import ignore
from bulk.fleet import driver, merging, splitting, standing
from bulk.fleet.manifest import read_manifest
from bulk.fleet.store_url import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.events import Listener
    from bulk.fleet.driver import FleetLook, FleetSummary
    from bulk.fleet.engines import Engine
    from bulk.fleet.manifest import Manifest
    from bulk.fleet.merging import Merged
    from bulk.fleet.standing import FleetStatus
    from bulk.settings import Settings

__all__ = ["merge", "run", "split", "status"]


async def split(
    input_name: str,
    settings: Settings,
    url: str,
    *,
    shards: int | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Manifest:
    """Divide an input into shards of whole rate groups, and store them. A second call changes nothing.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: Name the accounts, each with ``rate_group`` or ``role_arn``, and say how to read the input.
        url: The store: a folder, which is created if missing, or ``s3://``, ``oss://``, ``gs://``, ``az://``.
        shards: How many; ``None``: as few as possible with up to 150 accounts each.
        listener: Receives what was found in the input.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: An account has no rate group, or the store has another fleet or can't be used.
        InputError: The input can't be read, or a product belongs to two accounts.
        StoppedError: A stop was requested.
    """
    store = open_store(url, make=True)
    return await splitting.split(
        input_name, settings, store, shards=shards, listener=listener, stop=stop or StopSignal()
    )


async def run(
    url: str,
    engine: Engine,
    *,
    stop: StopSignal | None = None,
    show: Callable[[FleetLook], None] = lambda _: None,
) -> FleetSummary:
    """Work on all shards of a fleet that are not done; an engine starts the workers.

    Args:
        url: The fleet's store.
        engine: Starts workers: a `LocalEngine`, or your own.
        stop: Ends it early when it is requested.
        show: Called every few seconds with the state of the fleet.

    Raises:
        SettingsError: The store can't be used, or has no fleet.
    """
    store = open_store(url)
    manifest = await read_manifest(store, url)
    ended_by = driver.ended_name(secrets.token_hex(8))
    return await driver.drive(store, manifest, engine, url=url, stop=stop or StopSignal(), ended_by=ended_by, show=show)


async def status(url: str) -> FleetStatus:
    """Read the state of a fleet, only from its store.

    Args:
        url: The fleet's store.

    Raises:
        SettingsError: The store can't be used, or has no fleet.
    """
    return await standing.status(open_store(url), url=url)


async def merge(url: str, ledger: Path | str, *, stop: StopSignal | None = None) -> Merged:
    """Make one ledger of all that a fleet shipped, and prove that it is consistent.

    Args:
        url: The fleet's store.
        ledger: Path of the new ledger. An earlier merge of the same fleet is replaced; any other file is refused.
        stop: Ends it early when it is requested; nothing is then written.

    Raises:
        SettingsError: The store can't be used, or has no fleet.
        UnprovenError: The proof fails; nothing is written.
        LedgerError: The ledger can't be written, or is no merge of this fleet.
        StoppedError: A stop was requested.
    """
    return await merging.merge(open_store(url), Path(ledger), url=url, stop=stop)
