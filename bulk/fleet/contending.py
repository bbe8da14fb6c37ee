"""Take a shard that another may have: watch, create the next fence, look again, wait. Pure, as `bulk.fleet.lease`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.fleet.lease import Holder, Note, Pause, Read, State, Terms, Write
from bulk.fleet.store import ABSENT, Outage, Put

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from bulk.fleet.lease import Answer, Instant, Question

__all__ = ["Contender"]


class Contender:
    """A process that wants a shard."""

    def __init__(self, name: str, note: Note, *, terms: Terms, clock: Callable[[], Instant]) -> None:
        """Begin.

        Args:
            name: ``lease/SHARD``.
            note: The text that it will write; no other process has the same. This process has the lock of the file that
                the note names.
            terms: The fleet's terms.
            clock: This machine's clock.
        """
        self._name = name
        self._note = note
        self._terms = terms
        self._clock = clock

    def take(self, fence: int = 0) -> Generator[Question, Answer, Holder]:
        """Wait until the shard is free, and return with the right to send.

        Args:
            fence: The highest fence that is known; later ones are found.
        """
        while True:
            fence, seen = yield from self._until_free(fence)
            made = yield Write(f"{self._name}.{fence + 1}", self._note.encoded(), only_if_absent=True)
            if made is not Put.STORED:
                yield Pause(self._terms.poll_every_s)
                continue
            fence += 1
            holder = Holder(self._name, fence, self._note, terms=self._terms, clock=self._clock)
            if (yield from self._until_alone(holder, seen)):
                return holder

    def _until_free(self, fence: int) -> Generator[Question, Answer, tuple[int, Answer]]:
        """Watch the holder until its right has ended; return its fence and what it wrote last."""
        seen: Answer = None
        seen_at_s = 0.0
        while True:
            following = yield Read(f"{self._name}.{fence + 1}")
            if isinstance(following, bytes):
                fence, seen = fence + 1, None
                continue
            began_s = self._clock().boot_s
            found = ABSENT if fence == 0 else (yield Read(f"{self._name}.{fence}"))
            if following is ABSENT and not isinstance(found, Outage):
                if fence == 0 or self._has_ended(found):
                    return fence, found
                if found != seen:
                    seen, seen_at_s = found, self._clock().boot_s
                elif began_s - seen_at_s >= self._terms.still_s:
                    return fence, found
            yield Pause(self._terms.poll_every_s)

    def _has_ended(self, found: Answer) -> bool:
        """Say whether a holder has certainly ended, and no earlier one has a right either."""
        note = Note.decoded(found) if isinstance(found, bytes) else None
        if note is None or note.state is State.WAITING:
            return False
        return note.state is State.RELEASED or self._note.host.is_same(note.host)

    def _until_alone(self, holder: Holder, seen: Answer) -> Generator[Question, Answer, bool]:
        """Hold the fence until no request of an earlier holder can arrive; ``False``: the fence was lost."""
        wait_s = yield from self._wait_s(holder.fence - 1, seen)
        ready_at_s = self._clock().boot_s + wait_s
        while not holder.right.is_lost:
            left_s = ready_at_s - self._clock().boot_s
            if (yield from holder.renew(State.WAITING if left_s > 0 else State.SENDING)) and left_s <= 0:
                return True
            yield Pause(min(self._terms.renew_every_s, left_s) if left_s > 0 else self._terms.poll_every_s)
        return False

    def _wait_s(self, fence: int, seen: Answer) -> Generator[Question, Answer, float]:
        """Look at an earlier holder again, and return how long its requests may still arrive."""
        if fence == 0:
            return 0.0
        while isinstance(found := (yield Read(f"{self._name}.{fence}")), Outage):
            yield Pause(self._terms.poll_every_s)
        if found != seen:  # it renewed just before the next fence existed, and does not know of that fence
            return self._terms.still_s + self._terms.quiet_s
        note = Note.decoded(found) if isinstance(found, bytes) else None
        if note is not None and note.state is State.SENDING and self._note.host.is_same(note.host):
            return self._terms.window_s  # its connections closed when it ended
        return self._terms.quiet_s
