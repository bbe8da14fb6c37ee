"""A settings file, read and taken apart: what stands in which table, and in which line."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.settings_keys import KEYS, Key, why_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILE", "Document", "FileValue", "shown"]

FILE = Path("bulk.toml")
"""In the working folder."""

_PROFILES = "profiles"


@dataclass(frozen=True, slots=True)
class FileValue:
    """A value of the file, as its flag would be given it."""

    value: str | bool | tuple[str, ...]
    origin: str
    """Where it stands, such as ``profile 'night' of ./bulk.toml``."""


class Document:
    """A settings file, read and taken apart."""

    def __init__(self, path: Path) -> None:
        self.name = shown(path)
        try:
            self._text = path.read_bytes().decode("utf-8-sig")
            self.top = tomllib.loads(self._text)
        except OSError as exc:
            raise SettingsError(f"settings file {self.name} can't be read: {explain_os_error(exc)}") from exc
        except UnicodeDecodeError as exc:
            raise SettingsError(f"settings file {self.name} is not UTF-8: save it as UTF-8") from exc
        except tomllib.TOMLDecodeError as exc:
            raise SettingsError(f"settings file {self.name} is no TOML: {exc}") from exc
        self.profiles = self._profiles()

    def _profiles(self) -> dict[str, dict[str, Any]]:
        profiles = self.top.pop(_PROFILES, {})
        if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
            raise SettingsError(f"{self.name}: profiles are tables: write [profiles.NAME] and its keys below")
        return profiles

    def values(self, table: Mapping[str, object], profile: str | None) -> dict[str, FileValue]:
        """Return a table's values by parameter, once all of them are known to be settings."""
        origin = self.name if profile is None else f"profile {profile!r} of {self.name}"
        return {
            self._key(key, profile).option: FileValue(self._value(key, value, profile), origin)
            for key, value in table.items()
        }

    def _key(self, key: str, profile: str | None) -> Key:
        known = KEYS.get(key)
        if known is None:
            raise SettingsError(f"{self._place(key, profile)}: {why_unknown(key)}")
        return known

    def _value(self, key: str, value: object, profile: str | None) -> str | bool | tuple[str, ...]:
        known = self._key(key, profile)
        try:
            text = known.read(value)
            known.check(text)
        except SettingsError as exc:
            raise SettingsError(f"{self._place(key, profile)}: {key} {_unnamed(exc)}") from exc
        return text

    def _place(self, key: str, profile: str | None) -> str:
        """Say where a key stands, with its line where that can be told: the parser does not keep it."""
        where = f"{self.name}, line {line}" if (line := self._line_of(key, profile)) else self.name
        return where if profile is None else f"{where}, profile {profile!r}"

    def _line_of(self, key: str, profile: str | None) -> int | None:
        table = None
        for number, line in enumerate(self._text.splitlines(), start=1):
            if header := re.match(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$", line):
                table = _unquoted(header[1]).removeprefix(f"{_PROFILES}.")
                if (table, profile) == (key, None) or table == f"{profile}.{key}":
                    return number
            elif table == profile and _unquoted(line.partition("=")[0]).split(".")[0] == key:
                return number
        return None


def shown(path: Path | None) -> str:
    """Return how messages call a file; the one of the working folder is seen to be there."""
    return f"./{path}" if path == FILE else str(path)


def _unquoted(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)


def _unnamed(error: SettingsError) -> str:
    """Return what is wrong with a value, without the name that it begins with."""
    return str(error.by_names(lambda _: "")).lstrip()
