"""Text that programs garbled. It is sent as it is, since it may be meant, but with a notice. Pure.

Examples are UTF-8 that was read in another encoding and saved again, HTML references, and escapes of other notations.
All are printable and legal. A quick check finds possible traces; only then is each text examined.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["trace_in", "traces_possible"]

MARKS_OF_MISREADING = (*"鏃妯鍧鏉鐨鎴鍒涓浜鍙鏈鍔鍦闂鐢鏄", "Ã", "Â", "â€", "æ", "å")
"""Characters that the first bytes of common ones become when UTF-8 is read as GB18030 or cp1252; rare elsewhere."""

MARKS_BEYOND_ASCII = ("\ufffd", "锟", *MARKS_OF_MISREADING)
REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
BREAK = re.compile(r"<[bB][rR] ?/?>")
ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\[nrt]|_x000[DA9]_")
LOST = re.compile(r"\ufffd|锟斤拷|\?{3,}")


def traces_possible(text: str) -> bool:
    """Say quickly whether there may be a trace in any part of a text."""
    return bool(
        ("&" in text and REFERENCE.search(text))
        or ("<" in text and BREAK.search(text))
        or ("\\" in text or "_x000" in text or "??" in text)
        or (not text.isascii() and any(mark in text for mark in MARKS_BEYOND_ASCII))
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
    return any(mark in text for mark in MARKS_OF_MISREADING) and any(
        _read_as(encoding, text) for encoding in ("cp1252", "latin-1", "gb18030")
    )


TRACES: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("characters that were lost (\ufffd, 锟斤拷, ???)", LOST.search),
    ("UTF-8 that was read in another encoding", _is_misread),
    ("references of HTML, such as &amp;", lambda text: REFERENCE.search(text) or BREAK.search(text)),
    ("escapes, such as \\n or \\u4e2d", ESCAPE.search),
)
"""Name of each trace, and its test."""
