"""Read `bulk.toml`: settings that are not typed every time, with named profiles. It holds no secret, and refuses any.

One file is read, never two: the one that was named, else ``./bulk.toml``, else ``bulk/bulk.toml`` in the user's
configuration folder. A file in the working folder replaces the user's as a whole: what holds stands on one page.
Keys at the top hold for everyone; those of ``[profiles.NAME]`` go before them where that profile is chosen.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings import FailureCap, ReadSettings, Settings, parse_delimiter, parse_duration
from bulk.stray import control_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["KEYS", "NOT_IN_A_FILE", "FileValue", "find_file", "profile_names", "read_profile", "user_file"]

_FILE = Path("bulk.toml")
_PLACES = ("endpoint", "region", "sandbox")
_PROFILES = "profiles"
_SECRET = re.compile(r"secret|token|password|passwd|access_?key|credential", re.IGNORECASE)
NOT_IN_A_FILE: Mapping[str, str] = MappingProxyType(
    {
        "ledger": "a ledger belongs to one input: name it with --ledger",
        "profile": "choose one of this file's with --settings-profile, or keys with credentials_profile",
        "insecure_http": "that a run may go unencrypted is said each time: give --insecure-http",
        "limit": "which products are tried is for one run to say: give --limit",
        "only": "which products are tried is for one run to say: give --only",
        "format": "each input has its own, and its name says it: for stdin give --format",
        "faults": "what goes wrong on purpose is for one rehearsal: give --faults",
        "seed": "what goes wrong on purpose is for one rehearsal: give --seed",
    }
)
"""Flags that the file can't give, named as its keys are, and why."""


@dataclass(frozen=True, slots=True)
class FileValue:
    """A value of the file, as its flag would be given it."""

    value: str | bool | tuple[str, ...]
    origin: str
    """Where it stands, such as ``profile 'night' of ./bulk.toml``."""


def _text(value: object) -> str:
    text = _any_text(value)
    if stray := control_in(text):
        raise SettingsError(f"holds {stray}: remove it")
    return text


def _any_text(value: object) -> str:
    if value == "":
        raise SettingsError("must not be empty: take the line out where it is not to hold")
    if isinstance(value, str):
        return value
    raise SettingsError('takes text in quotes, such as "…"')


