"""Bytes that are not in an input's encoding: how text carries them, and when they spoil the file, not only a row.

Text carries such a byte as half of a surrogate pair (PEP 383), which no sound text contains. So its row can be found,
kept and written again unchanged. A row with such a byte is invalid, since its text is not known.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field

from bulk.rows.text.encodings import advice, likely_readings

__all__ = ["Damage", "culprit", "damage_in", "first_damaged", "handler_for"]

FIRST_HALF, LAST_HALF = "\ud800", "\udfff"
FIRST_BYTE, LAST_BYTE = "\udc80", "\udcff"
BYTE_BASE = 0xDC00
"""In text, a byte that can't be decoded is the code point at this offset plus the byte's value."""

MOST_SAMPLES = 20
MOST_SAMPLE_CHARS = 1_000

LINES_FOR_ONE = 100
"""If all sound text is ASCII, one damaged line in this many is allowed; a single one always is."""

STATEFUL = ("utf-7", "iso2022", "hz", "unicode_escape", "raw_unicode_escape", "unicode-escape", "raw-unicode-escape")
"""Codecs in which a damaged byte changes how everything after it is read."""


def handler_for(codec: str) -> str:
    """Return the error handler for damage in this encoding, for both decoding and encoding."""
    name = codecs.lookup(codec).name
    if name.startswith(STATEFUL):
        return "strict"
    # With a byte missing, units of two or four bytes can't be separated any more. But half of a pair may occur alone.
    return "surrogatepass" if name.startswith(("utf-16", "utf-32")) else "surrogateescape"


def first_damaged(text: str) -> int | None:
    """Return the position of the first damaged character; ``None``: the text is sound."""
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        return exc.start
    return None


def culprit(char: str, codec: str) -> str:
    """Say which byte a damaged character was, and that it is not in the encoding."""
    byte = _byte_of(char)
    found = f"half of a character (U+{ord(char):04X})" if byte is None else f"byte 0x{byte:02X}"
    return f"{found} is not {'UTF-8' if _is_utf_8(codec) else f'valid {codec}'}"


def damage_in(text: str, codec: str) -> str | None:
    """Say what in a text is not in its encoding, and what it might mean; ``None``: it is sound."""
    position = first_damaged(text)
    if position is None:
        return None
    char = text[position]
    found = likely_readings([_raw_bytes(text, codec)]) if _byte_of(char) is not None else []
    fits = "; ".join(f"as {reading.encoding} it reads {reading.cell!r}" for reading in found)
    return culprit(char, codec) + (f" ({fits})" if fits else "")


@dataclass(slots=True)
class Damage:
    """Damage of an input, as far as it was read."""

    codec: str
    lines: int = 0
    byte_count: int = 0
    first_line: int = 0
    """Line of the file with the first damage, starting at 1; 0: there is none."""

    _first: str = ""
    _samples: list[bytes] = field(default_factory=list)

    def note(self, line: int, text: str) -> None:
        """Note a line if it is damaged."""
        position = first_damaged(text)
        if position is None:
            return
        self.lines += 1
        self.byte_count += sum(FIRST_HALF <= each <= LAST_HALF for each in text)
        if not self.first_line:
            self.first_line, self._first = line, text[position]
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(_raw_bytes(text[:MOST_SAMPLE_CHARS], self.codec))

    def costs_the_file(self, *, lines: int, sound_bytes: int) -> bool:
        """Say whether the whole input is evidently in another encoding.

        Sound characters beyond ASCII prove the encoding, since they hardly occur by chance. So the larger part decides.
        If all sound text is ASCII, which most encodings share, a few damaged lines are allowed: the other rows are the
        same in any encoding, so it is safe to send them.

        Args:
            lines: Lines with rows so far, the damaged ones included.
            sound_bytes: Bytes of sound characters, without the first byte of each.
        """
        if not self.lines or self.byte_count <= sound_bytes:
            return False
        return self.lines >= lines or self.lines > max(1, lines // LINES_FOR_ONE)

    def refusal(self) -> str:
        """Say what is wrong with the whole input, and what to do."""
        return f"{culprit(self._first, self.codec)}; {advice(self._samples)}"


def _byte_of(char: str) -> int | None:
    return ord(char) - BYTE_BASE if FIRST_BYTE <= char <= LAST_BYTE else None


def _raw_bytes(text: str, codec: str) -> bytes:
    return text.encode("utf-8" if _is_utf_8(codec) else codec, handler_for(codec))


def _is_utf_8(codec: str) -> bool:
    return codecs.lookup(codec).name in {"utf-8", "utf-8-sig"}
