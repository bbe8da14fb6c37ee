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
    """The root of the tree: a caller that can't go on catches this."""

    exit_code: int = ExitCode.STOPPED
    """What `bulk` exits with when this error ends a command."""


class SettingsError(BulkError):
    """A flag, environment variable or profile is missing, wrong, or contradicts another."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, message: str, *settings: str) -> None:
        """Say what is wrong.

        Args:
            message: For the person who must correct it; ``{0}``, ``{1}``, … stand for the names of settings.
            settings: Those names, as fields of ``Settings`` and ``ReadSettings``, or as flags: a command line and a
                settings file know them by others.
        """
        super().__init__(_with_names(message, settings))
        self._message = message
        self._settings = settings

    def by_names(self, name_of: Callable[[str], str]) -> SettingsError:
        """Return the same error with the settings named otherwise.

        Args:
            name_of: Gives a field's other name.
        """
        return type(self)(_with_names(self._message, [name_of(field) for field in self._settings]))


def _with_names(message: str, names: Sequence[str]) -> str:
    for number, name in enumerate(names):
        message = message.replace(f"{{{number}}}", name)
    return message


class KeysUnavailableError(SettingsError):
    """A source of keys is set up and does not answer: no setting is wrong, and running again may help."""

    exit_code = ExitCode.STOPPED


class InputError(BulkError):
    """The input as a whole cannot be read: nothing was sent, the ledger is as it was."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, message: str, *, file: str, line: int | None = None, field: str | None = None) -> None:
        """Say what is wrong and where.

        Args:
            message: What is wrong and the flag that mends it, without the place.
            file: The input's path as the user gave it, ``-`` for stdin.
            line: Line of the file, starting at 1, where there is one to name.
            field: The field or column concerned, if it is about one.
        """
        # A line break or an escape sequence in a name would be taken for our own.
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
    """What a command has to say can't be written; what it did is done, and recorded."""


class UnreadError(BulkError):
    """A part of what was to be read of the platform can't be read: the rest would pass for the whole."""


class UnprovenError(BulkError):
    """What the shards of a fleet shipped can't all be true, or some of it is gone: no ledger was made of it."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, flaws: Sequence[str]) -> None:
        """Keep what is wrong.

        Args:
            flaws: What and where, one sentence each.
        """
        super().__init__("\n".join(["the proof fails, and no ledger was written:", *flaws]))
        self.flaws = tuple(flaws)


class StoppedError(BulkError):
    """A stop was asked for before there was anything to summarise: nothing was sent."""

    def __init__(self, reason: str, *, exit_code: int) -> None:
        """Keep what the stop was asked for with.

        Args:
            reason: Why.
            exit_code: By a signal, or ``STOPPED`` for a deadline.
        """
        super().__init__(reason)
        self.exit_code = exit_code


class TransportError(BulkError):
    """No usable answer arrived; met inside `bulk.cloud` alone, which turns it into a `Failure`."""

    def __init__(self, message: str, *, code: str = "connection_lost", remedy: str | None = None) -> None:
        """Keep why.

        Args:
            message: What happened, redacted.
            code: A word of ours, as `bulk.cloud.codes` lists them.
            remedy: What the operator can do, where it is known better than from the code.
        """
        super().__init__(message)
        self.code = code
        self.remedy = remedy


class NotSentError(TransportError):
    """No request left this machine; repeating is safe."""


class TurnMissedError(TransportError):
    """No request left this machine, and now would be too late: the second that it was paced for is full.

    What it waited for, a connection or new keys, is kept for the next time.
    """


class OutcomeUnknownError(TransportError):
    """The request may have been carried out; ask the platform before sending it again."""
