"""Read `bulk.toml`: settings that you need not type every time, and named profiles. Secrets in it are refused.

Only one file is read: the one that you named, else ``./bulk.toml``, else ``bulk/bulk.toml`` in the user's
configuration folder. A file in the working folder replaces the user's completely, so that all settings in effect are
on one page. Keys at the top apply to every run. Keys of ``[profiles.NAME]`` override them if that profile is chosen.
Keys of ``[accounts.NAME]`` override both for that account.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.errors import SettingsError
from bulk.settings.document import FILE, Document, FileValue, shown
from bulk.settings.keys import KEYS, NOT_IN_A_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.settings.account import AccountSettings

__all__ = [
    "KEYS",
    "NOT_IN_A_FILE",
    "FileSettings",
    "FileValue",
    "account_names",
    "find_file",
    "profile_names",
    "read_file",
    "read_profile",
    "user_file",
]

_ONE_OF = (("endpoint", "region", "sandbox"), ("profile", "key_env"))
"""Alternatives: if a profile sets one of a group, the others of that group at the top are ignored."""


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Values of a settings file for the chosen profile, or for none."""

    values: Mapping[str, FileValue] = field(default_factory=dict)
    """By the names of commands' parameters."""

    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    """By name; each has only what its own table sets."""


def find_file(
    named: str | None, environ: Mapping[str, str], *, on_hidden: Callable[[str], None] = lambda _: None
) -> Path | None:
    """Return the file that is in effect, ``None`` if there is none.

    Args:
        named: The file that was asked for; it must be there.
        environ: ``os.environ``, or its substitute in tests.
        on_hidden: Called for each place that can't be accessed, such as another user's home. The place is skipped.
    """
    if named:
        return Path(named)
    for path in (FILE, user_file(environ)):
        try:
            if path is not None and path.is_file():
                return path
        except OSError as exc:
            on_hidden(
                f"No settings are taken from {shown(path)}: its folder can't be looked into ({exc.strerror}). "
                "Name a file with --settings if you need one."
            )
    return None


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Return where the user's own file would be; ``None`` where there is no home."""
    folder, home = environ.get("XDG_CONFIG_HOME", ""), environ.get("HOME", "")
    # The XDG specification of this variable says to ignore a relative folder.
    if Path(folder).is_absolute():
        return Path(folder) / "bulk" / FILE
    return Path(home) / ".config" / "bulk" / FILE if home else None


def profile_names(path: Path) -> tuple[str, ...]:
    """Return the names of a file's profiles.

    Raises:
        SettingsError: The file can't be read.
    """
    return Document(path).profile_names


def account_names(path: Path) -> tuple[str, ...]:
    """Return the names of a file's accounts.

    Raises:
        SettingsError: The file can't be read.
    """
    return Document(path).account_names


def read_profile(path: Path, name: str | None) -> Mapping[str, FileValue]:
    """Return the file's values, by the names of commands' parameters.

    The whole file is checked, for any profile: a mistake must not stay hidden until the run that needs it.

    Args:
        path: The file.
        name: The profile; ``None``: only the keys at the top.

    Raises:
        SettingsError: The file can't be read, or a key in it is no setting; the message says where.
    """
    return read_file(path, name).values


def read_file(path: Path, profile: str | None) -> FileSettings:
    """Return the file's values and accounts; see `read_profile`."""
    document = Document(path)
    at_top, profiles, accounts = document.top(), document.profiles(), document.accounts()
    if profile is None:
        return FileSettings(at_top, accounts)
    if profile not in profiles:
        raise SettingsError(f"{document.name}: there is no profile {profile!r}; {_there_are(profile, profiles)}")
    chosen = profiles[profile]
    for group in _ONE_OF:
        if any(chosen[option].value for option in group if option in chosen):
            # One choice in the profile replaces all of its alternatives at the top.
            at_top = {option: value for option, value in at_top.items() if option not in group}
    return FileSettings(at_top | chosen, accounts)


def _there_are(name: str, profiles: Mapping[str, object]) -> str:
    if not profiles:
        return f"it has none; write [profiles.{name}] and its keys below"
    near = get_close_matches(name, profiles, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, profiles))}"
