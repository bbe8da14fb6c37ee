"""Decode bytes and split them into numbered lines, in constant memory for a stream or a line of any length."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple, Protocol

from bulk.errors import InputError
from bulk.rows.text.damage import Damage, culprit, damage_in, first_damaged
from bulk.rows.text.decoding import CTRL_Z, Decoder
from bulk.rows.text.layouts import Beginning
from bulk.rows.text.source import reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from bulk.rows.problems import Flaw
    from bulk.rows.text.source import Opened

__all__ = ["LOOKED_AT_TOGETHER", "MAX_RECORD_CHARS", "Block", "LineSource", "TableSource"]

CHUNK_BYTES = 64 * 1024
"""Some thousand lines: enough that the cost of a block is small, few enough to check again from the middle."""

MAX_RECORD_CHARS = 1024 * 1024
"""Longest line, and longest record of several lines, that is parsed."""

LOOKED_AT_TOGETHER = 48
"""Lines: enough that a quick check costs little for each, few enough to check singly if one is faulty."""

KEPT_CHARS = 2_000
"""Characters that are kept of a longer line."""

ENOUGH_DAMAGE = 1_000
"""After this many damaged lines, reading ends if the input is evidently in another encoding."""


class Block(NamedTuple):
    """Consecutive lines."""

    first: int
    """Number of the first line in the file, starting at 1."""

    lines: list[str]
    """With their line ends; only the file's last may have none."""

    cut: bool = False
    """The block is one line longer than `MAX_RECORD_CHARS`; only its beginning is kept."""


class TableSource(Protocol):
    """Source of a table's lines: a text, or a sheet of a workbook with its rows as lines of text."""

    name: str
    """The input as the user named it."""

    @property
    def encoding(self) -> str:
        """The codec to write its rows with."""
        ...

    def blocks(self) -> Iterator[Block]:
        """Yield all lines, once."""
        ...

    def damage_in(self, text: str) -> str | None:
        """Say what in a text of this input is not in its encoding; ``None``: it is sound."""
        ...

    def require_sound(self, text: str, *, line: int | None = None) -> None:
        """Make sure that text on which all rows depend, such as a header, is not damaged."""
        ...

    def is_flawless(self, first: int, lines: int, columns: Collection[int]) -> bool:
        """Say quickly that these lines have no flaw in these columns; False means: call `flaws_of` for each line."""
        ...

    def flaws_of(self, line: int) -> Mapping[int, Flaw]:
        """Return the flaws of a line by column. Call it once for each line."""
        ...


