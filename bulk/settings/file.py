"""Read `bulk.toml`: settings that are not typed every time, with named profiles. It holds no secret, and refuses any.

One file is read, never two: the one that was named, else ``./bulk.toml``, else ``bulk/bulk.toml`` in the user's
configuration folder. A file in the working folder replaces the user's as a whole: what holds stands on one page.
Keys at the top hold for everyone; those of ``[profiles.NAME]`` go before them where that profile is chosen, and those
of ``[accounts.NAME]`` before both for that account.
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
"""Of each of these, a profile that names one has no other from the top."""


@dataclass(frozen=True, slots=True)
class FileSettings:
    """What a settings file says to those who chose a profile, or none."""

    values: Mapping[str, FileValue] = field(default_factory=dict)
    """By the parameters that commands know."""

    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    """By name; what they say of themselves."""


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
    # A relative folder is to be ignored: so says the specification of that variable.
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
    """Return what the file says, by the parameters that commands know.

    All of the file is checked, whichever profile is chosen: a mistake shall not wait for the night that needs it.

    Args:
        path: The file.
        name: The profile; ``None``: only the keys at the top.

    Raises:
        SettingsError: The file can't be read, or something in it is no setting; the message says where.
    """
    return read_file(path, name).values


def read_file(path: Path, profile: str | None) -> FileSettings:
    """Return all that the file says; see `read_profile`."""
    document = Document(path)
    at_top, profiles, accounts = document.top(), document.profiles(), document.accounts()
    if profile is None:
        return FileSettings(at_top, accounts)
    if profile not in profiles:
        raise SettingsError(f"{document.name}: there is no profile {profile!r}; {_there_are(profile, profiles)}")
    chosen = profiles[profile]
    for group in _ONE_OF:
        if any(chosen[option].value for option in group if option in chosen):
            # A profile that says where goes there, wherever the others go.
            at_top = {option: value for option, value in at_top.items() if option not in group}
    return FileSettings(at_top | chosen, accounts)


def _there_are(name: str, profiles: Mapping[str, object]) -> str:
    if not profiles:
        return f"it has none; write [profiles.{name}] and its keys below"
    near = get_close_matches(name, profiles, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, profiles))}"
