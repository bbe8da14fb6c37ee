"""Read an input with products of another platform: each row gets the target's key, its record keeps the source's.

Rows are mapped while they are read. Without a map, this module is not used.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.model import ReadRows
from bulk.rows.fields import Field
from bulk.rows.problems import FieldKind, field_problem
from bulk.rows.products.product_rows import ACCOUNT, Kept
from bulk.rows.reading import open_input
from bulk.rows.record import with_own_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk.model import AccountNames, InputFound
    from bulk.rows.products.product_map import ProductMap
    from bulk.rows.reading import RowReader
    from bulk.rows.shape import InputShape
    from bulk.settings import ReadSettings

__all__ = ["MappedReader", "open_rows"]


class MappedReader:
    """The rows of an open input, as rows of the target."""

    def __init__(self, reader: RowReader, product_map: ProductMap, *, names_accounts: bool) -> None:
        """Take the rows from a reader.

        Args:
            reader: Reader of the input.
            product_map: Source → target.
            names_accounts: The job's settings name accounts, so that each row needs one.
        """
        self.name = reader.name
        self.sha256 = reader.sha256
        self.shape: InputShape = replace(reader.shape, is_mapped=True)
        self._reader = reader
        self._map = product_map
        self._names_accounts = names_accounts
        self._kept = Kept(reader)

    @property
    def found(self) -> InputFound:
        """What the reader has found in the input so far."""
        return replace(self._reader.found, accounts_column=self._names_accounts)

    def batches(self, size: int = 1000) -> Iterator[ReadRows]:
        """Yield all rows in file order, as `RowReader.batches` does.

        Raises:
            InputError: As there; or a product of the source is another product's target.
        """
        for rows in self._reader.batches(size):
            yield self._mapped(rows)

    def _mapped(self, rows: ReadRows) -> ReadRows:
        nobody = None if self._names_accounts else ""
        done = ReadRows(invalid=[(*invalid[:4], nobody) for invalid in rows.invalid])
        for row in rows.valid:
            line, key, name, alias, desc, record = row
            cells = self._kept.of(row)
            place = self._map.place_of(cells.get(ACCOUNT, "") if isinstance(cells, dict) else "", key)
            if isinstance(place, str):
                self._map.refuse_own_product(key, file=self.name, line=line)
                problem = field_problem(Field.PRODUCT_KEY, FieldKind.UNMAPPED, value=key, cause=place)
                done.invalid.append((line, with_own_key(record, row[1:5]), problem.code, problem.text, nobody))
                continue
            done.valid.append((line, place.product_key, name, alias, desc, with_own_key(record, (key,))))
            if self._names_accounts:
                done.accounts.append(place.account)
        return done


@contextmanager
def open_rows(
    path: str,
    settings: ReadSettings,
    *,
    accounts: AccountNames | None,
    product_map: ProductMap | None,
    while_waiting: Callable[[], None],
) -> Iterator[RowReader | MappedReader]:
    """Open an input of modules, as `open_input` does, through a map if there is one.

    Args:
        path: Path of the input.
        settings: How to read it.
        accounts: Which accounts its rows may name; ``None``: the settings name none.
        product_map: Gives the product and account of the target for each row; ``None``: the row itself names them.
        while_waiting: Called while reading waits; an exception from it ends the reading.

    Raises:
        InputError: The whole input can't be read.
        SettingsError: Format, encoding, delimiter or ``--map`` can't be used.
    """
    own = accounts if product_map is None else None
    with open_input(path, settings, accounts=own, while_waiting=while_waiting) as reader:
        if product_map is None:
            yield reader
        else:
            yield MappedReader(reader, product_map, names_accounts=accounts is not None)