def _number(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise SettingsError("takes a number, without quotes")


def _whole_number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise SettingsError("takes a whole number, without quotes")


def _text_or_number(value: object) -> str:
    return value if isinstance(value, str) else _number(value)


def _yes_or_no(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise SettingsError("takes true or false, without quotes")


def _columns(value: object) -> tuple[str, ...]:
    if isinstance(value, dict) and all(isinstance(column, str) for column in value.values()):
        return tuple(f"{field}={column}" for field, column in value.items())
    raise SettingsError('takes a table of fields and columns, such as { ProductKey = "pk" }')


def _texts(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        return tuple(texts)
    raise SettingsError('takes a list of texts, such as ["NULL", "n/a"]')


def _one_of(*names: str) -> Callable[[str], object]:
    def check(text: str) -> None:
        if text not in names:
            raise SettingsError(f"{text!r} is none of {', '.join(names)}")

    return check


def _within_bounds(field: str, parse: Callable[[str], Any] = float) -> Callable[[str], object]:
    return lambda text: Settings(**{field: parse(text)})


def _within_reading_bounds(field: str, parse: Callable[[str], Any]) -> Callable[[str], object]:
    return lambda text: ReadSettings(**{field: parse(text)})


@dataclass(frozen=True, slots=True)
class _Key:
    """A key that the file may have."""

    option: str
    """The parameter that commands know it by."""

    read: Callable[[object], str | bool | tuple[str, ...]]
    """Gives the value as a flag has it, or says what it should be."""

    check: Callable[[Any], object] = str
    """Says what is wrong with a value of the right type."""


KEYS: Mapping[str, _Key] = MappingProxyType(
    {
        "endpoint": _Key("endpoint", _text),
        "region": _Key("region", _text),
        "sandbox": _Key("sandbox", _yes_or_no),
        "dialect": _Key("dialect", _text, _one_of(*Dialect)),
        "instance_id": _Key("instance_id", _text, _within_bounds("instance_id", str)),
        "credentials_profile": _Key("profile", _text),
        "qps": _Key("qps", _number, _within_bounds("qps")),
        "list_qps": _Key("list_qps", _number, _within_bounds("list_qps")),
        "concurrency": _Key("concurrency", _whole_number, _within_bounds("concurrency", int)),
        "max_attempts": _Key("max_attempts", _whole_number, _within_bounds("max_attempts", int)),
        "timeout": _Key("timeout_s", _number, _within_bounds("timeout_s")),
        "max_failures": _Key("max_failures", _text_or_number, FailureCap.parse),
        "deadline": _Key("deadline_s", _text_or_number, _within_bounds("deadline_s", parse_duration)),
        "columns": _Key("columns", _columns),
        "no_header": _Key("no_header", _yes_or_no),
        "skip_lines": _Key("skip_lines", _whole_number, _within_reading_bounds("skip_lines", int)),
        "sheet": _Key("sheet", _text),
        "null": _Key("null_texts", _texts),
        "encoding": _Key("encoding", _text),
        "delimiter": _Key("delimiter", _any_text, parse_delimiter),
        "lenient_alias": _Key("lenient_alias", _yes_or_no),
        "lenient_keys": _Key("lenient_keys", _yes_or_no),
        "log_format": _Key("log_format", _text, _one_of("console", "json")),
        "log_file": _Key("log_file", _text),
        "metrics_file": _Key("metrics_file", _text),
    }
)
"""Each key of the file, at its top or in a profile."""


def find_file(
    named: str | None, environ: Mapping[str, str], *, on_hidden: Callable[[str], None] = lambda _: None
) -> Path | None:
    """Return the file that holds, ``None`` if there is none.

    Args:
        named: The file that was asked for; it must be there.
        environ: ``os.environ``, or what stands in for it.
        on_hidden: Told of each place that can't be looked at, such as a home of another user: it is passed over.
    """
    if named:
        return Path(named)
    for path in (_FILE, user_file(environ)):
        try:
            if path is not None and path.is_file():
                return path
        except OSError as exc:
            on_hidden(
                f"No settings are taken from {_shown(path)}: its folder can't be looked into ({exc.strerror}). "
                "Name a file with --settings-file if you need one."
            )
    return None


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Return where the user's own file would be; ``None`` where there is no home."""
    folder, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    # A relative folder is to be ignored: so says the specification of that variable.
    if Path(folder).is_absolute():
        return Path(folder) / "bulk" / _FILE
    return Path(home) / ".config" / "bulk" / _FILE if home else None


def profile_names(path: Path) -> tuple[str, ...]:
    """Return the names of a file's profiles.

    Raises:
        SettingsError: The file can't be read.
    """
    return tuple(_Document(path).profiles)


def read_profile(path: Path, name: str | None) -> Mapping[str, FileValue]:
    """Return what the file says, by the parameters that commands know.

    All of the file is checked, whichever profile is chosen: a mistake shall not wait for the night that needs it.

    Args:
        path: The file.
        name: The profile; ``None``: only the keys at the top.

    Raises:
        SettingsError: The file can't be read, or something in it is no setting; the message says where.
    """
    document = _Document(path)
    at_top = document.values(document.top, None)
    profiles = {each: document.values(table, each) for each, table in document.profiles.items()}
    if name is None:
        return at_top
    if name not in profiles:
        raise SettingsError(f"{document.name}: there is no profile {name!r}; {_there_are(name, profiles)}")
    chosen = profiles[name]
    if any(chosen[place].value for place in _PLACES if place in chosen):
        # A profile that says where goes there, wherever the others go.
        at_top = {option: value for option, value in at_top.items() if option not in _PLACES}
    return at_top | chosen


class _Document:
    """A settings file, read and taken apart."""

    def __init__(self, path: Path) -> None:
        self.name = _shown(path)
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

    def _key(self, key: str, profile: str | None) -> _Key:
        known = KEYS.get(key)
        if known is None:
            raise SettingsError(f"{self._place(key, profile)}: {_why_unknown(key)}")
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


def _shown(path: Path | None) -> str:
    return f"./{path}" if path == _FILE else str(path)


def _unquoted(name: str) -> str:
    return re.sub(r"[\s\"']", "", name)


def _why_unknown(key: str) -> str:
    name = key.lower().replace("-", "_")
    if name in NOT_IN_A_FILE:
        return f"{key} can't stand in a settings file: {NOT_IN_A_FILE[name]}"
    if _SECRET.search(key):
        return (
            f"{key} can't stand in a settings file, which is no place for secrets: keys come from "
            "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET; take it out of the file"
        )
    near = get_close_matches(name, KEYS, n=1)
    return f"there is no setting {key!r}; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}")


def _there_are(name: str, profiles: Mapping[str, object]) -> str:
    if not profiles:
        return f"it has none; write [profiles.{name}] and its keys below"
    near = get_close_matches(name, profiles, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, profiles))}"


def _unnamed(error: SettingsError) -> str:
    """Return what is wrong with a value, without the name that it begins with."""
    return str(error.by_names(lambda _: "")).lstrip()
