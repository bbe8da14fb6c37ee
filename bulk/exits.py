"""What a command exits with. Schedulers read it: never renumber one."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """How a command ended. README.md and docs/operations.md say what to do about each."""

    DONE = 0  #: every row is provisioned; of other commands: what was asked for is done
    INCOMPLETE = 1  #: finished, but some rows are not provisioned
    UNUSABLE = 2  #: a flag, a setting or the input can't be used; nothing was sent
    STOPPED = 3  #: stopped early: key, permission, platform out of reach, disk full
    REFUSED = 4  #: the ledger is held by another run, belongs to another target, or a newer version wrote it
    WITHHELD = 5  #: of a sync: something is withheld and needs your approval
    CHANGED = 6  #: of a sync with --detailed-exitcode: it changed something, and all is as the file says
    INTERRUPTED = 130  #: by Ctrl-C
    TERMINATED = 143  #: by SIGTERM, or by the end of the terminal

    @property
    def is_by_signal(self) -> bool:
        """Whether a signal asked for the end: a shell reports 128 plus its number."""
        return self > 128  # noqa: PLR2004 - said above

    def __repr__(self) -> str:
        """Return the number: logs show it so."""
        return str(int(self))
