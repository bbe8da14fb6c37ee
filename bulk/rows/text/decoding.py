"""Decode an input's bytes: in the encoding of its byte order mark, else as requested, else UTF-8.

The requested encoding is checked against the bytes. UTF-8 read as GB18030 or Latin-1 silently becomes other text, so
that is refused.
"""

from __future__ import annotations

import codecs
import io
import sys

from bulk.errors import SettingsError
from bulk.rows.text.damage import handler_for
from bulk.rows.text.encodings import decoded_so_far, telling_cell, unmarked_wide_encoding

__all__ = ["CTRL_Z", "MARK", "Decoder"]

DEFAULT_ENCODING = "utf-8"
MARK = "\ufeff"
CTRL_Z = "\x1a"
"""Character with which DOS programs end a text."""

MARKS = (
    # UTF-32 first: its little-endian mark begins as UTF-16's does.
    (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
)
"""Byte order mark, codec to read with, codec to write with (which writes the mark again)."""

NO_FILES_ENCODINGS = {"idna", "punycode", "undefined"}
"""Codecs from text to text, for host names, and one that always fails."""

UTF_8_NAMES = {"utf-8", "utf-8-sig"}

_OF_EITHER_ORDER = {"utf-16", "utf-32"}
"""Codecs that refuse a text without a mark: they would have to guess the order of its bytes."""

ENOUGH_CHARACTERS = 4
"""This many different characters prove UTF-8 at once."""

OF_THREE_BYTES = "\u0800"
OF_LATIN, BEYOND_LATIN = "\u00a0", "\u0100"
"""At the end, one character of Latin-1 or of three bytes proves UTF-8. Any other may be 模 and the like in GB18030."""


class Decoder:
    """Decodes bytes piece by piece."""

    def __init__(self, head: bytes, *, said: str | None) -> None:
        """Choose the encoding.

        Args:
            head: The first bytes; they are decoded again as part of the first pieces.
            said: Value of ``--encoding``.

        Raises:
            SettingsError: There is no such encoding.
        """
        marked = next(((codec, writing) for mark, codec, writing in MARKS if head.startswith(mark)), None)
        asked = said or DEFAULT_ENCODING
        _check(asked)
        unmarked = _with_order(asked) if _name(asked) in _OF_EITHER_ORDER else asked
        self.codec, self.encoding = marked or (unmarked, unmarked)
        """Codecs to read with, and to write with."""

        self.handler = handler_for(self.codec)
        self.sound_bytes = 0
        """Bytes of characters so far, without the first byte of each."""

        self.mismatch = None if marked else _mismatch(head, said)
        """Why the input can't be in this encoding, by its first bytes, with what to do; ``None``: it may be."""

        self._decoder = codecs.getincrementaldecoder(self.codec)(self.handler)
        self._utf_8 = None
        if said is not None and not marked and not _is_wide(said) and _name(said) not in UTF_8_NAMES:
            self._utf_8 = _Utf8Evidence(said)
        self._at_start = True

    def decode(self, data: bytes) -> str:
        """Return the text of the next bytes. At the end, call it without bytes for the text still held back.

        Raises:
            UnicodeDecodeError: They can't be decoded, and the text after them would be wrong.
        """
        text = self._decoder.decode(data, not data)
        self.sound_bytes += max(0, len(data) - len(text))
        if self._utf_8:
            self._utf_8.add(data)
        if self._at_start and text:
            # Programs often add a second mark to a text that has one. At the start, Unicode gives it no other meaning.
            text = text.lstrip(MARK)
            self._at_start = not text
        return text

    def beginning(self, head: bytes) -> str:
        """Return the text of the first bytes, even if it is damaged."""
        return codecs.getincrementaldecoder(self.codec)("replace").decode(head).lstrip(MARK).rstrip(CTRL_Z)

    def proof_of_utf_8(self, *, at_end: bool) -> str | None:
        """Once it is proven that the input is UTF-8 despite another request, say so, with what to do."""
        return self._utf_8.proof(at_end=at_end) if self._utf_8 else None


class _Utf8Evidence:
    """Whether bytes that are read in another encoding are really UTF-8."""

    def __init__(self, said: str) -> None:
        self._said = said
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._is_valid = True
        self._characters: set[str] = set()
        self._cell = b""

    def add(self, data: bytes) -> None:
        if not self._is_valid:
            return
        try:
            text = self._decoder.decode(data, not data)
        except UnicodeDecodeError:
            self._is_valid = False
            return
        if not text.isascii():
            self._characters |= {char for char in set(text) if not char.isascii()}
            self._cell = self._cell or telling_cell(data)

    def proof(self, *, at_end: bool) -> str | None:
        enough = len(self._characters) >= ENOUGH_CHARACTERS
        evident = enough or any(char >= OF_THREE_BYTES or OF_LATIN <= char < BEYOND_LATIN for char in self._characters)
        if not self._is_valid or not (evident if at_end else enough):
            return None
        read = f"--encoding {self._said} does not fit: it is UTF-8"
        try:
            right, wrong = self._cell.decode(), self._cell.decode(self._said)
        except UnicodeDecodeError:
            return f"{read}; leave --encoding out"
        return f"{read}, which reads {right!r} where {self._said} reads {wrong!r}; leave --encoding out"


def _mismatch(head: bytes, said: str | None) -> str | None:
    """Check the first bytes of an input without a mark against the requested or the default encoding."""
    wide = unmarked_wide_encoding(head)
    if wide and (said is None or not _is_wide(said)):
        instead = "" if said is None else f" instead of {said}"
        return f"it looks like {wide[:6].upper()} without a mark; add --encoding {wide}{instead}"
    if said is None or not _is_wide(said):
        return None
    if wide and _with_order(said) != wide:
        return f"--encoding {said} does not fit: it looks like {wide}; add --encoding {wide} instead"
    if head and 0 not in head and decoded_so_far(head, "utf-8") is not None:
        return f"--encoding {said} does not fit: it is UTF-8; leave --encoding out"
    return None


def _is_wide(encoding: str) -> bool:
    return _name(encoding).startswith(("utf-16", "utf-32"))


def _with_order(encoding: str) -> str:
    """Return the codec to read text without a mark."""
    name = _name(encoding)
    return name if name.endswith(("-le", "-be")) else f"{name}-{sys.byteorder[0]}e"


def _name(encoding: str) -> str:
    return codecs.lookup(encoding).name


def _check(encoding: str) -> None:
    """Refuse a name that is no encoding of text."""
    try:
        # Codecs such as hex turn bytes into bytes; this refuses them.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        if _name(encoding) in NO_FILES_ENCODINGS:
            raise LookupError(encoding)  # noqa: TRY301 - one answer to all of these
        codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError) as exc:
        raise SettingsError(f"--encoding {encoding}: there is no such encoding; try utf-8, utf-16 or gb18030") from exc
