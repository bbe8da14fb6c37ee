"""Every exception that `bulk` raises, and the exit code that each one asks for.

BulkError
├── SettingsError                 exit 2: a flag, variable or profile that cannot be used
│   └── KeysUnavailableError      exit 3: a source of keys does not answer
├── InputError                    exit 2: file, line, field
├── LedgerError                   exit 3: the ledger cannot be read or written
│   ├── LedgerHeldError           exit 4: another run holds it
│   ├── LedgerLayoutError         exit 4: a newer bulk wrote it
│   └── LedgerTargetError         exit 4: it belongs to another target
├── OutputError                   exit 3: stdout cannot be written
├── UnreadError                   exit 3: a part of the platform can't be read, and the whole was asked for
├── UnprovenError                 exit 1: what a fleet shipped contradicts itself
├── StoppedError                  exit 130, 143 or 3: asked to stop before there was anything to summarise
└── TransportError                inside `bulk.cloud` alone: becomes a `bulk.model.Failure`
    ├── NotSentError              repeating is safe
    ├── TurnMissedError           it could not leave in time: repeat at another time (the engine meets this one)
    └── OutcomeUnknownError       list first, then decide

Expected outcomes (retry, give up, budget spent) are values, not exceptions, and so is what the platform refuses: see
`bulk.model.Failure`.
A message is written for the person who must act on it and never holds a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.legible import legible
from bulk.shell import shell_quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "BulkError",
    "InputError",
    "KeysUnavailableError",
    "LedgerError",
    "LedgerHeldError",
    "LedgerLayoutError",
    "LedgerTargetError",
    "NotSentError",
    "OutcomeUnknownError",
    "OutputError",
    "SettingsError",
    "StoppedError",
    "TransportError",
    "TurnMissedError",
    "UnprovenError",
    "UnreadError",
]


class BulkError(Exception):
    """The root of the tree: catch this to handle every error of bulk."""

    exit_code: int = ExitCode.STOPPED
    """What `bulk` exits with when this error ends a command."""


class SettingsError(BulkError):
    """A flag, environment variable or profile is missing, wrong, or contradicts another."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, message: str, *settings: str) -> None:
        """Say what is wrong.

        Args:
            message: For the person who must correct it; ``{0}``, ``{1}``, … are replaced by names of settings.
            settings: Those names, as fields of ``Settings`` and ``ReadSettings``, or as flags. A command line and a
                settings file have other names for them.
        """
        super().__init__(_with_names(message, settings))
        self._message = message
        self._settings = settings

    def by_names(self, name_of: Callable[[str], str]) -> SettingsError:
        """Return the same error with other names for the settings.

        Args:
            name_of: Returns a field's other name.
        """
        return type(self)(_with_names(self._message, [name_of(field) for field in self._settings]))


def _with_names(message: str, names: Sequence[str]) -> str:
    for number, name in enumerate(names):
        message = message.replace(f"{{{number}}}", name)
    return message


class KeysUnavailableError(SettingsError):
    """A source of keys is set up but does not answer: no setting is wrong, and running again may help."""

    exit_code = ExitCode.STOPPED


class InputError(BulkError):
    """The input as a whole cannot be read: nothing was sent, the ledger is as it was."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, message: str, *, file: str, line: int | None = None, field: str | None = None) -> None:
        """Say what is wrong and where.

        Args:
            message: What is wrong and the flag that fixes it, without the place.
            file: The input's path as the user gave it, ``-`` for stdin.
            line: Line of the file, starting at 1, if the error is about one.
            field: The field or column, if the error is about one.
        """
        # A line break or an escape sequence in a name would look like part of bulk's message.
        named = file if legible(file).isprintable() else shell_quote(file)
        place = named if line is None else f"{named}, line {line}"
        super().__init__(f"{place}: {message}")
        self.file = file
        self.line = line
        self.field = field


class LedgerError(BulkError):
    """The ledger cannot be opened, read or written; what it recorded is still there."""


class LedgerHeldError(LedgerError):
    """Another run is at work on this ledger; the message names it."""

    exit_code = ExitCode.REFUSED


class LedgerLayoutError(LedgerError):
    """A newer version of `bulk` wrote the ledger, in a layout that this one does not know."""

    exit_code = ExitCode.REFUSED


class LedgerTargetError(LedgerError):
    """The ledger belongs to another dialect, endpoint or instance than the one asked for."""

    exit_code = ExitCode.REFUSED


class OutputError(BulkError):
    """A command's output can't be written; what the command did is done and recorded."""


class UnreadError(BulkError):
    """A part of what you asked to read can't be read from the platform: the rest would look like the whole."""


class UnprovenError(BulkError):
    """The data that a fleet's shards shipped contradicts itself or is incomplete: no ledger was made from it."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, flaws: Sequence[str]) -> None:
        """Store what is wrong.

        Args:
            flaws: What is wrong and where, one sentence each.
        """
        super().__init__("\n".join(["the proof fails, and no ledger was written:", *flaws]))
        self.flaws = tuple(flaws)


class StoppedError(BulkError):
    """A stop was asked for before there was anything to summarise: nothing was sent."""

    def __init__(self, reason: str, *, exit_code: int) -> None:
        """Store the reason of the stop.

        Args:
            reason: Why.
            exit_code: The signal's, or ``STOPPED`` for a deadline.
        """
        super().__init__(reason)
        self.exit_code = exit_code


class TransportError(BulkError):
    """No usable answer arrived. Used only inside `bulk.cloud`, which turns it into a `Failure`."""

    def __init__(self, message: str, *, code: str = "connection_lost", remedy: str | None = None) -> None:
        """Store the reason.

        Args:
            message: What happened, redacted.
            code: One of bulk's own, as `bulk.cloud.codes` lists them.
            remedy: What the operator can do, if more is known than the code says.
        """
        super().__init__(message)
        self.code = code
        self.remedy = remedy


class NotSentError(TransportError):
    """No request left this machine; repeating is safe."""


class TurnMissedError(TransportError):
    """No request left this machine, and now it is too late: the second that the pace gave it is full.

    The connection or the new keys that it waited for are kept for the next try.
    """


class OutcomeUnknownError(TransportError):
    """The request may have been carried out; ask the platform before sending it again."""
