"""Read from the platform and write to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bulk.cloud.calling import unique_nonces
from bulk.cloud.dialects import change_parameters
from bulk.cloud.reading import ReadingClient, ReadingPlatform
from bulk.cloud.wire.transport import at_once
from bulk.model import Accepted, Failure

if TYPE_CHECKING:
    from bulk.cloud.wire.transport import Leave
    from bulk.model import Change

__all__ = ["Client", "Platform", "unique_nonces"]


class Platform(ReadingPlatform, Protocol):
    """What the engine asks of the platform. A call is one request, never repeated inside."""

    async def apply(self, change: Change, /, *, leave: Leave = at_once) -> Accepted | Failure:
        """Ask for a change.

        Args:
            change: What to make, update or delete.
            leave: See `cloud.transport.Leave`.

        Raises:
            TurnMissedError: It was too late to send the request, and it was not sent.
        """
        ...


class Client(ReadingClient):
    """The platform, behind HTTP; see `Platform`."""

    async def apply(self, change: Change, *, leave: Leave = at_once) -> Accepted | Failure:
        """See `Platform.apply`."""
        result = await self._caller.call(change.action, change_parameters(change), await self._caller.current(), leave)
        if isinstance(result, Failure):
            return result
        reply, answer = result
        return Accepted(answer.request_id, reply.status)
