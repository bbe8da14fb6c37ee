"""Suggest encodings for bytes that are not in the expected encoding. Pure.

Bytes don't say their encoding, and valid text in one East Asian encoding is often valid in two others: no program can
decide. So each encoding that fits is shown with its reading of a cell, and a person chooses the right one.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "Candidate",
    "Reading",
    "advice",
    "decoded_so_far",
    "likely_readings",
    "telling_cell",
    "unmarked_wide_encoding",
]

MOST_SHOWN = 4
MOST_SHOWN_CHARS = 24
CHARS_BEFORE = 8
"""Characters of a long cell that are shown before its first one beyond ASCII."""

LEAST_SHARE_OF_SAMPLES = 0.8
"""Share of the damaged lines that an encoding must fit: some lines may be damaged in any encoding."""

LEAST_OF_BEST = 0.6
"""Readings with less than this share of the best one's merit are not shown: they only confuse."""

ENDS_OF_CELLS = re.compile(rb'[,;\t"\r\n]')
"""Bytes that no candidate has inside a character, so cells can be separated before they are decoded."""

WIDE_ENCODINGS = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
LEAST_ASCII_IN_WIDE = 0.03
LEAST_NULS_IN_ASCII = 0.3
NO_TEXT = re.compile("[\x00-\x08\x0e-\x19\x1c-\x1f\ufffe\uffff]")

CJK_PUNCTUATION = re.compile("[\u3000-\u303f\uff01-\uff5e]")


class Reading(NamedTuple):
    """A cell as an encoding reads it."""

    encoding: str
    cell: str


class Candidate(NamedTuple):
    """An encoding that files are often in."""

    codecs: tuple[str, ...]
    """Codec of the standard first, then those of its extensions."""

    merit: Callable[[str], float]
    """How likely a text is in this encoding, from 0 to 1."""


def advice(samples: Sequence[bytes]) -> str:
    """Return what to do about lines that are not in the expected encoding. The text begins with a verb.

    Args:
        samples: Some of these lines; the first is shown.
    """
    found = likely_readings(samples)
    if not found:
        return "name the file's encoding with --encoding (no likely one fits), or fetch the file again"
    if len(found) == 1:
        return (
            f"if {found[0].cell!r} reads right, add --encoding {found[0].encoding}; else name the file's own encoding"
        )
    shown = ", ".join(f"--encoding {reading.encoding} reads {reading.cell!r}" for reading in found)
    return f"add the one that reads right: {shown}; or name the file's own encoding"


def likely_readings(samples: Sequence[bytes]) -> list[Reading]:
    """Return the encodings that fit these lines, the likeliest first, each with its reading of the same cell."""
    cells = [telling_cell(sample) for sample in samples]
    found = []
    for candidate in CANDIDATES:
        for codec in candidate.codecs:
            texts = [text for cell in cells if (text := _decoded(cell, codec)) is not None]
            if texts and len(texts) >= LEAST_SHARE_OF_SAMPLES * len(cells):
                merit = sum(map(candidate.merit, texts)) / len(texts)
                found.append((merit, Reading(codec, _shown(texts[0]))))
                break
    found.sort(key=lambda each: each[0], reverse=True)
    return [reading for merit, reading in found if merit >= LEAST_OF_BEST * found[0][0]][:MOST_SHOWN]


def telling_cell(line: bytes) -> bytes:
    """Return the cell with most bytes beyond ASCII."""
    return max(ENDS_OF_CELLS.split(line), key=lambda cell: sum(byte > 0x7F for byte in cell)).strip()  # noqa: PLR2004 - ASCII


def unmarked_wide_encoding(head: bytes) -> str | None:
    """Return the form of UTF-16 or UTF-32 of an input without a mark; ``None``: it has neither.

    Args:
        head: The input's first bytes: a multiple of four, or all.
    """
    if 0 not in head:
        return None
    # ASCII text in these encodings is at least half NULs. With few NULs it is a damaged file in another encoding.
    least = LEAST_NULS_IN_ASCII if decoded_so_far(head, "utf-8") is not None else 0
    if head.count(0) < least * len(head):
        return None
    shares = {encoding: _share_of_ascii(head, encoding) for encoding in WIDE_ENCODINGS}
    likeliest = max(WIDE_ENCODINGS, key=lambda encoding: shares[encoding])
    return likeliest if shares[likeliest] >= LEAST_ASCII_IN_WIDE else None


def _share_of_ascii(head: bytes, encoding: str) -> float:
    """Return the share of ASCII characters, such as keys and delimiters; 0: it is no text in this encoding."""
    text = decoded_so_far(head, encoding)
    if not text or NO_TEXT.search(text):
        return 0.0
    return sum(map(str.isascii, text)) / len(text)


def decoded_so_far(head: bytes, encoding: str) -> str | None:
    """Decode bytes that may end in the middle of a character."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None


def _decoded(cell: bytes, codec: str) -> str | None:
    try:
        text = cell.decode(codec)
    except UnicodeDecodeError:
        return None
    # A decoder that returns control or private-use characters is the wrong one.
    return text if text.replace("\t", " ").isprintable() else None


def _shown(text: str) -> str:
    first = next((position for position, char in enumerate(text) if not char.isascii()), 0)
    start = max(0, first - CHARS_BEFORE) if len(text) > MOST_SHOWN_CHARS else 0
    return text[start : start + MOST_SHOWN_CHARS]


def _common_in(charset: str, *leads: range) -> Callable[[str], float]:
    """Return a measure of how likely a text is: common characters are in certain rows of a double-byte set."""

    def of_character(char: str) -> float:
        if CJK_PUNCTUATION.match(char):
            return 0.8
        try:
            encoded = char.encode(charset)
        except UnicodeEncodeError:
            return 0.1
        return 1.0 if len(encoded) > 1 and any(encoded[0] in lead for lead in leads) else 0.2

    def merit(text: str) -> float:
        scores = [of_character(char) for char in text if not char.isascii()]
        return sum(scores) / len(scores) if scores else 0.0

    return merit


def _of_western(text: str) -> float:
    """Return how likely a text is that has accents and signs here and there between ASCII letters."""
    runs = list(re.finditer(r"[^\x00-\x7f]+", text))
    scores = [
        _of_run(run[0], text[max(0, run.start() - 1) : run.start()] + text[run.end() : run.end() + 1]) for run in runs
    ]
    return sum(scores) / len(scores) if scores else 0.0


def _of_run(run: str, beside: str) -> float:
    if run.isalpha() and len(run) <= 2 and (run.islower() or run.isupper()):  # noqa: PLR2004 - as in French or German
        return 1.0 if any(map(str.isalpha, beside)) else 0.6
    return 0.8 if len(run) == 1 else 0.1


CANDIDATES = (
    Candidate(("gb18030",), _common_in("gb2312", range(0xB0, 0xD8))),
    Candidate(("big5", "cp950", "big5hkscs"), _common_in("big5", range(0xA4, 0xC7))),
    Candidate(("shift_jis", "cp932"), _common_in("shift_jis", range(0x82, 0x84), range(0x88, 0x98))),
    Candidate(("euc_kr", "cp949"), _common_in("euc_kr", range(0xB0, 0xC9))),
    Candidate(("cp1252",), _of_western),
)
"""Equally likely encodings are shown in this order. The ranges contain the frequent characters of each set."""
