"""Rows: from a file of any layout to checked rows, and from a stored record back to the file's own format.

Nothing here uses the network or the ledger. Start with `open_input`.
"""

from __future__ import annotations

from bulk.rows.reading import RowReader, open_input
from bulk.rows.shape import InputShape, cells, encode_header, encode_record, fields
from bulk.rows.text.damage import handler_for

__all__ = [
    "InputShape",
    "RowReader",
    "cells",
    "encode_header",
    "encode_record",
    "fields",
    "handler_for",
    "open_input",
]
