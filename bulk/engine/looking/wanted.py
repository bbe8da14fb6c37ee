"""Say which products of each account are read: those that a file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.errors import InputError
from bulk.rows.fields import PRODUCTS
from bulk.rows.products.product_rows import ACCOUNT, Kept
from bulk.rows.reading import open_input

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bulk.settings import ReadSettings

__all__ = ["refuse_rows", "wanted_products"]

_MOST_NAMED = 20


def wanted_products(
    path: str,
    settings: ReadSettings,
    *,
    accounts: Sequence[str],
    tried: Sequence[str],
    while_waiting: Callable[[], None] = lambda: None,
) -> Mapping[str, tuple[str, ...]]:
    """Return the ProductKeys of a file by account, each once, in the file's order.

    Args:
        path: Path of a file with a column ProductKey, such as an input of modules.
        settings: How to read it.
        accounts: All that the settings name; ``("",)``: none.
        tried: Accounts that are used; products of the others are left out.
        while_waiting: Called during the reading; an error that it raises ends the reading.

    Raises:
        InputError: The file can't be read, names no product, or a row does not name the account of its product.
    """
    found: dict[str, dict[str, None]] = {account: {} for account in tried}
    faults: list[tuple[int, str]] = []
    of_all = tried[0] if len(tried) == 1 else None
    with open_input(path, settings, while_waiting=while_waiting, sought=PRODUCTS) as reader:
        kept = Kept(reader)
        for batch in reader.batches():
            faults += [(line, problem) for line, _, _, problem, _ in batch.invalid]
            for row in batch.valid:
                cells = kept.of(row)
                account = "" if isinstance(cells, str) else cells.get(ACCOUNT, "")
                whose = _whose(account, accounts, of_all)
                if isinstance(cells, str) or whose is None:
                    faults.append((row[0], cells if isinstance(cells, str) else f"Account {account!r} is not known"))
                elif whose in found:
                    found[whose].setdefault(row[1])
    refuse_rows(path, faults, consequence="nothing was asked for")
    if not any(found.values()):
        raise InputError("no product is in it", file=path)
    return {account: tuple(keys) for account, keys in found.items()}


def _whose(account: str, accounts: Sequence[str], of_all: str | None) -> str | None:
    if accounts == ("",):
        return ""
    if not account:
        return of_all
    return account if account in accounts else None


def refuse_rows(path: str, faults: Sequence[tuple[int, str]], *, consequence: str) -> None:
    """Refuse a file if any of its rows has a fault.

    Args:
        path: The file.
        faults: Line number and fault of each such row.
        consequence: What this means.

    Raises:
        InputError: There are faults; the message has a line for each, up to twenty.
    """
    if not faults:
        return
    lines = [f"line {line}: {problem}" for line, problem in sorted(faults)[:_MOST_NAMED]]
    more = [f"and {len(faults) - _MOST_NAMED:,} more"] if len(faults) > _MOST_NAMED else []
    said = "one row can't be used" if len(faults) == 1 else f"{len(faults):,} rows can't be used"
    raise InputError("\n  ".join([f"{said}, so {consequence}:", *lines, *more]), file=path)
