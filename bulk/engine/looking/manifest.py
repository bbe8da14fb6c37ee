"""The description that an export writes beside its file: source, time, counts, and how to recognise the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulk.distribution import installed_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk.model import Product, Target
    from bulk.rows.products.read_back import ReadOtherwise

__all__ = ["ALL", "AccountExport", "Exported", "Source", "as_keys", "manifest_bytes", "manifest_path", "read_source"]


ALL = "all"
"""All products in the list of an account's products."""

_MOST_READ_OTHERWISE = 1_000


@dataclass(kw_only=True)
class AccountExport:
    """One account's part; its counts grow while the account is read."""

    account: str
    """Its name; empty if no accounts are named."""

    target: Target
    products: int = 0
    """Products that were exported, including those without modules."""

    modules: int = 0
    without_modules: list[Product] = field(default_factory=list)
    """Exported products that have no custom module, and so no row."""

    distributed: list[Product] = field(default_factory=list)
    """Products that another account distributed to this one."""

    left_out: int = 0
    """Distributed products that were not exported."""

    read_otherwise: list[ReadOtherwise] = field(default_factory=list)
    """The first rows that a run refuses, or reads differently from what the platform has."""

    all_read_otherwise: int = 0

    def add(self, product: Product, modules: int | None) -> None:
        """Count a product.

        Args:
            product: The product.
            modules: How many modules it has; ``None``: it is left out.
        """
        if product.is_owned is False:
            self.distributed.append(product)
        if modules is None:
            self.left_out += 1
            return
        self.products += 1
        self.modules += modules
        if not modules:
            self.without_modules.append(product)

    def note_read_otherwise(self, row: ReadOtherwise) -> None:
        """Count a row that a run would not read as its module."""
        self.all_read_otherwise += 1
        if len(self.read_otherwise) < _MOST_READ_OTHERWISE:
            self.read_otherwise.append(row)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    path: str
    sha256: str
    bytes: int
    began_at: float
    """When the first request could leave, in seconds since the epoch, UTC. No module is shown as of an earlier time."""

    ended_at: float
    products_of: str
    """``all``, or the path of the file that named the products."""

    accounts: tuple[AccountExport, ...]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(account.modules for account in self.accounts)

    @property
    def products(self) -> int:
        """Products that were exported."""
        return sum(account.products for account in self.accounts)

    @property
    def read_otherwise(self) -> int:
        """Rows that a run refuses, or reads differently from what the platform has."""
        return sum(account.all_read_otherwise for account in self.accounts)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an export comes from."""

    platforms: Mapping[str, str]
    """Account → its target, as messages name it."""

    without_rows: tuple[tuple[str, str, str], ...]
    """Account, ProductKey and ProductName of products that may have no row: without modules, or distributed."""

    is_whole: bool = True
    """False: it has only the products of a file. Whether a ProductName is unique at the source is then not known."""


def manifest_path(path: Path) -> Path:
    """Return where the manifest of an export is."""
    return path.with_name(f"{path.name}.manifest.json")


def manifest_bytes(exported: Exported) -> bytes:
    """Return the manifest's content: one JSON object."""
    return orjson.dumps(as_keys(exported), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_keys(exported: Exported) -> dict[str, object]:
    """Return the description of an export as a JSON object."""
    return {
        "file": Path(exported.path).name,
        "sha256": exported.sha256,
        "bytes": exported.bytes,
        "began_at": _iso(exported.began_at),
        "ended_at": _iso(exported.ended_at),
        "bulk": installed_version(),
        "products_of": exported.products_of,
        "products": exported.products,
        "rows": exported.rows,
        "read_otherwise": exported.read_otherwise,
        "accounts": [_account_keys(account) for account in exported.accounts],
    }


def read_source(export: Path) -> Source | None:
    """Return the source of an export, from its manifest.

    Returns:
        ``None``: there is no manifest beside it, or bulk did not write it.
    """
    try:
        found = orjson.loads(manifest_path(export).read_bytes())
        accounts = [(str(each["account"] or ""), each) for each in found["accounts"]]
        return Source(
            platforms={account: str(each["target"]) for account, each in accounts},
            without_rows=tuple(
                (account, str(product["product_key"]), str(product["product_name"]).strip())
                for account, each in accounts
                for product in (*each["without_modules"], *each["distributed"])
            ),
            is_whole=found.get("products_of", ALL) == ALL,
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _account_keys(account: AccountExport) -> dict[str, object]:
    target = account.target
    return {
        "account": account.account or None,
        "target": str(target),
        "endpoint": target.endpoint,
        "dialect": target.dialect.value,
        "instance_id": target.instance_id,
        "products": account.products,
        "modules": account.modules,
        "without_modules": _products(account.without_modules),
        "distributed": _products(account.distributed),
        "distributed_left_out": account.left_out,
        "read_otherwise": account.all_read_otherwise,
        "read_otherwise_rows": [each._asdict() for each in account.read_otherwise],
    }


def _products(products: Iterable[Product]) -> list[dict[str, str]]:
    return [{"product_key": product.product_key, "product_name": product.name} for product in products]


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
