"""Read the accounts that a sandbox serves from a TOML file.

    qps = 10                                # keys at the top are every account's defaults

    [accounts.cn]
    access_key_id = "cn-key"                # without it: sandbox-cn
    access_key_secret = "cn-secret"         # without it: sandbox-cn-secret
    uid = "1000000000000001"                # accounts of one UID share its limits; without it: its own
    instance_id = "iot-cn"
    dialect = "alibaba"
    products = ["a1Cn0000001"]              # or "any", or the name of a file with one a line
    distributed = ["a1Shared001"]           # products of another account
    qps = 10                                # creates, updates, deletes: so many of each
    list_qps = 10
    rates = {packages = 5, products = 20}   # other limits, by the action's prefix
    faults = "throttle=5%"                  # in place of --faults
    seed = 7
    deny = ["delete", "packages"]           # actions that its key may not call
    world = "cn.toml"                       # what it starts with: products, modules, packages

    [accounts.cn.roles.nightly]             # acs:ram::UID:role/nightly; without any: every name
    external_id = "night"
    trusts = ["cn"]                         # accounts whose keys may assume it; without it: all
    deny = ["delete"]

Names of files are looked up beside this one.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox.accounts.account import Account, Role, number_of
from bulk.sandbox.actions import ACTION_NAMES
from bulk.sandbox.faults import FaultPlan
from bulk.sandbox.worlds.seeds import read_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

__all__ = ["action_names", "product_keys", "read_accounts", "window_name"]

_UID_DIGITS: Final = 16


def read_accounts(path: Path, *, defaults: Mapping[str, Any]) -> tuple[Account, ...]:
    """Read an accounts file, as this module's docstring shows it.

    Args:
        path: The file.
        defaults: Values of `Account`'s fields that the file leaves out.

    Raises:
        SettingsError: The file can't be read, or has a value that no account accepts; names the account and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise SettingsError(f"--accounts {path} can't be read: {exc}") from exc
    tables = content.pop("accounts", None)
    if not isinstance(tables, dict) or not tables:
        raise SettingsError(f"{path} names no account: write one as [accounts.NAME]")
    return tuple(
        _account(path, name, {**content, **_table(path, name, table)}, defaults) for name, table in tables.items()
    )


def action_names(prefixes: Iterable[str]) -> frozenset[str]:
    """Return the names of actions, from their prefixes.

    Raises:
        ValueError: There is no such prefix.
    """
    wanted = tuple(prefixes)
    unknown = [prefix for prefix in wanted if prefix not in ACTION_NAMES]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no action; it takes {', '.join(ACTION_NAMES)}")
    return frozenset(ACTION_NAMES[prefix] for prefix in wanted)


def window_name(name: str) -> str:
    """Check and return the name of a rate limit: an action's prefix, or ``products-deep``.

    Raises:
        ValueError: There is no such limit.
    """
    if name != "products-deep":
        action_names([name])
    return name


def product_keys(path: Path) -> frozenset[str]:
    """Read ProductKeys, one a line.

    Raises:
        ValueError: The file can't be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"{path} can't be read as UTF-8 text: {exc}") from exc
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


def _table(path: Path, name: str, table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: accounts.{name} is no table: write [accounts.{name}]")
    return table


def _account(path: Path, name: str, told: Mapping[str, Any], defaults: Mapping[str, Any]) -> Account:
    fields: dict[str, Any] = {
        "access_key_id": f"sandbox-{name}",
        "access_key_secret": f"sandbox-{name}-secret",
        "uid": number_of(f"account/{name}")[:_UID_DIGITS],
        **defaults,
    }
    for key, value in told.items():
        field, read = _KEYS.get(key, ("", None))
        if read is None:
            nearest = get_close_matches(key, _KEYS, n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else f"; it takes {', '.join(_KEYS)}"
            raise SettingsError(f"{path}: account {name}: {key} is no key of an account{hint}")
        try:
            fields[field] = read(value, path)
        except (TypeError, ValueError, SettingsError) as exc:
            raise SettingsError(f"{path}: account {name}: {key}: {exc}") from exc
    return Account(name=name, **fields)


def _text(value: object, _: Path) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no text in quotes")
    return value


def _number(value: object, _: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _whole(value: object, _: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _texts(value: object, _: Path) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{value!r} is no list of texts")
    return frozenset(value)


def _products(value: object, path: Path) -> frozenset[str] | None:
    if isinstance(value, list):
        return _texts(value, path)
    name = _text(value, path)
    return None if name == "any" else product_keys(path.parent / name)


def _rates(value: object, path: Path) -> dict[str, float]:
    if not isinstance(value, dict):
        raise TypeError("write it as {packages = 5}")
    return {window_name(name): _number(per_s, path) for name, per_s in value.items()}


def _roles(value: object, path: Path) -> dict[str, Role]:
    if not isinstance(value, dict):
        raise TypeError("write it as [accounts.NAME.roles.ROLE]")
    return {name: _role(name, table, path) for name, table in value.items()}


def _role(name: str, told: object, path: Path) -> Role:
    known = {"external_id", "trusts", "deny"}
    if not isinstance(told, dict) or told.keys() - known:
        raise ValueError(f"role {name} takes {', '.join(sorted(known))}")
    external_id = told.get("external_id")
    return Role(
        name=name,
        external_id=None if external_id is None else _text(external_id, path),
        trusts=_texts(told["trusts"], path) if "trusts" in told else None,
        denied=action_names(_texts(told.get("deny", []), path)),
    )


_KEYS: Final[Mapping[str, tuple[str, Callable[[object, Path], Any]]]] = {
    "access_key_id": ("access_key_id", _text),
    "access_key_secret": ("access_key_secret", _text),
    "uid": ("uid", _text),
    "instance_id": ("instance_id", _text),
    "dialect": ("dialect", lambda value, path: Dialect(_text(value, path))),
    "products": ("products", _products),
    "distributed": ("distributed", _texts),
    "qps": ("qps", _number),
    "list_qps": ("list_qps", _number),
    "rates": ("rates", _rates),
    "faults": ("faults", lambda value, path: FaultPlan.parse(_text(value, path))),
    "seed": ("seed", _whole),
    "deny": ("denied", lambda value, path: action_names(_texts(value, path))),
    "world": ("world", lambda value, path: read_seed(path.parent / _text(value, path))),
    "roles": ("roles", _roles),
}
"""Key of an account's table → the field that it fills, and how it is read."""
