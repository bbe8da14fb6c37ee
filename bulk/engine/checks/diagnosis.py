"""Judge what was tried before a run: a verdict, what was seen, and what to do about it. Pure."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from bulk.exits import ExitCode
from bulk.model import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bulk.cloud.wire.reach import Reach
    from bulk.ledger.storage.folder import FolderTrial
    from bulk.model import Identity, Listing

__all__ = [
    "MADE_UP_PRODUCT",
    "Check",
    "Verdict",
    "clock_check",
    "disk_check",
    "endpoint_check",
    "exit_code",
    "folder_check",
    "identity_check",
    "keys_check",
    "listing_check",
    "speed_check",
]

MADE_UP_PRODUCT = "bulkDoctor0"
"""A well-formed ProductKey that belongs to nobody. A platform that answers so has accepted the keys."""


_CERTIFICATE_SOON_S = 14 * 86_400.0
_CLOCK_CLOSE_S = 5.0
_CLOCK_WINDOW_S = 900.0
"""How far a timestamp may be off (the documents say 15 minutes in one place and 31 in another)."""

_SPARE_LANES = 1.25
"""Latency varies: a quarter more products side by side than the typical one asks for."""

_SLOW_COMMIT_S = 0.1
_ROW_BYTES = 2048
"""A row's share of a ledger with its log; measured at 500 bytes with short columns."""

_LITTLE_ROOM_BYTES = 1 << 30
_NO_ROOM_BYTES = 100 << 20

_KEY_CODES = ("invalidaccesskey", "signaturedoesnotmatch", "incompletesignature", "invalidsecuritytoken")
"""How error codes begin if the platform refused the keys themselves, before it looked at the request."""

_ANSWERS_OF_OTHERS = frozenset({"unreadable_reply", "reply_too_large", "unasked_answer"})
_LOOK_AT_ANSWER = (
    "What answered is not the platform's API: check the endpoint, and look for a login page of this network or for a "
    "proxy that answers in its place."
)

_TELLS_OF_A_PRODUCT = (FailureKind.PRODUCT, FailureKind.DENIED)

_ASK_FOR_YOURS = "Name one of your products with --product KEY, or write it as sample_product into bulk.toml."
_SET_CLOCK = "Set this machine's clock, for example by NTP."


class Verdict(StrEnum):
    """Result of a check."""

    PASSED = "passed"  #: a run has what it needs
    WARNED = "warned"  #: a run works, but you should look at something
    FAILED = "failed"  #: a run would fail
    SKIPPED = "skipped"  #: could not be tried, because something before it failed


