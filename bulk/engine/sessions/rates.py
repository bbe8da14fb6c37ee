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


def group_name(target: Target, key_id: str) -> str:
    """Return the name of the rate group of these keys at this endpoint.

    The platform counts for an account. Which one a key belongs to is not known here, so each key counts as another.
    """
    return f"{target.endpoint} {key_id}"
