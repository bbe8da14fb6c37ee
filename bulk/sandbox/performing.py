"""Carry out requests that passed the gateway: find the action, and the instance that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.model import Dialect
from bulk.sandbox.actions import ACTIONS
from bulk.sandbox.actions.desk import Api, Desk
from bulk.sandbox.results import Refusal, Refused

if TYPE_CHECKING:
    from bulk.sandbox.accounts.directory import Directory
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.cloud import Cloud

__all__ = ["perform", "with_dialect"]


def with_dialect(call: Call, dialect: Dialect | None) -> Call:
    """Read a request in the dialect of its account; STS has but one.

    Args:
        call: As it was read before its account was known.
        dialect: The only one that the account speaks; ``None``: as it was read.
    """
    action = ACTIONS.get(call.action)
    spoken = Dialect.ALIBABA if action and action.api is Api.STS else dialect
    return call if spoken in (None, call.dialect) else replace(call, dialect=spoken)


def perform(call: Call, *, cloud: Cloud, directory: Directory, now: float, config: SandboxConfig) -> Result:
    """Carry out a request that passed the gateway.

    Args:
        call: The request.
        cloud: What it reads and changes.
        directory: Knows its key.
        now: The platform's time, in seconds since the epoch.
        config: How open questions are read.

    Raises:
        OSError: The change could not be written to the journal, and was not made.
    """
    caller = directory.find(call, now=now)
    action = ACTIONS.get(call.action)
    if isinstance(caller, Refusal):
        return caller
    if action is None:
        return Refusal(404, "InvalidAction.NotFound", f"Specified api is not found: {call.action}")
    world = cloud.world_of(caller.account) if action.api is Api.STS else cloud.world_for(caller, call)
    if world is None:
        return Refused("iot.system.InstanceNotFound", "The instance does not exist.")
    return action.perform(
        Desk(
            world=world,
            cloud=cloud,
            caller=caller,
            directory=directory,
            config=config,
            dialect=call.dialect,
            params=call.params,
            now=now,
        )
    )
