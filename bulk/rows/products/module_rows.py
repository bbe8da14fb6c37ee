"""Write modules of a platform as an input: cells exactly as on the platform, so that a run reads what was listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import orjson

from bulk.model import RESERVED_MODULE_NAME
from bulk.rows.fields import OF_MODULE, Field
from bulk.rows.products.product_rows import ACCOUNT, PRODUCT_NAME, as_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bulk.model import OtaModule, Product

__all__ = ["MODULE_ENCODERS", "ModuleEncoder", "custom_modules"]


def custom_modules(modules: Iterable[OtaModule]) -> list[OtaModule]:
    """Return the modules that an input may list: all except the whole-device firmware, in the listing's order."""
    return [module for module in modules if module.module_name.casefold() != RESERVED_MODULE_NAME]


class ModuleEncoder(Protocol):
    """Writes modules in one format."""

    def header(self) -> bytes:
        """Return the bytes before the first row."""
        ...

    def row(self, account: str, product: Product, module: OtaModule) -> bytes:
        """Return the row of a module.

        Args:
            account: Its account; not written if there are no accounts.
            product: Its key and name.
            module: As listed.
        """
        ...


class _CsvModules:
    def __init__(self, *, names_accounts: bool) -> None:
        self._names_accounts = names_accounts

    def header(self) -> bytes:
        account = [ACCOUNT] if self._names_accounts else []
        return f"{','.join([*account, *OF_MODULE, PRODUCT_NAME])}\n".encode()

    def row(self, account: str, product: Product, module: OtaModule) -> bytes:
        whose = [account] if self._names_accounts else []
        texts = (product.product_key, module.module_name, module.alias_name or "", module.desc or "", product.name)
        return f"{as_cells([*whose, *texts])}\n".encode()


class _JsonModules:
    def __init__(self, *, names_accounts: bool) -> None:
        self._names_accounts = names_accounts

    def header(self) -> bytes:
        return b""

    def row(self, account: str, product: Product, module: OtaModule) -> bytes:
        whose = {ACCOUNT: account} if self._names_accounts else {}
        return orjson.dumps(
            whose
            | {str(Field.PRODUCT_KEY): product.product_key, str(Field.MODULE_NAME): module.module_name}
            | ({str(Field.ALIAS_NAME): module.alias_name} if module.alias_name else {})
            | ({str(Field.DESC): module.desc} if module.desc else {})
            | {PRODUCT_NAME: product.name},
            option=orjson.OPT_APPEND_NEWLINE,
        )


MODULE_ENCODERS: Mapping[str, Callable[..., ModuleEncoder]] = {"csv": _CsvModules, "jsonl": _JsonModules}
"""Format → its encoder; takes ``names_accounts``: whether rows name their account."""
