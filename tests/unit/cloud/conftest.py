"""A twin of the transport, which answers from a list and keeps what it was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import pytest

from bulk.cloud.wire.transport import Reply, SignedRequest

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class ScriptedTransport:
    """Answers each request with the next step: a reply, or an error to raise."""

    steps: list[Reply | Exception | Callable[[SignedRequest], Reply]]
    sent: list[SignedRequest] = field(default_factory=list)

    async def send(self, request: SignedRequest, *, timeout_s: float, **_: object) -> Reply:
        """See `cloud.transport.Transport`."""
        assert timeout_s > 0
        self.sent.append(request)
        step = self.steps[len(self.sent) - 1]
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Reply) else step(request)

    def parameters(self, index: int) -> dict[str, str]:
        """Return the parameters of a request, as the platform would read them."""
        return dict(parse_qsl(self.sent[index].query, keep_blank_values=True, strict_parsing=True))


@pytest.fixture
def scripted() -> Callable[..., ScriptedTransport]:
    """Make a transport that answers with the given steps, in order."""
    return lambda *steps: ScriptedTransport(list(steps))
