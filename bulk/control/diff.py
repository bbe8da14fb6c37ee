"""Say in which fields a module on the platform differs from what is wanted. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bulk.model import OtaModule

__all__ = ["Difference", "Field", "differences"]


class Field(StrEnum):
    """What two modules under one key may differ in."""

    MODULE_NAME = "ModuleName"  #: in letter case alone, or their keys would differ
    ALIAS_NAME = "AliasName"
    DESC = "Desc"


class Difference(NamedTuple):
    """One field that is not as it is wanted."""

    field: Field
    wanted: str
    found: str
    """Empty also where the platform has none."""


def differences(wanted: OtaModule, found: OtaModule) -> tuple[Difference, ...]:
    """Return the fields that differ, in the order of `Field`; one that is not given in ``wanted`` is not compared."""
    compared = (
        (Field.MODULE_NAME, wanted.module_name, found.module_name),
        (Field.ALIAS_NAME, wanted.alias_name, found.alias_name or ""),
        (Field.DESC, wanted.desc, found.desc or ""),
    )
    return tuple(
        Difference(field, want, there) for field, want, there in compared if want is not None and want != there
    )
