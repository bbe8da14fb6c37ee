"""What is asked of the platform: the actions, and the kinds of change that some of them carry out.

A part of `bulk.model`, which offers them to all other modules.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

__all__ = ["Action", "ChangeKind"]

_CHANGES = frozenset({"create", "update", "delete"})
"""Figures of the writing actions: the values of `ChangeKind`."""


class Action(StrEnum):
    """The API actions that bulk calls. Each has its own rate limit, and every figure is kept by action."""

    figure: str
    """The action's name in figures: the keys of ``requests``, and the fields named ``<figure>_per_s``."""

    noun: str
    """What one request is called in a sentence."""

    is_change: bool
    """Whether it writes. After a write of unknown outcome bulk asks first, and never just repeats it."""

    LIST = "ListOTAModuleByProduct", "list", "listing"
    CREATE = "CreateOTAModule", "create", "create"
    UPDATE = "UpdateOTAModule", "update", "update"
    DELETE = "DeleteOTAModule", "delete", "delete"
    LIST_PACKAGES = "ListOTAFirmware", "list_packages", "package listing"
    LIST_PRODUCTS = "QueryProductList", "list_products", "product listing"
    SHOW_PRODUCT = "QueryProduct", "show_product", "product query"
    IDENTIFY = "GetCallerIdentity", "identify", "identity check"

    def __new__(cls, value: str, figure: str = "", noun: str = "") -> Self:
        """Make a member whose value is the platform's name for it. To look one up, ``Action(name)`` is enough."""
        action = str.__new__(cls, value)
        action._value_ = value
        action.figure, action.noun, action.is_change = figure, noun, figure in _CHANGES
        return action

    @property
    def permission(self) -> str | None:
        """The name of its right in a RAM policy; ``None``: every key has it.

        Pages "RAM authorization for IoT Platform" (``iot:${APIName}``) and "GetCallerIdentity" (no authorization).
        """
        return None if self is Action.IDENTIFY else f"iot:{self.value}"


class ChangeKind(StrEnum):
    """What one change does to a module. Stored in the ledger: never rename a value."""

    action: Action
    """The API action that carries it out."""

    CREATE = "create", Action.CREATE  #: make a module that was not there
    UPDATE = "update", Action.UPDATE  #: give a module another alias or description
    DELETE = "delete", Action.DELETE  #: remove a module

    def __new__(cls, value: str, action: Action = Action.LIST) -> Self:
        """Make a member whose value is what is stored. To look one up, ``ChangeKind(value)`` is enough."""
        kind = str.__new__(cls, value)
        kind._value_ = value
        kind.action = action
        return kind
