"""Describe what went wrong with a request: its class, its remedy, and words that hold no secret. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bulk.cloud.codes import NO_CODE, SIGNATURE_CODE, classify, code_for_status, is_about_keys, look_up
from bulk.cloud.replies import retry_after_s
from bulk.errors import NotSentError
from bulk.model import Failure, FailureKind
from bulk.redaction import MAX_ID_CHARACTERS, echoed_string_to_sign, redact

if TYPE_CHECKING:
    from bulk.cloud.codes import Verdict
    from bulk.cloud.keys.credentials import Credentials
    from bulk.cloud.replies import Answer
    from bulk.cloud.wire.transport import Reply, SignedRequest
    from bulk.errors import TransportError
    from bulk.model import Action

__all__ = ["is_of_another", "lost", "refused", "unreadable"]

_SECRET_IS_WRONG = "The AccessKey secret does not belong to the key id."  # noqa: S105 - a sentence
_SIGNED_OTHERWISE = (
    "The platform signed another text than bulk did: a proxy changes requests, --dialect does not fit the endpoint, "
    "or bulk has a fault; report it with the RequestId."
)
_TOO_LONG_STATUSES = frozenset({413, 414, 431})
_PROXY_LOGIN = 407
_REDIRECT = "redirect"
_EXCERPT_BYTES = 1000
_EXCERPT_CHARACTERS = 120


def lost(error: TransportError, credentials: Credentials, *, action: Action | None) -> Failure:
    """Describe a request of an action that got no usable answer."""
    verdict = classify(action, error.code, None)
    kind = FailureKind.NOT_SENT if isinstance(error, NotSentError) else FailureKind.DOUBTFUL
    return Failure(
        kind=FailureKind.FATAL if verdict.kind is FailureKind.FATAL else kind,
        code=error.code,
        message=redact(str(error), _secrets(credentials)),
        remedy=error.remedy or verdict.remedy,
    )


def refused(
    reply: Reply, answer: Answer, request: SignedRequest, *, action: Action | None, credentials: Credentials
) -> Failure:
    """Describe a reply that is no success.

    Args:
        reply: As it arrived.
        answer: What could be read of it.
        request: The request that it answers, to compare with the string to sign that the platform may echo.
        action: What was asked for; ``None``: none of the platform's actions.
        credentials: Their secrets are kept out of the words.
    """
    if reply.is_redirect:
        return _redirected(reply, action)
    if reply.is_2xx and answer.success is None and look_up(answer.code, action) is None:
        return unreadable(reply, "it does not say whether it succeeded", credentials=credentials)
    code = answer.code or (NO_CODE if reply.is_2xx else "")
    verdict = classify(action, code, reply.status)
    if (verdict.kind is FailureKind.UNRECOGNISED or code == NO_CODE) and not _is_the_platforms(answer):
        return unreadable(reply, "no code and no RequestId of the platform", credentials=credentials)
    is_about_signature = code.lower() == SIGNATURE_CODE.lower()
    remedy = _remedy_for_signature(answer.message, request, verdict) if is_about_signature else verdict.remedy
    secrets = (*_secrets(credentials), request.signature)
    return Failure(
        kind=FailureKind.KEYS if is_about_keys(code) and remedy != _SIGNED_OTHERWISE else verdict.kind,
        code=redact(code, secrets, longest=MAX_ID_CHARACTERS) or code_for_status(reply.status),
        message=redact(answer.message, secrets).strip() or _in_place_of_message(reply, secrets),
        remedy=remedy,
        request_id=answer.request_id_without(secrets),
        http_status=reply.status,
        retry_after_s=retry_after_s(reply.headers),
        may_be_done=verdict.kind is FailureKind.FATAL and not answer.code,
        permission=verdict.permission,
    )


def unreadable(reply: Reply, reason: str, *, credentials: Credentials, request_id: str | None = None) -> Failure:
    """Describe a reply that may be a success, but can't be read as one.

    Args:
        reply: As it arrived.
        reason: What is missing or wrong, as the end of "the reply can't be read:".
        credentials: Their secrets are kept out of the excerpt.
        request_id: The reply's RequestId, if it could be read.
    """
    return Failure(
        kind=FailureKind.DOUBTFUL,
        code="unreadable_reply",
        message=f"the reply can't be read: {reason}; {_in_place_of_message(reply, _secrets(credentials))}",
        request_id=request_id,
        http_status=reply.status,
    )


def is_of_another(failure: Failure) -> bool:
    """Return whether something else answered in the platform's place, as a load balancer or a firewall does.

    If the platform has accepted requests before, this is an outage, not a wrong setting. There are two exceptions. A
    proxy is not asked again with a password that it refuses. A redirect already says where requests should go instead.
    """
    is_page = failure.http_status != _PROXY_LOGIN and failure.code != _REDIRECT
    return failure.kind is FailureKind.FATAL and failure.may_be_done and is_page


def _is_the_platforms(answer: Answer) -> bool:
    """Return whether this may be the platform's own answer, not one of a proxy or another service in its place."""
    return answer.request_id is not None or answer.code.lower().startswith("iot.")


def _redirected(reply: Reply, action: Action | None) -> Failure:
    """Return the address that the reply points to, without its query: that may be our own signed one."""
    try:
        url = urlsplit(reply.headers.get("location", ""))
        where = f"{url.scheme}://{url.hostname}" if url.hostname else "another path of the same host"
    except ValueError:
        where = "a place that is no URL"
    return Failure(
        kind=FailureKind.FATAL,
        code=_REDIRECT,
        message=f"the endpoint redirects to {where} (HTTP {reply.status})",
        remedy=classify(action, _REDIRECT, reply.status).remedy,
        http_status=reply.status,
        may_be_done=True,
    )


def _remedy_for_signature(message: str, request: SignedRequest, verdict: Verdict) -> str | None:
    echoed = echoed_string_to_sign(message)
    if echoed is None:
        return verdict.remedy
    return _SECRET_IS_WRONG if echoed == request.signed_text else _SIGNED_OTHERWISE


def _in_place_of_message(reply: Reply, secrets: tuple[str | None, ...]) -> str:
    """Return the beginning of an answer without a message: enough to recognise a proxy's page."""
    body = reply.body[:_EXCERPT_BYTES].decode(errors="replace")
    text = redact(" ".join(body.split()), secrets)
    status = f"HTTP {reply.status}"
    if reply.status in _TOO_LONG_STATUSES:
        status = f"the request is longer than the endpoint or a proxy before it takes: {status}"
    return f"{status}, {text[:_EXCERPT_CHARACTERS]!r}" if text else f"{status}, empty"


def _secrets(credentials: Credentials) -> tuple[str | None, ...]:
    return credentials.access_key_secret, credentials.security_token
