"""Write the result of each row, one record for each, in the input's order; and the rows to try again."""

from __future__ import annotations

import codecs
import csv
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import orjson

from bulk.atomic import replaced
from bulk.errors import LedgerError
from bulk.ledger.views.reading import at_one_moment, names_accounts, read_input, read_results, read_results_without_row
from bulk.model import PROVISIONED_OUTCOMES, ROW_OUTCOMES, Outcome
from bulk.rows import InputShape, cells, encode_header, encode_record, fields, handler_for
from bulk.rows.formulas import harmless
from bulk.rows.products.product_rows import is_account_column
from bulk.shell import shell_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from bulk.ledger.views.reading import Result

__all__ = ["write_results", "write_retry_file"]

_OURS = ("outcome", "code", "message", "request_id", "attempts", "recovered", "settled_at")
_OF_A_MAP = ("target_account", "target_product_key")
"""Extra columns if the input was read through a map: its own columns have the keys of the source."""


def write_results(
    ledger: Path,
    out: BinaryIO,
    *,
    format: str,  # noqa: A002 - the contract's word
    outcomes: Collection[Outcome] | None = None,
    excel_safe: bool = False,
) -> None:
    """Write ``line``, the input's own columns as they were, then ``outcome, code, message, …``; UTF-8.

    After the rows come the modules that a sync deleted or left on the platform; they have no line.

    If the ledger knows accounts, a JSON line also has ``account``, the row's account. CSV has it in the input's own
    column, if there is one: without that column all rows are of one account. If a map gave each row its product of
    the target, the last columns name it.

    Args:
        ledger: Path of a ledger; a run may be at work on it.
        out: Output.
        format: ``csv`` or ``jsonl``.
        outcomes: Only rows with these outcomes; ``None``: all.
        excel_safe: Also make the input's own cells harmless that a spreadsheet would run as formulas. The columns
            added here always are harmless.

    Raises:
        LedgerError: There is no such ledger, it can't be read, or no input was read into it yet.
    """
    with at_one_moment(ledger) as connection:
        shape = _shape(connection, ledger)
        results = chain(
            read_results(connection, ledger, outcomes=outcomes),
            (_with_record(shape, result) for result in read_results_without_row(connection, ledger, outcomes=outcomes)),
        )
        if format == "jsonl":
            has_accounts = names_accounts(connection, ledger)
            out.writelines(
                orjson.dumps(_as_object(shape, result, has_accounts=has_accounts), option=orjson.OPT_APPEND_NEWLINE)
                for result in results
            )
        else:
            names = _columns(connection, ledger, shape)
            _write_csv(out, _table(shape, names, results, excel_safe=excel_safe))


def write_retry_file(ledger: Path, path: Path) -> int:
    """Write the rows that are not provisioned in the input's own format, and return how many they are.

    Raises:
        LedgerError: There is no such ledger, it can't be read, or no input was read into it yet.
        OSError: The file can't be written.
    """
    unprovisioned = frozenset(ROW_OUTCOMES) - PROVISIONED_OUTCOMES
    with at_one_moment(ledger) as connection:
        shape = _shape(connection, ledger)
        rows = 0
        with replaced(path) as out:
            # An incremental encoder writes a byte order mark only once, at the start of the file.
            encoder = codecs.getincrementalencoder(shape.encoding)(errors=handler_for(shape.encoding))
            out.write(encoder.encode(encode_header(shape)))
            for result in read_results(connection, ledger, outcomes=unprovisioned):
                out.write(encoder.encode(encode_record(shape, result.record, result.values)))
                rows += 1
    return rows


def _shape(connection: sqlite3.Connection, ledger: Path) -> InputShape:
    text = read_input(connection, ledger)
    if text is None:
        raise LedgerError(
            f"{ledger}: no input was read into this ledger yet: `bulk run INPUT --ledger {shell_path(str(ledger))}`"
        )
    return InputShape.from_json(text)


def _with_record(shape: InputShape, result: Result) -> Result:
    """Give a module that no row asks for the record that its row would have.

    If a map gave products their keys, the source's key and account come from another row of the product.
    """
    told = {
        "ProductKey": result.product_key,
        "ModuleName": result.module_name,
        "AliasName": result.alias_name or None,
        "Desc": result.desc or None,
        "Account": result.account or None,
    }
    own: dict[str | None, object] = {shape.columns.get(name): text for name, text in told.items() if text is not None}
    if shape.is_mapped:
        of_product = fields(shape, result.record) if result.record else {}
        source = (shape.columns.get("ProductKey"), *filter(is_account_column, of_product))
        own = {**own, **{name: of_product.get(name or "", "") for name in source}}
    if shape.format == "jsonl":
        return result._replace(record=orjson.dumps({name: own[name] for name in own if name}).decode())
    columns = [str(own.get(name, "")) for name in shape.header]
    return result._replace(record=orjson.dumps(columns).decode())


def _as_object(shape: InputShape, result: Result, *, has_accounts: bool) -> dict[str, object]:
    account = {"account": result.account} if has_accounts else {}
    ours = {*_ours(shape), *account}
    own = {
        (f"input.{name}" if name in ours or name == "line" else name): value
        for name, value in fields(shape, result.record, result.values).items()
    }
    our_values = dict(zip(_ours(shape), _our_values(shape, result), strict=True))
    return {"line": result.line or None, **account, **own, **our_values}


def _ours(shape: InputShape) -> tuple[str, ...]:
    return (*_OURS, *_OF_A_MAP) if shape.is_mapped else _OURS


def _our_values(shape: InputShape, result: Result) -> tuple[object, ...]:
    of_a_map = (result.account, result.product_key) if shape.is_mapped else ()
    return (
        result.outcome,
        result.code,
        result.message,
        result.request_id,
        result.attempts,
        result.recovered,
        result.settled_at,
        *of_a_map,
    )


def _columns(connection: sqlite3.Connection, ledger: Path, shape: InputShape) -> list[str]:
    """Return the input's own columns; for a JSONL file, every key of any of its objects."""
    if shape.format != "jsonl":
        return list(shape.header)
    names: dict[str, None] = {}
    for result in read_results(connection, ledger):
        names.update(dict.fromkeys(fields(shape, result.record)))
    return list(names)


def _table(
    shape: InputShape, names: list[str], results: Iterator[Result], *, excel_safe: bool
) -> Iterator[list[object]]:
    yield ["line", *(map(harmless, names) if excel_safe else names), *_ours(shape)]
    for result in results:
        own = _own_cells(shape, names, result)
        if excel_safe:
            own = [harmless(cell) for cell in own]
        yield [result.line or None, *own, *map(harmless, _our_values(shape, result))]


def _own_cells(shape: InputShape, names: list[str], result: Result) -> list[object]:
    if shape.format != "jsonl":
        return list(cells(shape, result.record, result.values))
    own = fields(shape, result.record)
    return [_as_cell(own.get(name)) for name in names]


def _as_cell(value: object) -> object:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _write_csv(out: BinaryIO, table: Iterator[list[object]]) -> None:
    # Only a writer with both characters as line end puts cells that contain either of them into quotes.
    csv.writer(_LineFeeds(out), lineterminator="\r\n").writerows(table)


class _LineFeeds:
    """Takes a csv writer's rows and ends each with a line feed only, as is usual on this system."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, row: str) -> None:
        """Write one row."""
        self._out.write(row.removesuffix("\r\n").encode() + b"\n")
