"""What no screen shows is found, and named so that a person can find it too."""

from __future__ import annotations

import pytest

from bulk.stray import control_in, is_quoted, stray_in, trimmed


@pytest.mark.parametrize(
    "stray", ["\r", "\n", "\r\n", " ", "\t", "\u00a0", "\u200b", "\ufeff", "\u3000", "\u2060", "\0"]
)
def test_what_is_not_seen_at_the_ends_is_left_out(stray: str) -> None:
    assert trimmed(f"{stray}iot-1{stray}{stray}") == "iot-1"
    assert trimmed(f"a{stray}b") == f"a{stray}b"
    assert trimmed(stray * 3) == ""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("iot-1", None),
        ("日志/ü.log", None),
        ("iot-1\r", "a carriage return"),
        ("iot\x1b[2J", "U+001B"),
        ("a\nb", "a line break"),
        ("a\x85b", "U+0085"),
    ],
)
def test_control_character_is_named(text: str, named: str | None) -> None:
    found = control_in(text)

    assert (found is None) if named is None else named in str(found)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("LTAI5t+/=_-.~", None),
        ("LT AI", "a space"),
        ("LT\u200bAI", "a zero-width space"),
        ("LT\u00a0AI", "a no-break space"),
        ("ＬＴＡＩ", "U+FF2C"),
        ('LT"AI', "a quote"),
    ],
)
def test_character_that_no_key_can_hold_is_named(text: str, named: str | None) -> None:
    found = stray_in(text)

    assert (found is None) if named is None else named in str(found)


@pytest.mark.parametrize("text", ['"a"', "'a'", "“a”", '"a', "a'", "「a」"])
def test_quotes_are_seen_at_either_end(text: str) -> None:
    assert is_quoted(text)
    assert not is_quoted("a")
    assert not is_quoted("")
