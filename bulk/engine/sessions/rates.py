"""Say how many requests of each action a run may send a second. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Target
    from bulk.settings import Settings

__all__ = ["asked_rates", "group_name"]


def asked_rates(settings: Settings) -> Mapping[Action, float]:
    """Return the rate of each action that a run sends, in requests a second; 0: unlimited.

    What is a key here is paced, counted, announced and recorded.
    """
    return {Action.CREATE: settings.qps, Action.LIST: settings.list_qps}


def group_name(target: Target, group: str, *, is_written: bool = False) -> str:
    """Return what processes of one machine call a rate group.

    Args:
        target: Of an account in the group.
        group: The account's number, or the key that it is recognised by. A key says nothing of where it is used.
        is_written: Somebody gave the group this name, and so says that it is one, wherever it sends to.
    """
    return group if is_written else f"{target.endpoint} {group}"
