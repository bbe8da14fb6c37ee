"""What settings say of one account, which names accounts may have, and how keys are pointed to. Pure.

Nothing in here is a secret: settings say where keys are, never what they are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.settings.values import check_rate
from bulk.stray import control_in, stray_in, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bulk.model import Dialect

__all__ = [
    "AccountSettings",
    "check_account_names",
    "check_key_env",
    "check_role_arn",
    "check_texts",
    "mistaken_names",
]

MAX_NAME_CHARACTERS = 64
"""Of an account's or a rate group's name: names are columns of screens, and labels of metrics."""

_ROLE_ARN = re.compile(r"acs:ram::[0-9]+:role/[!-~]+")
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY_ITSELF = re.compile(r"LTAI\w+|(?=\w*\d)(?=\w*[a-z])(?=\w*[A-Z])[A-Za-z0-9]{16,}")
"""An AccessKeyId, or a text as random as a secret: nobody names a variable like that."""

_SHORTEST_SECRET = 16

_VISIBLE_ONLY = ("instance_id", "role_arn", "external_id", "sample_product")
"""Fields whose characters must all be visible ASCII."""

_ONE_LINE = ("endpoint", "region", "profile", "key_env", "sts_endpoint", "rate_group")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """Settings of one account; where it sets nothing, `Settings` applies."""

    endpoint: str | None = None
    region: str | None = None
    dialect: Dialect | None = None
    instance_id: str | None = None
    qps: float | None = None
    list_qps: float | None = None
    rate_group: str | None = None
    profile: str | None = None
    """With ``key_env``, one of two ways to say where its keys are. Either one replaces both of `Settings`."""

    key_env: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    sts_endpoint: str | None = None
    sample_product: str | None = None
    place: str | None = field(default=None, compare=False)
    """Where this is written, for messages, such as ``./bulk.toml, line 12``; ``None``: a program set it."""

    def __post_init__(self) -> None:
        """Refuse values that contradict each other.

        Raises:
            SettingsError: A value is out of bounds, or two exclude each other.
        """
        check_texts({name: getattr(self, name) for name in (*_VISIBLE_ONLY, *_ONE_LINE)})
        for name, rate in (("qps", self.qps), ("list_qps", self.list_qps)):
            check_rate(name, rate)
        if self.endpoint and self.region:
            raise SettingsError("{0} and {1} exclude each other: choose one platform", "endpoint", "region")
        if self.profile and self.key_env:
            raise SettingsError("{0} and {1} both say where the keys are: give one of them", "profile", "key_env")


def check_texts(texts: Mapping[str, str | None]) -> None:
    """Refuse texts with invisible characters, or that can't be valid for their field.

    Args:
        texts: Field of `AccountSettings` → its text.

    Raises:
        SettingsError: A text is refused; a value that may be a secret is not shown.
    """
    for name, text in texts.items():
        if text and (stray := stray_in(text) if name in _VISIBLE_ONLY else control_in(text)):
            held = f"{stray}, which no instance's ID does" if name == "instance_id" else stray
            raise SettingsError(f"{{0}} holds {held}: remove it", name)
    check_key_env(texts.get("key_env"))
    check_role_arn(texts.get("role_arn"))
    group = texts.get("rate_group")
    if group is not None and (not trimmed(group) or trimmed(group) != group or len(group) > MAX_NAME_CHARACTERS):
        raise SettingsError(
            f"{{0}} takes 1 to {MAX_NAME_CHARACTERS} characters, without spaces at its ends", "rate_group"
        )


def check_key_env(prefix: str | None) -> None:
    """Refuse what can't be the beginning of a variable's name. A key put there by mistake is not shown.

    Raises:
        SettingsError: It is refused.
    """
    if prefix is None:
        return
    advice = "write it with letters, digits and _, such as FACTORY for FACTORY_ACCESS_KEY_ID"
    if _KEY_ITSELF.fullmatch(prefix):
        raise SettingsError(f"{{0}} looks like a key, which a settings file must not hold: {advice}", "key_env")
    if not _PREFIX.fullmatch(prefix):
        # A secret is longer, so longer texts are not shown.
        shown = f" {prefix!r}" if len(prefix) < _SHORTEST_SECRET else ""
        raise SettingsError(f"{{0}}{shown} can't begin a variable's name: {advice}", "key_env")


def check_role_arn(arn: str | None) -> None:
    """Refuse what is not the name of a role.

    Raises:
        SettingsError: It is refused.
    """
    if arn is not None and not _ROLE_ARN.fullmatch(arn):
        raise SettingsError(f"{{0}} {arn!r} is not the name of a role: write acs:ram::UID:role/NAME", "role_arn")


def check_account_names(names: Iterable[str]) -> None:
    """Refuse the first of `mistaken_names`.

    Raises:
        SettingsError: There is one.
    """
    for _, message in mistaken_names(names):
        raise SettingsError(message)


def mistaken_names(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Find names that a person can't tell apart or can't type, each with what to do about it.

    Rows name their account by exactly these characters, without invisible ones at the ends.
    """
    seen: dict[str, str] = {}
    for name in names:
        alike = seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if mistake := _mistake_in_name(name):
            yield name, f"account {name!r} {mistake}"
        elif alike != name:
            advice = "give names that differ in more than letter case or the width of letters"
            yield name, f"accounts {alike!r} and {name!r} look alike: {advice}"


def _mistake_in_name(name: str) -> str | None:
    if not trimmed(name):
        return "has no name: write one, such as [accounts.factory]"
    if trimmed(name) != name:
        return "begins or ends with a space or an invisible character: remove it"
    if not name.isprintable():
        return "holds an invisible character: remove it"
    if unicodedata.normalize("NFC", name) != name:
        return "has letters and their accents as separate characters: type the name again"
    if len(name) > MAX_NAME_CHARACTERS:
        return f"has {len(name)} characters: {MAX_NAME_CHARACTERS} are allowed"
    return None
