"""Write a result as the platform would: JSON or XML, in either casing, in any of the shapes that documents show."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, assert_never
from xml.sax.saxutils import escape

import orjson

from bulk.model import Dialect
from bulk.sandbox.readings import Casing, DataShape, GmtForm
from bulk.sandbox.results import Done, Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.stored import StoredModule

__all__ = ["Reply", "render"]

_JSON_TYPE: Final = "application/json;charset=utf-8"
_XML_TYPE: Final = "text/xml;charset=utf-8"
_XML_ITEMS: Final = {"Data": "OtaModuleDTO", "FirmwareInfo": "SimpleFirmwareInfo"}
"""Lists that stand in an element of their own, and what their items are called; others repeat their own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP reply, ready to be sent."""

    status: int = 200
    content_type: str = _JSON_TYPE
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""
    """The error code in it, for the sandbox's log; empty on success."""


def render(result: Result, call: Call, config: SandboxConfig) -> Reply:
    """Write the result of a request."""
    status, code, fields = _envelope(result, call, config)
    casing = config.casing or (Casing.CAMEL if call.dialect is Dialect.TUYA else Casing.PASCAL)
    if call.wants_xml:
        root = "Error" if status >= HTTPStatus.BAD_REQUEST else f"{call.action or 'Unknown'}Response"
        body = f'<?xml version="1.0" encoding="UTF-8"?>{_xml(root, fields)}'.encode()
        return Reply(status=status, content_type=_XML_TYPE, body=body, code=code)
    return Reply(status=status, body=orjson.dumps(_cased(fields, casing)), code=code)


def _envelope(result: Result, call: Call, config: SandboxConfig) -> tuple[int, str, dict[str, object]]:
    fields: dict[str, object] = {"RequestId": str(uuid.uuid4()).upper()}
    match result:
        case Done():
            data = {} if result.data is None else {"Data": _data(result.data, config)}
            success = {} if result.is_bare else {"Success": True}
            return 200, "", fields | success | dict(result.fields or {}) | data
        case Refused():
            fields |= {"Success": False, "Code": result.code, "ErrorMessage": result.message}
            return config.business_status, result.code, fields
        case Refusal():
            fields |= {"HostId": call.headers.get("host", ""), "Code": result.code, "Message": result.message}
            return result.status, result.code, fields
        case _:
            assert_never(result)


def _data(data: tuple[StoredModule, ...] | Mapping[str, object], config: SandboxConfig) -> object:
    if not isinstance(data, tuple):
        return data
    modules = [_module(module, config.gmt_form) for module in data if module.is_custom or config.list_default]
    match config.data_shape:
        case DataShape.WRAPPED:
            return {"OtaModuleDTO": modules}
        case DataShape.SINGLE if len(modules) == 1:
            return modules[0]
        case DataShape.NULL_WHEN_EMPTY if not modules:
            return None
        case _:
            return modules


def _module(module: StoredModule, form: GmtForm) -> dict[str, str]:
    fields = {
        "ProductKey": module.product_key,
        "ModuleName": module.module_name,
        "AliasName": module.alias_name,
        "Desc": module.desc,
        "GmtCreate": _gmt(module.created_at, form),
        "GmtModified": _gmt(module.modified_at or module.created_at, form),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _gmt(stamp: str, form: GmtForm) -> str | None:
    match form:
        case GmtForm.MINUTES:
            return stamp
        case GmtForm.HTTP:
            return datetime.fromisoformat(stamp).strftime("%a, %d-%b-%Y %H:%M:%S GMT")
        case GmtForm.GARBLED:
            return f"~{stamp[::-1]}~"
        case GmtForm.ABSENT:
            return None
        case _:
            assert_never(form)


def _cased(fields: dict[str, object], casing: Casing) -> dict[str, object]:
    if casing is Casing.PASCAL:
        return fields
    shown = {"code": ""} | {_lowered(name): _camel(value) for name, value in fields.items()}
    if casing is Casing.MIXED and "Data" in fields:
        del shown["data"]
        shown["Data"] = fields["Data"]
    return shown


def _camel(value: object) -> object:
    if isinstance(value, dict):
        return {_lowered(name): _camel(inner) for name, inner in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _lowered(name: str) -> str:
    return name[:1].lower() + name[1:]


def _xml(name: str, value: object) -> str:
    match value:
        case dict():
            inner = "".join(_xml_field(key, item) for key, item in value.items())
        case bool():
            inner = str(value).lower()
        case None:
            inner = ""
        case _:
            inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"


def _xml_field(name: str, value: object) -> str:
    if not isinstance(value, list):
        return _xml(name, value)
    # What the items of Data are called in XML is not documented for this API; the model's name is an assumption.
    items = "".join(_xml(_XML_ITEMS.get(name, name), item) for item in value)
    return f"<{name}>{items}</{name}>" if name in _XML_ITEMS else items