class LineSource:
    """The lines of an input."""

    def __init__(self, opened: Opened, *, name: str, encoding: str | None, heading_lines: int = 0) -> None:
        """Choose the encoding: by the byte order mark if there is one, else as requested, else UTF-8.

        Args:
            opened: The input.
            name: The input as the user named it.
            encoding: Value of ``--encoding``.
            heading_lines: Number of lines that contain no row.

        Raises:
            SettingsError: There is no such encoding.
            InputError: The input is evidently in another encoding.
        """
        self.name = name
        self._stream = opened.stream
        self._is_whole_in_head = opened.is_whole_in_head
        self._line = 1
        self._rest = ""
        self._heading_lines = heading_lines
        self._decoder = Decoder(opened.head, said=encoding)
        if self._decoder.mismatch:
            raise InputError(self._decoder.mismatch, file=name)
        self.encoding = self._decoder.encoding
        self.beginning = Beginning(self._decoder.beginning(opened.head), opened.is_whole_in_head, name, self.encoding)
        """The beginning, from which the layout is recognised."""

        self._damage = Damage(self._decoder.codec)
        self._may_be_damaged = False

    @property
    def is_damaged(self) -> bool:
        """Whether any line so far has text that is not in the input's encoding; `damage_in` finds it."""
        return self._damage.lines > 0

    def damage_in(self, text: str) -> str | None:
        """Say what in a text of this input is not in its encoding; ``None``: it is sound."""
        return damage_in(text, self._decoder.codec) if self.is_damaged else None

    def require_sound(self, text: str, *, line: int | None = None) -> None:
        """Make sure that text on which all rows depend, such as a header, is not damaged.

        Args:
            text: The header.
            line: Line of the header; ``None``: name the first damaged line.

        Raises:
            InputError: It is damaged.
        """
        if self.damage_in(text):
            raise InputError(self._damage.refusal(), file=self.name, line=line or self._damage.first_line)

    def is_flawless(self, first: int, lines: int, columns: Collection[int]) -> bool:
        """Return True: text has no flaws besides those its characters show. A workbook's cells may have others."""
        del first, lines, columns
        return True

    def flaws_of(self, line: int) -> Mapping[int, Flaw]:
        """Return no flaws: see `is_flawless`."""
        del line
        return {}

    def blocks(self) -> Iterator[Block]:
        """Yield all lines, once.

        Raises:
            InputError: Bytes can't be read or decoded; the message names the line.
        """
        cutting = False
        for text in self._texts():
            # StringIO splits at the usual line ends. str.splitlines splits at more, such as U+2028 and form feeds.
            lines = io.StringIO(self._rest + text, newline="").readlines()
            # A carriage return at the end may be the first half of a line end. An empty text is the end of the input.
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
            if self._may_be_damaged:
                self._note_damage(lines)
            if lines:
                yield Block(self._line, lines)
                self._line += len(lines)
            if len(self._rest) > MAX_RECORD_CHARS:
                yield self._cut(self._rest)
                cutting = True
            if cutting:
                self._rest = self._rest[-1:]
        self._refuse_if_foreign(self._line)

    def _cut(self, line: str) -> Block:
        return Block(self._line, [line[:KEPT_CHARS].rstrip("\r\n") + "..."], cut=True)

    def _note_damage(self, lines: list[str]) -> None:
        for line, text in enumerate(lines, self._line):
            self._damage.note(line, text)
        self._may_be_damaged = first_damaged(self._rest) is not None
        if self._damage.lines >= ENOUGH_DAMAGE:
            self._refuse_if_foreign(self._line + len(lines))

    def _refuse_if_foreign(self, following: int) -> None:
        lines = following - 1 - self._heading_lines
        if self._damage.costs_the_file(lines=lines, sound_bytes=self._decoder.sound_bytes):
            raise InputError(self._damage.refusal(), file=self.name, line=self._damage.first_line)

    def _texts(self) -> Iterator[str]:
        """Yield the text in pieces. Only the last one is empty: it marks the end."""
        data = self._read()
        while data:
            text = self._decode(data)
            if text:
                yield text
            data = self._read()
        text = self._decode(b"")
        if text:
            yield text
        yield ""

    def _read(self) -> bytes:
        with reading(self.name, line=self._line):
            return self._stream.read(CHUNK_BYTES)

    def _decode(self, data: bytes) -> str:
        try:
            text = self._decoder.decode(data)
            if self._decoder.handler == "strict":
                text.encode()
        except (UnicodeDecodeError, UnicodeEncodeError) as exc:
            raise InputError(self._advice(exc), file=self.name, line=self._line_of(exc)) from exc
        # Some codecs accept halves of surrogate pairs. No request can carry them, so they are damage too.
        damaged_at = first_damaged(text)
        self._may_be_damaged |= damaged_at is not None
        proof = self._decoder.proof_of_utf_8(at_end=self._is_whole_in_head or not data)
        if proof and damaged_at is None:
            raise InputError(proof, file=self.name)
        if proof and damaged_at is not None:
            message = f"{culprit(text[damaged_at], self._decoder.codec)}; {proof}"
            raise InputError(message, file=self.name, line=self._line_at(text[:damaged_at]))
        return text

    def _advice(self, exc: UnicodeDecodeError | UnicodeEncodeError) -> str:
        found = f"byte 0x{exc.object[exc.start]:02X}" if isinstance(exc, UnicodeDecodeError) else "a character"
        codec = self._decoder.codec
        return f"{found} is not valid {codec}; name the file's encoding with --encoding, or fetch the file again"

    def _line_of(self, exc: UnicodeDecodeError | UnicodeEncodeError) -> int:
        if isinstance(exc, UnicodeEncodeError):
            return self._line_at(exc.object[: exc.start])
        return self._line_at(exc.object[: exc.start].decode(self._decoder.codec, "replace"))

    def _line_at(self, before: str) -> int:
        """Return the number of the line in which this text ends; it follows the text read so far."""
        before = self._rest + before
        return self._line + before.count("\n") + before.count("\r") - before.count("\r\n")
