"""What an export tells of itself, beside its file: where from, when, how much, and how to recognise it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulk.distribution import installed_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.model import Product, Target

__all__ = ["AccountExport", "Exported", "as_keys", "manifest_bytes", "manifest_path", "sources_of"]


@dataclass(kw_only=True)
class AccountExport:
    """One account's part; counted up while it is read."""

    account: str
    """Its name; empty where no accounts are named."""

    target: Target
    products: int = 0
    """Products that were exported, those without modules too."""

    modules: int = 0
    without_modules: list[str] = field(default_factory=list)
    """ProductKeys of exported products that have no custom module, and so no row."""

    distributed: list[Product] = field(default_factory=list)
    """Products that another account distributed to this one."""

    left_out: int = 0
    """Distributed products that were not exported."""

    def add(self, product: Product, modules: int | None) -> None:
        """Count a product.

        Args:
            product: It.
            modules: How many it has; ``None``: it is left out.
        """
        if product.is_owned is False:
            self.distributed.append(product)
        if modules is None:
            self.left_out += 1
            return
        self.products += 1
        self.modules += modules
        if not modules:
            self.without_modules.append(product.product_key)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    path: str
    sha256: str
    bytes: int
    began_at: float
    """When the first request could leave, in seconds since the epoch, UTC: no module is shown as it was before."""

    ended_at: float
    products_of: str
    """``all``, or the file that named the products."""

    accounts: tuple[AccountExport, ...]

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(account.modules for account in self.accounts)

    @property
    def products(self) -> int:
        """Products that were exported."""
        return sum(account.products for account in self.accounts)


def manifest_path(path: Path) -> Path:
    """Return where the manifest of an export is."""
    return path.with_name(f"{path.name}.manifest.json")


def manifest_bytes(exported: Exported) -> bytes:
    """Return the manifest's content: one JSON object."""
    return orjson.dumps(as_keys(exported), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_keys(exported: Exported) -> dict[str, object]:
    """Return what was written as the keys of a JSON object."""
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
        "accounts": [_account_keys(account) for account in exported.accounts],
    }


def sources_of(export: Path) -> Mapping[str, str] | None:
    """Return what the manifest of an export says of its accounts' targets: name → target as it is spoken.

    Returns:
        ``None``: there is no manifest beside it, or none of ours.
    """
    try:
        found = orjson.loads(manifest_path(export).read_bytes())
        return {str(each["account"] or ""): str(each["target"]) for each in found["accounts"]}
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
        "without_modules": account.without_modules,
        "distributed": [{"product_key": each.product_key, "product_name": each.name} for each in account.distributed],
        "distributed_left_out": account.left_out,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
