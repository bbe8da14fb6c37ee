"""The platform's checks before it performs an action: caller, time, nonce, rate and rights.

Clocks are given.
"""

from __future__ import annotations

import hmac
import re
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Final

from bulk.model import Dialect
from bulk.sandbox.accounts.directory import Directory
from bulk.sandbox.actions import ACTIONS
from bulk.sandbox.actions.desk import Api, Window
from bulk.sandbox.results import Refusal, Refused, error_of
from bulk.sandbox.signature import (
    canonical_request,
    v2_signature,
    v2_string_to_sign,
    v3_signature,
    v3_string_to_sign,
)

if TYPE_CHECKING:
    from bulk.sandbox.accounts.directory import Caller
    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig

__all__ = ["TIMESTAMP_WINDOW_S", "Gateway", "Throttle", "throttled"]

TIMESTAMP_WINDOW_S: Final = 15 * 60
"""How far a timestamp may be off, to either side (error documents; the V2 page says 31 minutes)."""

_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_REQUIRED: Final = {
    Dialect.TUYA: ("Action", "AccessKeyId", "SignatureMethod", "Timestamp", "SignatureNonce", "Signature"),
    Dialect.ALIBABA: (
        "Action",
        "Version",
        "AccessKeyId",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
        "SignatureNonce",
        "Signature",
    ),
}
_REQUIRED_V3: Final = ("x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce")


def throttled() -> Refusal:
    """Return the answer to a client that asks too often."""
    return Refusal(400, "Throttling.User", "Request was denied due to user flow control.")


class Throttle:
    """Allows so many requests in any one second: strict, sliding, refused ones not counted."""

    def __init__(self, per_s: float) -> None:
        """Set the limit.

        Args:
            per_s: Requests a second; below 1: one in 1/per_s seconds; 0: unlimited.
        """
        self._capacity = max(1, int(per_s))
        self._window_s = self._capacity / per_s if per_s else 0.0
        self._granted_at: deque[float] = deque(maxlen=self._capacity)

    def admits(self, now: float) -> bool:
        """Say whether a request may pass at this time, and count it if so."""
        if not self._window_s:
            return True
        if len(self._granted_at) == self._capacity and now - self._granted_at[0] < self._window_s:
            return False
        self._granted_at.append(now)
        return True


class Gateway:
    """The platform's gateway: remembers nonces and the times of accepted requests."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self.directory = Directory(config.served)
        self._nonces: dict[str, float] = {}
        self._throttles: dict[tuple[str, str], Throttle] = {}

    def check(self, call: Call, *, now: float, tick_s: float) -> Refusal | Refused | None:
        """Refuse what the platform refuses, in its order; return ``None`` for a request that may pass.

        A request without the right counts against the rate: an assumption, the documents don't say.

        Args:
            call: The request.
            now: The platform's time, in seconds since the epoch.
            tick_s: The time of a clock that never jumps, for the rates.
        """
        refusal = _check_completeness(call)
        if refusal:
            return refusal
        caller = self.directory.find(call, now=now)
        if isinstance(caller, Refusal):
            return caller
        refusal = _check_timestamp(call.timestamp, now) or self._check_signature(call, caller)
        refusal = refusal or self._check_nonce(call, now)
        if refusal is None and not self._throttle(call, caller).admits(tick_s):
            return throttled()
        return refusal or self._check_right(call, caller)

    def _check_right(self, call: Call, caller: Caller) -> Refusal | Refused | None:
        if call.action not in caller.denied:
            return None
        message = (
            f"User not authorized to operate on the specified resource, or this API doesn't support RAM: {call.action}."
        )
        return error_of(self._config.denied_code, message)

    def _check_signature(self, call: Call, caller: Caller) -> Refusal | None:
        expected, string_to_sign = self._expected_signature(call, caller.access_key_secret)
        given = call.authorization.signature if call.authorization else call.params.get("Signature", "")
        if hmac.compare_digest(expected.encode(), given.encode()):
            return None
        # The real platform echoes the string to sign too, with the AccessKeyId and every parameter.
        message = f"Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}"
        return Refusal(400, "SignatureDoesNotMatch", message)

    @staticmethod
    def _expected_signature(call: Call, secret: str) -> tuple[str, str]:
        if call.authorization is None:
            string_to_sign = v2_string_to_sign(call.method, call.params)
            return v2_signature(secret, string_to_sign), string_to_sign
        canonical = canonical_request(
            call.method,
            call.path,
            query=call.query,
            headers=call.headers,
            signed_headers=call.authorization.signed_headers,
            body=call.body,
        )
        string_to_sign = v3_string_to_sign(canonical)
        return v3_signature(secret, string_to_sign), string_to_sign

    def _check_nonce(self, call: Call, now: float) -> Refusal | None:
        self._forget_nonces(now)
        if call.nonce in self._nonces:
            return Refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[call.nonce] = now
        return None

    def _forget_nonces(self, now: float) -> None:
        # Older ones can't come back: their timestamps, signed with them, have left the window.
        for nonce in list(self._nonces) if len(self._nonces) % 1000 == 0 else ():
            if now - self._nonces[nonce] <= 2 * TIMESTAMP_WINDOW_S:
                break
            del self._nonces[nonce]

    def _throttle(self, call: Call, caller: Caller) -> Throttle:
        action = ACTIONS.get(call.action)
        window = action.window(call.params) if action else Window(call.action, lambda account: account.qps)
        key = (caller.account.uid, window.name)
        if key not in self._throttles:
            self._throttles[key] = Throttle(caller.account.granted_per_s(window))
        return self._throttles[key]


def _check_completeness(call: Call) -> Refusal | None:
    if call.method not in ("GET", "POST") or (call.dialect is Dialect.TUYA and call.method != "GET"):
        # Whether Tuya takes POST is not documented; all of its samples are GET.
        return Refusal(403, "UnsupportedHTTPMethod", "This http method is not supported.")
    refusal = _check_v3_headers(call) if call.is_v3 else _check_v2_params(call)
    action = ACTIONS.get(call.action)
    version = action.api if action else Api.IOT
    if refusal or call.dialect is Dialect.TUYA or call.version == version:
        return refusal
    return Refusal(400, "NoSuchVersion", f"Specified version {call.version} does not exist.")


def _check_v2_params(call: Call) -> Refusal | None:
    for name in _REQUIRED[call.dialect]:
        if not call.params.get(name):
            return Refusal(400, f"Missing{name}", f"{name} is mandatory for this action.")
    if call.params["SignatureMethod"] != "HMAC-SHA1":
        return Refusal(400, "InvalidSignatureMethod", "Specified signature method is not valid.")
    return None


def _check_v3_headers(call: Call) -> Refusal | None:
    signed = call.authorization.signed_headers if call.authorization else ()
    for name in _REQUIRED_V3:
        if not call.headers.get(name) or name not in signed:
            return Refusal(400, "IncompleteSignature", f"The header {name} is missing or not signed.")
    return None


def _check_timestamp(timestamp: str, now: float) -> Refusal | None:
    try:
        sent_at = datetime.fromisoformat(timestamp).timestamp() if _TIMESTAMP.fullmatch(timestamp) else None
    except ValueError:
        sent_at = None
    if sent_at is None:
        return Refusal(400, "InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
    if abs(now - sent_at) > TIMESTAMP_WINDOW_S:
        return Refusal(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    return None
