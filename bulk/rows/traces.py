"""Text that programs garbled on its way: sent as it is, since it may be meant, but said. Pure.

Text of UTF-8 that was read in another encoding and saved again, references of HTML, escapes of other notations: all of
it is printable and legal. A quick look finds what may be one; only then each text is looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["trace_in", "traces_possible"]

_READ_AS_GB18030 = "".join(
    bytes((lead, trail)).decode("gb18030") for lead in range(0xE4, 0xEA) for trail in range(0x80, 0xA1)
)
"""What the first two bytes of most Chinese characters become, when they are read as GB18030: all of them rare."""

BEYOND_ASCII = re.compile(f"\ufffd|锟斤拷|[\u00c2\u00c3\u00e2-\u00e9][\u0080-\u00bf\u0152-\u2122]|[{_READ_AS_GB18030}]")
HTML = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-f]{1,6});|<br ?/?>", re.IGNORECASE)
ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\[nrt]|_x000[DA9]_")
LOST = re.compile(r"\ufffd|锟斤拷|\?{3,}")


def traces_possible(text: str) -> bool:
    """Say quickly whether there may be a trace in any part of a text."""
    return bool(
        (("&" in text or "<" in text) and HTML.search(text))
        or (("\\" in text or "_x000" in text) and ESCAPE.search(text))
        or "???" in text
        or (not text.isascii() and BEYOND_ASCII.search(text))
    )


def trace_in(text: str) -> str | None:
    """Say what a text looks like; ``None``: nothing is odd."""
    return next((kind for kind, looks in TRACES if looks(text)), None)


def _read_as(encoding: str, text: str) -> bool:
    """Say whether a text is UTF-8 that was read in this encoding."""
    try:
        return text.encode(encoding).decode("utf-8") != text
    except UnicodeError:
        return False


def _is_misread(text: str) -> bool:
    if text.isascii() or not BEYOND_ASCII.search(text):
        return False
    return any(_read_as(encoding, text) for encoding in ("cp1252", "latin-1", "gb18030"))


TRACES: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("characters that were lost (\ufffd, 锟斤拷, ???)", LOST.search),
    ("UTF-8 that was read in another encoding", _is_misread),
    ("references of HTML, such as &amp;", HTML.search),
    ("escapes, such as \\n or \\u4e2d", ESCAPE.search),
)
"""What a text looks like, and how that is told."""
