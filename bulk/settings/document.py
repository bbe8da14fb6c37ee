"""Parse a settings file: which table has which key, and in which line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings.account import AccountSettings, mistaken_names
from bulk.settings.keys import ACCOUNT_KEYS, KEYS, Key, TableKind, why_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILE", "Document", "FileValue", "shown"]

FILE = Path("bulk.toml")
"""In the working folder."""

_BARE = re.compile(r"\s*[A-Za-z0-9_-]+(?:\s*\.\s*[A-Za-z0-9_-]+)*\s*")

_AS = {"dialect": Dialect, "qps": float, "list_qps": float}
"""Fields of an account that are no text → the function that converts them."""


@dataclass(frozen=True, slots=True)
class FileValue:
    """A value of the file, in the form of its flag's value."""

    value: str | bool | tuple[str, ...]
    origin: str
    """Where it is set, such as ``profile 'night' of ./bulk.toml``."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of settings."""

    kind: TableKind
    name: str = ""

    @property
    def path(self) -> tuple[str, ...]:
        return () if self.kind is TableKind.TOP else (self.kind.value, self.name)

    def __str__(self) -> str:
        return "" if self.kind is TableKind.TOP else f"{self.kind.noun} {self.name!r}"


_TOP = _Table(TableKind.TOP)


class Document:
    """A settings file."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            SettingsError: It can't be read, or profiles or accounts are not tables.
        """
        self.name = shown(path)
        try:
            self._text = path.read_bytes().decode("utf-8-sig")
            self._top = tomllib.loads(self._text)
        except OSError as exc:
            raise SettingsError(f"settings file {self.name} can't be read: {explain_os_error(exc)}") from exc
        except UnicodeDecodeError as exc:
            raise SettingsError(f"settings file {self.name} is not UTF-8: save it as UTF-8") from exc
        except tomllib.TOMLDecodeError as exc:
            raise SettingsError(f"settings file {self.name} is not TOML: {exc}{_quotes_hint(exc, self._text)}") from exc
        self._tables = {kind: self._tables_of(kind) for kind in (TableKind.PROFILE, TableKind.ACCOUNT)}

    @cached_property
    def _lines(self) -> _Lines:
        return _Lines(self._text)

    @property
    def profile_names(self) -> tuple[str, ...]:
        """Names of the profiles."""
        return tuple(self._tables[TableKind.PROFILE])

    @property
    def account_names(self) -> tuple[str, ...]:
        """Names of the accounts, unchecked."""
        return tuple(self._tables[TableKind.ACCOUNT])

    def top(self) -> dict[str, FileValue]:
        """Return the values at the top.

        Raises:
            SettingsError: A key there is no setting.
        """
        return self._values(self._top, _TOP)

    def profiles(self) -> dict[str, dict[str, FileValue]]:
        """Return the values of each profile.

        Raises:
            SettingsError: A key there is no setting.
        """
        tables = self._tables[TableKind.PROFILE]
        return {name: self._values(table, _Table(TableKind.PROFILE, name)) for name, table in tables.items()}

    def accounts(self) -> dict[str, AccountSettings]:
        """Return the settings of each account.

        Raises:
            SettingsError: A key there is no setting, or two of them exclude each other.
        """
        tables = self._tables[TableKind.ACCOUNT]
        for name, message in mistaken_names(tables):
            raise SettingsError(f"{self._at((TableKind.ACCOUNT.value, name))}: {message}")
        return {name: self._account(table, _Table(TableKind.ACCOUNT, name)) for name, table in tables.items()}

    def _tables_of(self, kind: TableKind) -> dict[str, dict[str, Any]]:
        tables = self._top.pop(kind, {})
        if isinstance(tables, dict) and all(isinstance(table, dict) for table in tables.values()):
            return tables
        hint = "; write what is the same for all of them at the top of the file" if kind is TableKind.ACCOUNT else ""
        raise SettingsError(f"{self.name}: {kind} are tables: write [{kind}.NAME] and its keys below{hint}")

    def _account(self, table: Mapping[str, object], at: _Table) -> AccountSettings:
        values = {option: found.value for option, found in self._values(table, at).items()}
        place = self._at(at.path)
        try:
            return AccountSettings(
                **{option: _AS.get(option, str)(value) for option, value in values.items()}, place=place
            )
        except SettingsError as exc:
            raise SettingsError(f"{place}, {at}: {exc.by_names(_key_of)}") from exc

    def _values(self, table: Mapping[str, object], at: _Table) -> dict[str, FileValue]:
        """Return a table's values by parameter; refuse keys that are no settings."""
        origin = f"{at} of {self.name}" if str(at) else self.name
        found = {}
        for key, value in table.items():
            known = self._key(key, value, at)
            found[known.option] = FileValue(self._value(key, known, value, at), origin)
        return found

    def _key(self, key: str, value: object, at: _Table) -> Key:
        known = (ACCOUNT_KEYS if at.kind is TableKind.ACCOUNT else KEYS).get(key)
        if known is None:
            raise SettingsError(f"{self._place(key, at)}: {why_unknown(key, value, at.kind)}")
        return known

    def _value(self, key: str, known: Key, value: object, at: _Table) -> str | bool | tuple[str, ...]:
        try:
            text = known.read(value)
            known.check(text)
        except SettingsError as exc:
            raise SettingsError(f"{self._place(key, at)}: {key} {_unnamed(exc)}") from exc
        return text

    def _place(self, key: str, at: _Table) -> str:
        where = self._at((*at.path, key))
        return f"{where}, {at}" if str(at) else where

    def _at(self, path: tuple[str, ...]) -> str:
        """Say where a table or a key is, with its line if that is known."""
        return f"{self.name}, line {line}" if (line := self._lines.of(path)) else self.name