@dataclass(frozen=True, slots=True)
class Check:
    """The check of one thing that a run needs. Its fields are keys of `bulk doctor --json`."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str | None = None
    """What to do about it; ``None``: nothing."""


def exit_code(checks: Sequence[Check]) -> int:
    """Return 0 if a run would work, as far as the checks can tell, else 3."""
    return ExitCode.STOPPED if any(check.verdict is Verdict.FAILED for check in checks) else ExitCode.DONE


def endpoint_check(endpoint: str, reached: Reach, *, now: float) -> Check:
    """Judge the connection to the endpoint.

    Args:
        endpoint: Its URL.
        reached: How it was reached.
        now: In seconds since the epoch.
    """
    took = f"at {reached.address} in {_ms(reached.connect_s)}" if reached.address else f"in {_ms(reached.connect_s)}"
    way = f"{endpoint} through the proxy {reached.proxy}" if reached.proxy else endpoint
    if reached.certificate_ends_at is None:
        ending = f", which was reached {took}" if reached.proxy else f" reached {took}, without TLS"
        return Check("endpoint", Verdict.PASSED, f"{way}{ending}")
    days = (reached.certificate_ends_at - now) / 86_400
    ends_on = time.strftime("%Y-%m-%d", time.gmtime(reached.certificate_ends_at))
    detail = f"{way} reached {took}, {reached.tls_version}, certificate valid until {ends_on}"
    if days * 86_400 >= _CERTIFICATE_SOON_S:
        return Check("endpoint", Verdict.PASSED, detail)
    return Check("endpoint", Verdict.WARNED, f"{detail}: {days:.0f} days", "Tell the operator of the endpoint.")


def keys_check(source: str, key_id: str, answer: Listing | Failure) -> Check:
    """Judge whether the platform knows the keys.

    Args:
        source: Where the keys are from.
        key_id: ID of the AccessKey; only its beginning is shown.
        answer: To a listing that was signed with them.
    """
    which = f"{key_id[:4]}… from {source}"
    if not isinstance(answer, Failure) or answer.kind in _TELLS_OF_A_PRODUCT:
        return Check("keys", Verdict.PASSED, f"{which}, accepted")
    if answer.code.lower().startswith(_KEY_CODES):
        return Check("keys", Verdict.FAILED, f"{which}, refused: {_said(answer)}", answer.remedy)
    return Check("keys", Verdict.SKIPPED, f"{which}; not tested, as the listing failed for another reason")


def listing_check(answer: Listing | Failure, product_key: str | None) -> Check:
    """Judge the listing, and so the permission.

    Args:
        answer: What the platform said.
        product_key: The product that was listed; ``None``: a made-up one.
    """
    if not isinstance(answer, Failure):
        count = len(answer.modules)
        where = product_key or f"the made-up product {MADE_UP_PRODUCT}"
        detail = f"{count} module{'' if count == 1 else 's'} in {where}"
        return Check("listing", Verdict.PASSED, f"{detail}; only a create can show whether creating is allowed")
    if product_key is None and answer.kind in _TELLS_OF_A_PRODUCT:
        detail = f"{answer.code} for the made-up product {MADE_UP_PRODUCT}, as it should be"
        return Check("listing", Verdict.PASSED, f"{detail}; --product KEY asks for a real one")
    if answer.code.lower().startswith(_KEY_CODES):
        return Check("listing", Verdict.SKIPPED, "the keys were refused")
    if product_key is None and answer.kind in {FailureKind.REFUSED, FailureKind.UNRECOGNISED}:
        detail = f"the made-up product {MADE_UP_PRODUCT} was refused: {_said(answer)}"
        return Check("listing", Verdict.WARNED, detail, _ASK_FOR_YOURS)
    if answer.kind is FailureKind.THROTTLED:
        detail = f"throttled each time: {_said(answer)}"
        return Check("listing", Verdict.WARNED, detail, "Others use up the account's rate: give a lower --list-qps.")
    remedy = _LOOK_AT_ANSWER if answer.code in _ANSWERS_OF_OTHERS else "Try again; then ask the platform's support."
    return Check("listing", Verdict.FAILED, _said(answer), answer.remedy or remedy)


def identity_check(answer: Identity | Failure) -> Check:
    """Judge who owns the keys; an unknown owner is no failure.

    Args:
        answer: Answer of the Security Token Service.
    """
    if isinstance(answer, Failure):
        return Check("identity", Verdict.SKIPPED, f"the platform did not say whose keys they are: {_said(answer)}")
    return Check("identity", Verdict.PASSED, f"UID {answer.uid}{f', {answer.arn}' if answer.arn else ''}")


def clock_check(offset_s: float | None) -> Check:
    """Judge this machine's clock.

    Args:
        offset_s: The platform's time minus ours, to the second; ``None``: no reply showed it.
    """
    if offset_s is None:
        return Check("clock", Verdict.SKIPPED, "no reply showed the platform's time")
    off_s = abs(offset_s)
    if off_s <= _CLOCK_CLOSE_S:
        return Check("clock", Verdict.PASSED, f"within {max(off_s, 1):.0f} s of the platform's")
    side = "behind" if offset_s > 0 else "ahead of"
    detail = f"{off_s:.0f} s {side} the platform's"
    if off_s < _CLOCK_WINDOW_S:
        return Check(
            "clock", Verdict.WARNED, f"{detail}; from {_CLOCK_WINDOW_S:.0f} s on it refuses requests", _SET_CLOCK
        )
    return Check(
        "clock", Verdict.WARNED, f"{detail}, which refuses such requests; bulk stamps them with its time", _SET_CLOCK
    )


def speed_check(latencies_s: Sequence[float], *, lanes: int, per_s: float) -> Check:
    """Judge whether a run can reach the rate of the settings.

    Args:
        latencies_s: How long each listing took, over a connection that was already open.
        lanes: Products in parallel.
        per_s: Creates a second in the settings; 0: unlimited.
    """
    if not latencies_s:
        return Check("speed", Verdict.SKIPPED, "no listing succeeded to measure")
    typical_s = median(latencies_s)
    reachable = lanes / max(typical_s, 1e-4)
    detail = f"a request took {_ms(typical_s)}, at most {_ms(max(latencies_s))}"
    if not per_s:
        return Check("speed", Verdict.PASSED, detail)
    needed = math.ceil(per_s * typical_s * _SPARE_LANES)
    if reachable >= per_s:
        enough = f"{per_s:g} creates a second need {needed} at a time, and {lanes} are allowed"
        return Check("speed", Verdict.PASSED, f"{detail}: {enough}")
    short = f"{lanes} at a time reach {reachable:,.1f} creates a second, but {per_s:g} are asked for"
    return Check("speed", Verdict.WARNED, f"{detail}: {short}", f"Give --concurrency {needed}.")


def folder_check(folder: Path, trial: FolderTrial) -> Check:
    """Judge whether a folder can hold a ledger."""
    detail = f"{folder} can hold a ledger: a commit took {_ms(trial.commit_s)}"
    if trial.network_file_system:
        return Check(
            "ledger",
            Verdict.WARNED,
            f"{detail}; but its file system is on the network ({trial.network_file_system}), where SQLite is not safe",
            "Put the ledger on a disk of this machine with --ledger.",
        )
    if trial.commit_s > _SLOW_COMMIT_S:
        return Check(
            "ledger", Verdict.WARNED, f"{detail}, which is slow", "Put the ledger on a faster disk with --ledger."
        )
    return Check("ledger", Verdict.PASSED, detail)


def disk_check(free_bytes: int) -> Check:
    """Judge whether there is room for a ledger."""
    detail = f"{free_bytes / (1 << 30):,.1f} GiB free, room for some {_round(free_bytes // _ROW_BYTES):,} rows"
    if free_bytes >= _LITTLE_ROOM_BYTES:
        return Check("disk", Verdict.PASSED, detail)
    verdict = Verdict.WARNED if free_bytes >= _NO_ROOM_BYTES else Verdict.FAILED
    return Check("disk", verdict, detail, "Make room, or put the ledger on another disk with --ledger.")


def _said(failure: Failure) -> str:
    return f"{failure.code}: {failure.message}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"  # noqa: PLR2004 - one digit more


def _round(rows: int) -> int:
    """Keep two digits: it is an estimate."""
    return int(float(f"{rows:.1e}"))
