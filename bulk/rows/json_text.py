"""Read a line of JSON strictly, and say what is wrong with one that is almost JSON. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from bulk.rows.record import is_too_large

__all__ = ["loaded", "why_no_json"]

TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')

HABITS = (
    (re.compile(r"\}\s*,\s*$"), "it ends in a comma, as inside a JSON array; remove it"),
    (re.compile(r"\{\s*'"), "it is in single quotes, as Python writes it; JSON has double ones"),
    (re.compile(r"\}\s*\{"), "several objects are on it; write one a line, as `jq -c .` does"),
    (re.compile(r"\b(?:NaN|Infinity)\b"), "JSON has neither NaN nor Infinity; write null"),
    (re.compile(r"\b(?:None|True|False)\b"), "None, True and False are Python's; write null, true and false"),
    (re.compile(r"^\s*(?:#|//|/\*)|\}\s*(?:#|//|/\*)"), "a comment is on it; JSON has none, remove it"),
    (
        re.compile(r"[{,]\s*[A-Za-z_]\w*\s*:"),
        "its keys are not in quotes, as in JavaScript; JSON has them in double ones",
    ),
    (re.compile(r",\s*[}\]]"), "a comma is after the last value; remove it"),
)
"""Usual mistakes in lines that are almost JSON; searched only outside of strings."""


def loaded(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read JSON, with its numbers of any size.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        if not is_too_large(exc):
            raise
        return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def why_no_json(text: str, exc: Exception) -> str:
    """Say what is wrong with a line: the usual mistake if one is recognised, else what the parser says."""
    bare = TEXT.sub('""', text)
    said = f"{exc.msg} at character {exc.colno}" if isinstance(exc, json.JSONDecodeError) else str(exc)
    return next((cause for habit, cause in HABITS if habit.search(bare)), said)
