"""Where the platform's documents are silent or contradict each other: each open question, with its possible answers."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Casing", "DataShape", "GmtForm", "Omitted", "PackageShape"]


class DataShape(StrEnum):
    """How a listing's modules are laid out; the platform's own documents contradict each other."""

    LIST = "list"  #: ``Data: [...]``, as the official SDK's model has it
    WRAPPED = "wrapped"  #: ``Data: {OtaModuleDTO: [...]}``, as sibling actions have it
    SINGLE = "single"  #: one object where there is exactly one module, as the documented sample has it; else a list
    NULL_WHEN_EMPTY = "null-when-empty"  #: ``Data: null`` where there is none; else a list


class PackageShape(StrEnum):
    """How ListOTAFirmware lays out packages; the table says "Array", the official SDK's model is wrapped."""

    WRAPPED = "wrapped"  #: ``FirmwareInfo: {SimpleFirmwareInfo: [...]}``, as the official SDK's model has it
    LIST = "list"  #: ``FirmwareInfo: [...]``, as the table's "Array of SimpleFirmwareInfo" can be read


class Casing(StrEnum):
    """How the names in a JSON reply are written."""

    PASCAL = "pascal"  #: ``RequestId``, ``Success``: the alibaba dialect's
    CAMEL = "camel"  #: ``requestId``, ``success``, ``code: ""``: the tuya dialect's
    MIXED = (
        "mixed"  #: ``requestId``, ``success``, ``code: ""`` beside ``Data`` with ``ModuleName``, as one sample has it
    )


class Omitted(StrEnum):
    """What UpdateOTAModule does to a text that the request leaves out; no page says."""

    KEEPS = "keeps"  #: it stays as it was
    CLEARS = "clears"  #: the module has none any more


class GmtForm(StrEnum):
    """How listings show GmtCreate and GmtModified."""

    MINUTES = "minutes"  #: ``2020-10-13T09:46Z``, as newer documents have it
    HTTP = "http"  #: ``Tue, 13-Oct-2020 09:46:00 GMT``, as the documents of 2020 have it
    ABSENT = "absent"  #: not at all
    GARBLED = "garbled"  #: as something that nobody can read as a time