def shown(path: Path | None) -> str:
    """Return a file's name for messages; it shows if the file is in the working folder."""
    return f"./{path}" if path == FILE else str(path)


def _quotes_hint(error: tomllib.TOMLDecodeError, text: str) -> str:
    at = re.search(r"line (\d+)", str(error))
    line = text.splitlines()[int(at[1]) - 1 :][:1] if at else []
    is_name = line and line[0].lstrip().startswith("[") and not line[0].isascii()
    return '; write names with other than English letters in quotes, such as [accounts."工厂"]' if is_name else ""


class _Lines:
    """Lines of tables and keys, which the parser does not keep."""

    def __init__(self, text: str) -> None:
        self._tables: dict[tuple[str, ...], int] = {}
        """Path of a table, and of each table around it → the first line that begins it."""

        self._keys: list[tuple[tuple[str, ...], int, int]] = []
        """Full path of a key, the length of its table's path, and the key's line."""

        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if header := re.match(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$", line):
                table = _names(header[1])
                for depth in range(1, len(table) + 1):
                    self._tables.setdefault(table[:depth], number)
            elif "=" in line:
                self._keys.append(((*table, *_names(line.partition("=")[0])), len(table), number))

    def of(self, path: tuple[str, ...]) -> int | None:
        """Return the line of a table or a key; ``None``: it is not known."""
        if path in self._tables:
            return self._tables[path]
        lines = (number for key, depth, number in self._keys if (depth or len(path) == 1) and _holds(key, depth, path))
        return next(lines, None)


def _holds(key: tuple[str, ...], depth: int, path: tuple[str, ...]) -> bool:
    # A shorter path is a key whose inline table, in braces, contains this one.
    both = min(len(key), len(path))
    return both > depth and key[:both] == path[:both]


def _names(dotted: str) -> tuple[str, ...]:
    """Return the names of a dotted key; empty if it is no key."""
    if _BARE.fullmatch(dotted):
        return tuple(name.strip() for name in dotted.split("."))
    try:
        table: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    names = []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        names.append(name)
    return tuple(names)


def _key_of(option: str) -> str:
    return next((key for key, known in ACCOUNT_KEYS.items() if known.option == option), option)


def _unnamed(error: SettingsError) -> str:
    """Return what is wrong with a value, without the leading name."""
    return str(error.by_names(lambda _: "")).lstrip()
