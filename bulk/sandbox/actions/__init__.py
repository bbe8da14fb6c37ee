"""The catalogue of the platform's actions; each action is one value, in the file of its kind."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bulk.sandbox.actions.identity import ASSUME_ROLE, CALLER
from bulk.sandbox.actions.modules import CREATE, DELETE, LIST, UPDATE
from bulk.sandbox.actions.packages import PACKAGES
from bulk.sandbox.actions.products import PRODUCT, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.actions.desk import ApiAction

__all__ = ["ACTIONS", "ACTION_NAMES"]

ACTIONS: Final[Mapping[str, ApiAction]] = MappingProxyType(
    {action.name: action for action in (CREATE, LIST, UPDATE, DELETE, PACKAGES, PRODUCT, PRODUCTS, ASSUME_ROLE, CALLER)}
)
"""Every action by its name."""

ACTION_NAMES: Final[Mapping[str, str]] = MappingProxyType({action.prefix: name for name, action in ACTIONS.items()})
"""Prefix, as faults, rates and permissions write it → the action's name."""
