"""Say how many requests of each action a run may send a second. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.model import Action

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.settings import Settings

__all__ = ["asked_rates"]


def asked_rates(settings: Settings) -> Mapping[Action, float]:
    """Return the rate of each action that a run sends, in requests a second; 0: unlimited.

    What is a key here is paced, counted, announced and recorded.
    """
    return {Action.CREATE: settings.qps, Action.LIST: settings.list_qps}
