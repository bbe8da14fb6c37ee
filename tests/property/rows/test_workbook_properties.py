"""Whatever is changed in a workbook, it is rows or a message; nothing else gets out."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.errors import InputError
from bulk.rows import open_input
from bulk.settings import ReadSettings

pytest.importorskip("python_calamine", reason="the extra excel is not installed")

BOOKS = Path(__file__).parents[2] / "data" / "workbooks"
VALUE = re.compile(rb'"[^"<>]*"|>[^<>]+<')


def parts_of(name: str) -> dict[str, bytes]:
    with zipfile.ZipFile(BOOKS / name) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist() if entry.filename.startswith("xl/")}


PARTS = {name: parts_of(name) for name in ("openpyxl.xlsx", "xlsxwriter.xlsx")}

VALUES = st.sampled_from(
    [
        b"",
        b"-1",
        b"99999999999",
        b"4294967296",
        b"1e400",
        b"nan",
        b"A0",
        b"XFE1",
        b"ZZZZZZZ99",
        b"e",
        b"s",
        b"d",
        b"[h]:mm",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    book=st.sampled_from(sorted(PARTS)),
    changes=st.lists(st.tuples(st.integers(0), st.integers(0), VALUES), min_size=1, max_size=4),
)
def test_changed_values_end_in_rows_or_in_a_message(book: str, changes: list[tuple[int, int, bytes]]) -> None:
    parts = dict(PARTS[book])
    for which, place, value in changes:
        name = sorted(parts)[which % len(parts)]
        found = list(VALUE.finditer(parts[name]))
        if found:
            at = found[place % len(found)]
            parts[name] = parts[name][: at.start() + 1] + value + parts[name][at.end() - 1 :]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)

    try:
        with open_input("-", ReadSettings(format="xlsx"), stdin=io.BytesIO(packed.getvalue())) as reader:
            batches = list(reader.batches())
    except InputError:
        return
    lines = [row[0] for batch in batches for row in [*batch.valid, *batch.invalid]]
    assert len(lines) == len(set(lines))
