"""Say in which fields a module on the platform differs from the wanted one. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bulk.model import OtaModule

__all__ = ["Difference", "Field", "differences"]


class Field(StrEnum):
    """The fields in which two modules of one key may differ."""

    MODULE_NAME = "ModuleName"  #: only in letter case, or their keys would differ
    ALIAS_NAME = "AliasName"
    DESC = "Desc"


class Difference(NamedTuple):
    """One field that differs from the wanted value."""

    field: Field
    wanted: str
    found: str
    """Also empty if the platform has no value."""


def differences(wanted: OtaModule, found: OtaModule) -> tuple[Difference, ...]:
    """Return the fields that differ, in the order of `Field`. A field that ``wanted`` leaves out is not compared."""
    compared = (
        (Field.MODULE_NAME, wanted.module_name, found.module_name),
        (Field.ALIAS_NAME, wanted.alias_name, found.alias_name or ""),
        (Field.DESC, wanted.desc, found.desc or ""),
    )
    return tuple(
        Difference(field, want, there) for field, want, there in compared if want is not None and want != there
    )
