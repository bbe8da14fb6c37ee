"""Keys that a settings file may have, how to read their values, and why other keys are refused. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.settings import ReadSettings, Settings
from bulk.settings.account import AccountSettings, check_texts
from bulk.settings.values import FailureCap, parse_delimiter, parse_duration
from bulk.stray import control_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ACCOUNT_KEYS", "KEYS", "NOT_IN_A_FILE", "Key", "TableKind", "why_unknown"]

_SECRET = re.compile(r"secret|token|password|passwd|access_?key|credential", re.IGNORECASE)


class TableKind(StrEnum):
    """What a table of the file is about. The value is the first part of its tables' names."""

    TOP = ""  #: every run
    PROFILE = "profiles"  #: a run that chooses it
    ACCOUNT = "accounts"  #: the rows that name it

    @property
    def noun(self) -> str:
        """The noun for one table of this kind."""
        return self.value.removesuffix("s")


_PLACE_OF_KEYS: Mapping[TableKind, str] = MappingProxyType(
    {
        **dict.fromkeys(
            TableKind,
            "keys come from ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET; take it out of the file",
        ),
        TableKind.ACCOUNT: "put the keys into environment variables, such as FACTORY_ACCESS_KEY_ID and "
        'FACTORY_ACCESS_KEY_SECRET, write key_env = "FACTORY", and take it out of the file',
    }
)
NOT_IN_A_FILE: Mapping[str, str] = MappingProxyType(
    {
        "ledger": "a ledger belongs to one input: name it with --ledger",
        "profile": "choose one of this file's with --settings-profile, or keys with credentials_profile",
        "insecure_http": "an unencrypted run must be allowed each time: give --insecure-http",
        "limit": "it is for one run, not for all: give --limit",
        "only": "it is for one run, not for all: give --only",
        "account": "it is for one run, not for all: give --account",
        "product_map": "a map belongs to one input: give --product-map",
        "format": "each input has its own, told by its name: for stdin give --format",
        "faults": "it is for one rehearsal, not for all: give --faults",
        "seed": "it is for one rehearsal, not for all: give --seed",
    }
)
"""Flags that the file can't set, spelled like its keys → why."""


def _text(value: object) -> str:
    text = _any_text(value)
    if stray := control_in(text):
        raise SettingsError(f"holds {stray}: remove it")
    return text


def _any_text(value: object) -> str:
    if value == "":
        raise SettingsError("must not be empty: remove the line if you don't need it")
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


def _of_an_account(field: str) -> Callable[[str], object]:
    return lambda text: check_texts({field: text})


def _within_reading_bounds(field: str, parse: Callable[[str], Any]) -> Callable[[str], object]:
    return lambda text: ReadSettings(**{field: parse(text)})


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the file may have."""

    option: str
    """Name of the commands' parameter."""

    read: Callable[[object], str | bool | tuple[str, ...]]
    """Returns the value in the form of a flag's, or says what it should be."""

    check: Callable[[Any], object] = str
    """Says what is wrong with a value of the right type."""

    has_flag: bool = True
    """False: only the file can set it."""


KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "endpoint": Key("endpoint", _text),
        "region": Key("region", _text),
        "sandbox": Key("sandbox", _yes_or_no),
        "dialect": Key("dialect", _text, _one_of(*Dialect)),
        "instance_id": Key("instance_id", _text, _within_bounds("instance_id", str)),
        "credentials_profile": Key("profile", _text),
        "key_env": Key("key_env", _text, _within_bounds("key_env", str), has_flag=False),
        "role_arn": Key("role_arn", _text, _within_bounds("role_arn", str), has_flag=False),
        "external_id": Key("external_id", _text, _of_an_account("external_id"), has_flag=False),
        "sts_endpoint": Key("sts_endpoint", _text, has_flag=False),
        "sample_product": Key("sample_product", _text, _within_bounds("sample_product", str), has_flag=False),
        "rate_group": Key("rate_group", _text, _within_bounds("rate_group", str), has_flag=False),
        "qps": Key("qps", _number, _within_bounds("qps")),
        "list_qps": Key("list_qps", _number, _within_bounds("list_qps")),
        "concurrency": Key("concurrency", _whole_number, _within_bounds("concurrency", int)),
        "max_attempts": Key("max_attempts", _whole_number, _within_bounds("max_attempts", int)),
        "timeout": Key("timeout_s", _number, _within_bounds("timeout_s")),
        "max_failures": Key("max_failures", _text_or_number, FailureCap.parse),
        "deadline": Key("deadline_s", _text_or_number, _within_bounds("deadline_s", parse_duration)),
        "columns": Key("columns", _columns),
        "no_header": Key("no_header", _yes_or_no),
        "skip_lines": Key("skip_lines", _whole_number, _within_reading_bounds("skip_lines", int)),
        "sheet": Key("sheet", _text),
        "null": Key("null_texts", _texts),
        "encoding": Key("encoding", _text),
        "delimiter": Key("delimiter", _any_text, parse_delimiter),
        "lenient_alias": Key("lenient_alias", _yes_or_no),
        "lenient_keys": Key("lenient_keys", _yes_or_no),
        "log_format": Key("log_format", _text, _one_of("console", "json")),
        "log_file": Key("log_file", _text),
        "metrics_file": Key("metrics_file", _text),
    }
)
"""Each key of the file, at its top or in a profile."""

ACCOUNT_KEYS: Mapping[str, Key] = MappingProxyType(
    {key: known for key, known in KEYS.items() if known.option in {field.name for field in fields(AccountSettings)}}
)
"""Each key of an account's table."""


def why_unknown(key: str, value: object, kind: TableKind) -> str:
    """Say why a key is refused, and where its value belongs; the value itself is never shown.

    Args:
        key: As the file has it.
        value: Used only to see whether it is a table.
        kind: Kind of the table that the key is in.
    """
    return _why_not_here(key, isinstance(value, dict), kind) or _why_not_in_a_file(key, kind) or _nearest(key, kind)


def _why_not_here(key: str, is_table: bool, kind: TableKind) -> str | None:  # noqa: FBT001 - three facts of one key
    name = key.lower().replace("-", "_")
    match kind:
        case TableKind.PROFILE if name == TableKind.ACCOUNT:
            return "accounts are the same for every profile: write [accounts.NAME] without the profile"
        case TableKind.ACCOUNT if key in KEYS:
            return f"{key} is for the whole run, not for one account: write it at the top of the file, or in a profile"
        case TableKind.ACCOUNT if is_table and not _SECRET.search(key):
            return f'there is no setting {key!r}; a name with a dot is written in quotes, such as [accounts."a.{key}"]'
        case _ if is_table and name == TableKind.ACCOUNT.noun:
            return f"there is no table {key!r}: write [{TableKind.ACCOUNT.value}.NAME]"
    return None


def _why_not_in_a_file(key: str, kind: TableKind) -> str | None:
    reason = NOT_IN_A_FILE.get(key.lower().replace("-", "_"))
    if reason is None and _SECRET.search(key):
        return f"{key} is not allowed in a settings file, because it is a secret: {_PLACE_OF_KEYS[kind]}"
    return reason and f"{key} is not allowed in a settings file: {reason}"


def _nearest(key: str, kind: TableKind) -> str:
    is_account = kind is TableKind.ACCOUNT
    there_are = ACCOUNT_KEYS if is_account else KEYS
    near = get_close_matches(
        key.lower().replace("-", "_"), [*there_are, *([] if is_account else [TableKind.ACCOUNT.value])], n=1
    )
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there_are)}"
    return f"there is no setting {key!r}; {hint}"
