"""Run a clean-up to its end, whoever cancels meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["finish"]

_Parameters = ParamSpec("_Parameters")


async def finish(clean_up: Callable[_Parameters, None], *args: _Parameters.args, **kwargs: _Parameters.kwargs) -> None:
    """Run a blocking clean-up in a thread and return when it has ended.

    A user's program may run us inside an anyio scope, which cancels every wait anew until it is left, or cancel our
    task a second time: a ledger must not be closed while its writer still commits.
    """
    with anyio.CancelScope(shield=True):
        ending = asyncio.ensure_future(asyncio.to_thread(clean_up, *args, **kwargs))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])
            raise
