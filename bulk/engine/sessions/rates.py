"""Say how many requests of each action a run may send a second. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Target
    from bulk.settings import Settings

__all__ = ["asked_rates", "group_name"]


def asked_rates(settings: Settings, *, syncs: bool = False) -> Mapping[Action, float]:
    """Return the rate of each action that a job sends, in requests a second; 0: unlimited.

    Each action that is a key here is paced, counted, announced and recorded.

    Args:
        settings: Settings of the job, or of an account.
        syncs: The job also updates and deletes.
    """
    rates = {Action.CREATE: settings.qps, Action.LIST: settings.list_qps}
    if syncs:
        rates |= {Action.UPDATE: settings.qps, Action.DELETE: settings.qps, Action.LIST_PACKAGES: settings.list_qps}
    return rates


def group_name(target: Target, group: str, *, is_written: bool = False) -> str:
    """Return the name of a rate group for all processes of one machine.

    Args:
        target: Target of an account in the group.
        group: The account's number, or the key that identifies it. A key does not show where it is used.
        is_written: The group's name comes from the settings: it is one group, no matter where it sends to.
    """
    return group if is_written else f"{target.endpoint} {group}"
