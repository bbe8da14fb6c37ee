"""Read written rows back, and name those that a run reads differently, or refuses.

No rule is repeated here: the reader itself reads the rows. So everything that it trims, takes as absent or refuses
is found.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from bulk.errors import InputError
from bulk.rows.fields import OF_MODULE
from bulk.rows.reading import open_input
from bulk.rows.text.source import STDIN
from bulk.settings import ReadSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.model import OtaModule

__all__ = ["ReadOtherwise", "Written", "read_otherwise", "settings_for_reading_back"]


class Written(NamedTuple):
    """A row, and the module that it should describe."""

    row: bytes
    module: OtaModule


class ReadOtherwise(NamedTuple):
    """A row from which a run does not read its module."""

    product_key: str
    module_name: str
    reason: str


def settings_for_reading_back(format: str, given: ReadSettings) -> ReadSettings:  # noqa: A002 - its name
    """Return how a run reads what is written here: of the given settings, only those that apply to every input."""
    return replace(
        ReadSettings(),
        format=format,
        null_texts=given.null_texts,
        lenient_keys=given.lenient_keys,
        lenient_alias=given.lenient_alias,
    )


def read_otherwise(header: bytes, written: Sequence[Written], settings: ReadSettings) -> Iterator[ReadOtherwise]:
    """Yield the rows that are read differently, in their order.

    Args:
        header: The bytes before the rows.
        written: Rows of one file, in its order.
        settings: How a run reads it.
    """
    found = _read(header + b"".join(one.row for one in written), settings)
    if len(found) == len(written):
        for one, read in zip(written, found, strict=True):
            yield from _difference(one.module, read)
        return
    # A row that is skipped, or read as two, shifts the rows after it. So each row is then read alone.
    for one in written:
        alone = _read(header + one.row, settings)
        if len(alone) == 1:
            yield from _difference(one.module, alone[0])
        else:
            yield ReadOtherwise(one.module.product_key, one.module.module_name, f"it is read as {len(alone)} rows")


def _read(text: bytes, settings: ReadSettings) -> list[Sequence[str] | str]:
    """Return the texts of each row, or why it is refused, in the order of the rows."""
    found: dict[int, Sequence[str] | str] = {}
    try:
        with open_input(STDIN, settings, stdin=io.BytesIO(text)) as reader:
            for batch in reader.batches():
                found |= {line: problem for line, _, _, problem, _ in batch.invalid}
                found |= {row[0]: row[1:5] for row in batch.valid}
    except InputError as exc:
        return [str(exc)] if len(found) == 0 else []
    return [found[line] for line in sorted(found)]


def _difference(module: OtaModule, read: Sequence[str] | str) -> Iterator[ReadOtherwise]:
    if isinstance(read, str):
        yield ReadOtherwise(module.product_key, module.module_name, f"a run refuses it: {read}")
        return
    texts = (module.product_key, module.module_name, module.alias_name or "", module.desc or "")
    unlike = [
        f"{name} is {there!r}, and a run reads {here!r}"
        for name, there, here in zip(OF_MODULE, texts, read, strict=True)
        if there != here
    ]
    if unlike:
        yield ReadOtherwise(module.product_key, module.module_name, "; ".join(unlike))
