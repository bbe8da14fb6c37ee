"""Apply a fault to an answer, if the result is still an answer. Pure: connections are broken in `delivery`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bulk.sandbox.faults import Effect
from bulk.sandbox.gateway import throttled
from bulk.sandbox.replies import Reply
from bulk.sandbox.results import Refusal, error_of

if TYPE_CHECKING:
    from bulk.sandbox.faults import Fault
    from bulk.sandbox.results import Result

__all__ = ["pretended_result", "spoil"]

_PRETENDED: Final = {
    Effect.THROTTLE: throttled(),
    Effect.HTTP500: Refusal(500, "InternalError", "The request processing has failed due to some unknown error."),
    Effect.HTTP503: Refusal(503, "ServiceUnavailable", "The request has failed due to a temporary failure."),
    Effect.NONCE_USED: Refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already."),
}
_PROXY_PAGES: Final = {
    Effect.HTTP502: (502, b"502 Bad Gateway"),
    Effect.HTTP504: (504, b"504 Gateway Time-out"),
    Effect.HTML: (200, b"Please sign in to the network"),
}


def pretended_result(fault: Fault) -> Result | None:
    """Return the error that a fault makes the platform answer with; ``None``: it answers as it would have."""
    if fault.effect is not Effect.CODE:
        return _PRETENDED.get(fault.effect)
    return error_of(fault.code, "The sandbox was asked to answer so.")


def spoil(reply: Reply, fault: Fault, *, endpoint: str) -> Reply:
    """Return what a fault makes of a reply, where it is only another reply.

    Args:
        reply: What would have been said.
        fault: The request's fault.
        endpoint: Where a redirect leads, without the path: back to the sandbox, which counts clients that follow.
    """
    if fault.effect in _PROXY_PAGES:
        return _proxy_page(*_PROXY_PAGES[fault.effect])
    match fault.effect:
        case Effect.EMPTY:
            return replace(reply, body=b"")
        case Effect.BADJSON:
            return replace(reply, body=reply.body[:-1] + b',"Success":tru')
        case Effect.REDIRECT:
            # 307 keeps method and body: a client that follows it gives its signature to any server there.
            return Reply(status=307, headers={"Location": f"{endpoint}elsewhere"})
        case _:
            return reply


def _proxy_page(status: int, title: bytes) -> Reply:
    page = b"<html><head><title>%b</title></head><body><h1>%b</h1></body></html>" % (title, title)
    return Reply(status=status, content_type="text/html", body=page)
