"""Connect to the platform of a run: over the network, or to the sandbox on this machine."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bulk.cloud.client import Client
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.keys.sources import open_credentials
from bulk.engine.accounts import keys_source
from bulk.errors import SettingsError
from bulk.events import ignore
from bulk.ledger.undo_names import undone_ledger
from bulk.model.inputs import has_no_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from bulk.cloud.client import Platform
    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.cloud.wire.transport import Transport
    from bulk.events import Listener
    from bulk.model import Target
    from bulk.settings import Settings

__all__ = ["connected", "credentials_for", "ledger_path", "sandbox_states", "served"]

_LONGEST_MARK = 64


def ledger_path(input_name: str, settings: Settings) -> Path:
    """Return the path of this input's ledger.

    Raises:
        SettingsError: The input is stdin, and no ledger was named.
    """
    if settings.ledger:
        return Path(settings.ledger)
    if has_no_place(input_name):
        what = "stdin" if input_name == "-" else input_name
        raise SettingsError(f"the input is {what}, which has no path to put a ledger beside: name one with --ledger")
    return Path(f"{input_name}{'.sandbox.db' if settings.sandbox else '.ledger.db'}")


def sandbox_states(ledger: Path, accounts: Iterable[str]) -> dict[str, Path]:
    """Return where the sandbox of this ledger keeps the world of each account.

    The ledger of an undo file has the world of the ledger whose changes it undoes.
    """
    owner = undone_ledger(str(ledger))
    return {account: Path(f"{owner}{_mark_of(account)}.cloud.jsonl") for account in accounts}


def _mark_of(account: str) -> str:
    """Return an account's name as a part of a file name: an account's name may contain other characters."""
    if not account:
        return ""
    quoted = quote(account, safe=" ")
    return f".{quoted if len(quoted) <= _LONGEST_MARK else sha256(account.encode()).hexdigest()[:16]}"


async def credentials_for(settings: Settings, *, listener: Listener = ignore) -> CredentialProvider:
    """Return the keys that a run signs with: the sandbox's, a profile's, or the first of the official default chain.

    Args:
        settings: Name the profile, if you use one.
        listener: Receives where the keys are from, and when temporary keys were renewed or can't be renewed.

    Raises:
        SettingsError: There are no keys; the message says where they were looked for.
        KeysUnavailableError: There are no keys, and a source that is set up did not answer.
    """
    if settings.sandbox:
        from bulk.sandbox.config import SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET  # noqa: PLC0415 - see below

        keys = Credentials(SANDBOX_ACCESS_KEY_ID, SANDBOX_ACCESS_KEY_SECRET)
        return StaticCredentials(keys, source="the sandbox itself")
    return await open_credentials(
        keys_source(settings), environ=os.environ, insecure_http=settings.insecure_http, listener=listener
    )


@asynccontextmanager
async def connected(
    settings: Settings,
    target: Target,
    transport: Transport,
    *,
    credentials: CredentialProvider,
    state: Path | None,
    on_clock_corrected: Callable[[float], None],
) -> AsyncIterator[Platform]:
    """Open an account's connection to the platform; nothing is sent yet.

    Args:
        settings: Where the platform is, or that it is the sandbox.
        target: The target of the requests.
        transport: The process's transport; it carries the requests of every account.
        credentials: Asked before every request.
        state: Where the sandbox keeps its world; ``None``: it does not keep it.
        on_clock_corrected: Receives the platform's time minus this machine's, in seconds.
    """
    async with served(settings, target, state) as endpoint:
        yield Client(
            target=target,
            endpoint=endpoint,
            credentials=credentials,
            transport=transport,
            timeout_s=settings.timeout_s,
            on_clock_corrected=on_clock_corrected,
        )


@asynccontextmanager
async def served(settings: Settings, target: Target, state: Path | None) -> AsyncIterator[str]:
    """Give the platform's URL; for the sandbox, start it first. The sandbox allows the rates of the run."""
    if not settings.sandbox:
        yield target.endpoint
        return
    # Only a rehearsal needs the server: a run for the platform does not load it.
    from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig  # noqa: PLC0415 - see above

    config = SandboxConfig(
        state=state,
        qps=settings.qps,
        list_qps=settings.list_qps,
        dialect=target.dialect,
        instance_id=target.instance_id,
        faults=FaultPlan.parse(settings.sandbox_faults or ""),
        seed=settings.sandbox_seed or 0,
        lenient_alias=settings.read.lenient_alias,
    )
    async with Sandbox(config) as sandbox:
        yield sandbox.endpoint
