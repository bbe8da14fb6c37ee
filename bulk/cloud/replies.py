"""Read replies of either platform: keys in any letter case, `Data` in any of its shapes. Pure.

The documents show lists, wrapped lists, single objects and null for `Data`, and three casings of the same keys.
A reply without a readable `Success` proves nothing: the sender must ask the platform whether the request took effect.
"""

from __future__ import annotations

import codecs
import html
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from bulk.model import OtaModule
from bulk.redaction import MAX_ID_CHARACTERS, redact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "Answer",
    "UnreadableDataError",
    "read_answer",
    "read_modules",
    "retry_after_s",
    "server_time_at",
    "text_of",
    "truth_of",
]

_MOST_RETRY_AFTER_S = 60.0

_MAX_XML_CHARACTERS = 65_536
_XML_FIELD = re.compile(r"<(Code|ErrorMessage|Message|RequestId)>([^<]{0,4096})</\1>", re.IGNORECASE)
_CHARSET = re.compile(r"""charset=["']?([\w.:-]{1,40})""", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_COUNT = re.compile(r"[0-9]{1,9}")
_WORDS_FOR_TRUTH: Mapping[str, bool] = MappingProxyType({"true": True, "false": False})


class UnreadableDataError(ValueError):
    """A listing's `Data` has none of the shapes that a listing may have."""


class Answer(NamedTuple):
    """What a reply says, in any spelling."""

    fields: Mapping[str, Any]
    """All of it, as it came."""

    def field(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Return a field, in any letter case of its name; ``None`` where there is none."""
        if name in self.fields:
            return self.fields[name]
        return next((value for spelled, value in self.fields.items() if spelled.lower() == name.lower()), None)

    @property
    def success(self) -> bool | None:
        """Whether it says that it succeeded; ``None``: it does not say."""
        return truth_of(self.field("Success"))

    @property
    def code(self) -> str:
        """The error code as it came; empty where there is none, as on success."""
        return text_of(self.field("Code"))

    @property
    def request_id(self) -> str | None:
        """The id that the platform's support asks for, if there is one; it may be shown."""
        return self.request_id_without(())

    def request_id_without(self, secrets: Sequence[str | None]) -> str | None:
        """Return the same without these secrets, for a reply that is recorded as a failure."""
        text = text_of(self.field("RequestId"))
        # Every success has an id, and almost every id is a UUID: checking those would cost time for nothing.
        if not secrets and len(text) <= MAX_ID_CHARACTERS and text.replace("-", "").isalnum():
            return text
        return redact(text, secrets, longest=MAX_ID_CHARACTERS) or None

    @property
    def message(self) -> str:
        """What went wrong, as it came: the platform's `ErrorMessage`, or the gateway's `Message`."""
        return text_of(self.field("ErrorMessage")) or text_of(self.field("Message"))

    @property
    def data(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """As it came; see `read_modules`."""
        return self.field("Data")


def read_answer(body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> Answer:
    """Read a body. One that can't be read gives an empty answer; this never raises.

    Args:
        body: As it arrived, unpacked.
        headers: Used only if the body is not plain JSON.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        body = _as_utf8(body, headers)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _read_xml(body)
    return Answer(document if isinstance(document, dict) else {})


def read_modules(data: Any, product_key: str) -> tuple[OtaModule, ...]:  # noqa: ANN401 - whatever JSON holds
    """Read a listing's `Data`: a list, a wrapped list, one object, null.

    Args:
        data: As `read_answer` gave it.
        product_key: The product that was asked for: the documents' samples mask theirs.

    Raises:
        UnreadableDataError: It is something else, so nothing is known of the product.
    """
    if isinstance(data, dict) and not any(name.lower() == "modulename" for name in data):
        if len(data) > 1:
            raise UnreadableDataError("Data is an object that is neither a module nor a wrapped list")
        data = next(iter(data.values()), None)
    if data is None:
        return ()
    items = data if isinstance(data, list) else [data]
    return tuple([_read_module(item, product_key) for item in items])


def server_time_at(headers: Mapping[str, str]) -> float | None:
    """Return the platform's time from the ``Date`` header, in seconds since the epoch, if it can be read."""
    try:
        at = parsedate_to_datetime(headers["date"])
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the platform or a proxy asks to wait, in seconds.

    ``x-acs-retry-after`` counts milliseconds, ``Retry-After`` seconds; its form with a date is ignored. A minute is the
    limit, as in the platform's own command line: a wrong number must not stop a run for long.
    """
    for name, per_s in (("x-acs-retry-after", 1000), ("retry-after", 1)):
        text = headers.get(name, "").strip()
        if _COUNT.fullmatch(text) and int(text) > 0:
            return min(int(text) / per_s, _MOST_RETRY_AFTER_S)
    return None


def _as_utf8(body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return a body in the one encoding that JSON may have. The byte order mark or the headers name its own."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body.removeprefix(mark).decode(encoding, "replace").encode()
    charset = _CHARSET.search(headers.get("content-type", ""))
    try:
        return body.decode(charset[1]).encode() if charset else body
    except (LookupError, UnicodeError):
        return body


def _read_xml(body: bytes) -> Answer:
    """Read an error from XML, which the gateway sends if it has not read yet that JSON is wanted."""
    found = _XML_FIELD.findall(body[:_MAX_XML_CHARACTERS].decode(errors="replace"))
    # Success is left out: an error is the only thing to believe without reading the whole document.
    return Answer({name: html.unescape(value.strip()) for name, value in reversed(found)})


def _read_module(item: object, product_key: str) -> OtaModule:
    if not isinstance(item, dict):
        raise UnreadableDataError("Data holds something that is not a module")
    named = {str(name).lower(): value for name, value in item.items()}
    name, alias, desc = named.get("modulename"), named.get("aliasname"), named.get("desc")
    if not isinstance(name, str) or not name:
        raise UnreadableDataError("Data lists a module without ModuleName")
    return OtaModule(product_key, name, text_of(alias) or None, text_of(desc) or None, named.get("gmtcreate"))


def truth_of(value: object) -> bool | None:
    """Return whether a value says yes or no; ``None``: neither."""
    if isinstance(value, str):
        return _WORDS_FOR_TRUTH.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def text_of(value: object) -> str:
    """Return a text as it is, a number as text (codes may be numbers), anything else as an empty text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""
