"""Decode a stream of bytes and split it into numbered lines, in flat memory however long the stream or a line is."""

from __future__ import annotations

import codecs
import io
from typing import TYPE_CHECKING, NamedTuple

from bulk.errors import InputError, SettingsError
from bulk.rows.source import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.rows.source import ByteStream

__all__ = ["LOOKED_AT_TOGETHER", "MAX_RECORD_CHARS", "Block", "LineSource"]

CHUNK_BYTES = 64 * 1024
"""Some thousand lines: enough to make little of what a block costs, few enough to look at again from the middle."""

MAX_RECORD_CHARS = 1024 * 1024
"""Longest line, and longest record of several lines, that is looked into."""

LOOKED_AT_TOGETHER = 48
"""Lines: enough to make little of what a look costs, and few to be looked at one by one where one is at fault."""

KEPT_CHARS = 2_000
"""How much is kept of a line that is longer."""

NO_FILES_ENCODINGS = {"idna", "punycode", "undefined"}
"""Codecs from text to text, for host names, and one that always fails."""

DEFAULT_ENCODING = "utf-8"
MARK = "\ufeff"
CTRL_Z = "\x1a"

MARKS = (
    # UTF-32 first: its little-endian mark begins as UTF-16's does.
    (codecs.BOM_UTF32_LE, "utf-32-le", "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "utf-32"),
    (codecs.BOM_UTF8, "utf-8", "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16"),
)
"""Mark, codec to read with, codec to write with (which writes a mark again)."""


class Block(NamedTuple):
    """Some lines in a row."""

    first: int
    """Line of the file that the first one is, starting at 1."""

    lines: list[str]
    """With their line ends; only the file's last may have none."""

    cut: bool = False
    """This is one line, longer than `MAX_RECORD_CHARS`, of which the beginning is kept."""


class LineSource:
    """The lines of an input."""

    def __init__(self, stream: ByteStream, *, name: str, encoding: str | None) -> None:
        """Read the first bytes to learn the encoding: by a mark if there is one, else as said, else UTF-8.

        Raises:
            SettingsError: There is no such encoding.
            InputError: The input can't be read.
        """
        self.name = name
        self._stream = stream
        self._line = 1
        self._rest = ""
        self._head = self._read()
        said = encoding or DEFAULT_ENCODING
        self._said = encoding is not None
        self._codec, self.encoding = said, said
        for mark, codec, writing in MARKS:
            if self._head.startswith(mark):
                self._codec, self.encoding = codec, writing
                break
        else:
            self._refuse_unmarked_utf_16()
        self._decoder = _decoder(self._codec)

    def blocks(self) -> Iterator[Block]:
        """Yield all lines, once.

        Raises:
            InputError: Bytes can't be read or decoded; the message names the line.
        """
        cutting = False
        for text in self._texts():
            # StringIO knows every line end; str.splitlines knows too many, such as U+2028 and form feeds.
            lines = io.StringIO(self._rest + text, newline="").readlines()
            # A carriage return at the end may be half of a line end. An empty text is the end of the input.
            self._rest = lines.pop() if text and not lines[-1].endswith("\n") else ""
            if lines and not text:
                # DOS programs end a text with Ctrl-Z.
                lines[-1] = lines[-1].rstrip(CTRL_Z)
                lines = lines if lines[-1] else lines[:-1]
            if lines and (cutting or len(lines[0]) > MAX_RECORD_CHARS):
                if not cutting:
                    yield self._cut(lines[0])
                del lines[0]
                cutting = False
                self._line += 1
            if lines:
                yield Block(self._line, lines)
                self._line += len(lines)
            if len(self._rest) > MAX_RECORD_CHARS:
                yield self._cut(self._rest)
                cutting = True
            if cutting:
                self._rest = self._rest[-1:]

    def _refuse_unmarked_utf_16(self) -> None:
        # Text begins with an ASCII character, which UTF-16 pads with a NUL: without mark that's all there is to see.
        if not self._said and 0 in self._head[:2]:
            order = "be" if self._head.startswith(b"\0") else "le"
            raise InputError(f"it looks like UTF-16 without a mark; add --encoding utf-16-{order}", file=self.name)

    def _cut(self, line: str) -> Block:
        return Block(self._line, [line[:KEPT_CHARS].rstrip("\r\n") + "..."], cut=True)

    def _texts(self) -> Iterator[str]:
        """Yield the text in pieces, none of them empty but the one that marks the end."""
        data = self._head
        text = self._decode(data).removeprefix(MARK)
        while data:
            if text:
                yield text
            data = self._read()
            text = self._decode(data)
        if text:
            yield text
        yield ""

    def _read(self) -> bytes:
        with reading(self.name, line=self._line):
            return self._stream.read(CHUNK_BYTES)

    def _decode(self, data: bytes) -> str:
        try:
            text = self._decoder.decode(data, not data)
            # Some codecs let halves of surrogate pairs through, which no file and no request can carry.
            text.encode()
        except UnicodeError as exc:
            raise InputError(self._advice(exc), file=self.name, line=self._line_of(exc)) from exc
        return text

    def _advice(self, exc: UnicodeError) -> str:
        culprit = f"byte 0x{exc.object[exc.start]:02X}" if isinstance(exc, UnicodeDecodeError) else "a character"
        if self._said or self._codec != DEFAULT_ENCODING:
            return f"{culprit} is not valid {self._codec}; name the file's encoding with --encoding"
        return f"{culprit} is not UTF-8; if the file comes from a Chinese Excel, add --encoding gb18030"

    def _line_of(self, exc: UnicodeError) -> int:
        before = ""
        if isinstance(exc, UnicodeDecodeError):
            before = exc.object[: exc.start].decode(self._codec, "replace")
        elif isinstance(exc, UnicodeEncodeError):
            before = exc.object[: exc.start]
        before = self._rest + before
        return self._line + before.count("\n") + before.count("\r") - before.count("\r\n")


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        # Codecs such as hex make bytes of bytes; this refuses them.
        io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        if codecs.lookup(encoding).name in NO_FILES_ENCODINGS:
            raise LookupError(encoding)  # noqa: TRY301 - one answer to all of these
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, ValueError) as exc:
        raise SettingsError(f"--encoding {encoding}: there is no such encoding; try utf-8, utf-16 or gb18030") from exc
