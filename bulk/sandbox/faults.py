"""What can be made to go wrong, and how it is asked for. Pure: what a fault does to a connection is in `delivery`.

A SPEC is a list of parts, separated by commas:

    latency=20-80ms      every request takes that long; also latency=50ms; update:latency=1s for one ACTION
    clock-skew=+20m      the platform's clock is ahead; -30s: it is behind
    retry-after=300ms    throttled replies ask for that pause in x-acs-retry-after
    hang-for=60s         how long a hanging request hangs, unless its sender leaves first
    slow-for=2s          how long a slow body takes

    [ACTION:]FAULT[-before|-after]=RATE
        ACTION   create, list, update, delete, packages, product, products, role or identity; without it: every action
        -before  the request is not carried out;  -after: it is, and the reply suffers
        RATE     5% of the requests, or 3x: the first three of them; 100%@50: from the fiftieth on

    throttle                             Throttling.User, HTTP 400; never carried out
    http500 http502 http503 http504      that status (before, unless -after)
    nonce-used                           SignatureNonceUsed (before, unless -after)
    code:CODE                            that error code (before, unless -after); iot.* as business error
    redirect                             a redirect elsewhere (before, unless -after)
    reset                                connection reset (after, unless -before)
    hang                                 no reply (after, unless -before)
    truncate html empty badjson          a reply cut short, a proxy's page, no body, broken JSON (after, unless -before)
    slow-body huge-body                  a reply that drips, or of 64 MiB; always carried out
    refuse                               the connection is aborted as soon as it is made; takes no ACTION

Example: latency=20-80ms,throttle=5%,create:reset-after=1%,list:http503=3x,code:iot.system.SystemException=1%
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bulk.errors import SettingsError
from bulk.sandbox.actions import ACTION_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Effect", "Fault", "FaultPlan", "read_rate"]


class Effect(StrEnum):
    """What a fault does; the values are the names of the grammar."""

    THROTTLE = "throttle"
    HTTP500 = "http500"
    HTTP502 = "http502"
    HTTP503 = "http503"
    HTTP504 = "http504"
    NONCE_USED = "nonce-used"
    CODE = "code"
    REDIRECT = "redirect"
    RESET = "reset"
    HANG = "hang"
    TRUNCATE = "truncate"
    HTML = "html"
    EMPTY = "empty"
    BADJSON = "badjson"
    SLOW_BODY = "slow-body"
    HUGE_BODY = "huge-body"
    REFUSE = "refuse"


_DEFAULT_AFTER: Final = frozenset(
    {
        Effect.RESET,
        Effect.HANG,
        Effect.TRUNCATE,
        Effect.HTML,
        Effect.EMPTY,
        Effect.BADJSON,
        Effect.SLOW_BODY,
        Effect.HUGE_BODY,
    }
)
_NEVER_CARRIED_OUT: Final = frozenset({Effect.THROTTLE, Effect.REFUSE})
_ALWAYS_CARRIED_OUT: Final = frozenset({Effect.SLOW_BODY, Effect.HUGE_BODY})
"""These arrive complete in the end, so a reply that says success must be true."""

_SETTINGS: Final = {
    "latency": "latency=20-80ms",
    "clock-skew": "clock-skew=+20m",
    "retry-after": "retry-after=300ms",
    "hang-for": "hang-for=60s",
    "slow-for": "slow-for=2s",
}
"""Settings of a plan, each with an example."""
_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0}
_DURATION: Final = re.compile(r"(?P<sign>[+-]?)(?P<low>\d+(?:\.\d+)?)(?:-(?P<high>\d+(?:\.\d+)?))?(?P<unit>ms|s|m)")
_RATE: Final = re.compile(r"(?:(?P<percent>\d+(?:\.\d+)?)%|(?P<times>\d+)x)(?:@(?P<first>\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of failure, and which requests get it."""

    effect: Effect
    carried_out: bool
    """Whether the platform still carries the request out."""

    action: str | None = None
    """The only action that gets it; ``None``: every action."""

    code: str = ""
    """The error code of ``CODE``."""

    share: float = 0.0
    """Of the requests, in [0, 1]; unused where ``times`` is set."""

    times: int | None = None
    """So many requests get it, one after the other; ``None``: as ``share`` says."""

    first: int = 1
    """Number of the first matching request that may get it, starting at 1."""

    @property
    def name(self) -> str:
        """What it is called in the sandbox's counts: ``reset-after``, ``code:iot.system.SystemException-before``."""
        code = f":{self.code}" if self.code else ""
        return f"{self.effect}{code}-{'after' if self.carried_out else 'before'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Everything that must go wrong; without arguments, nothing."""

    faults: tuple[Fault, ...] = ()
    latency_s: tuple[float, float] = (0.0, 0.0)
    """Shortest and longest time that a request takes, in seconds; drawn evenly, half of it before it is carried out."""

    latencies_s: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Likewise, for the actions that have a latency of their own."""

    clock_skew_s: float = 0.0
    """The sandbox's clock minus the true time, in seconds."""

    retry_after_s: float | None = None
    """What throttled replies ask for in ``x-acs-retry-after``, in seconds; ``None``: they don't."""

    hang_s: float = 60.0
    slow_s: float = 2.0

    def __post_init__(self) -> None:
        """Refuse shares that are impossible together.

        Raises:
            SettingsError: Some action would get more than one fault a request.
        """
        for action in ACTION_NAMES.values():
            total = sum(fault.share for fault in self.faults if fault.action in (None, action))
            if total > 1.0 + 1e-9:
                raise SettingsError(f"--faults: the shares for {action} add up to {total:.0%}; lower them to 100%")

    @property
    def is_empty(self) -> bool:
        """Whether every request is answered at once and correctly."""
        return not (self.faults or self.latencies_s or any(self.latency_s))

    def latency_of(self, action: str) -> tuple[float, float]:
        """Return the shortest and longest time that a request for an action takes, in seconds."""
        return self.latencies_s.get(action, self.latency_s)

    @classmethod
    def parse(cls, spec: str) -> FaultPlan:
        """Read a SPEC, in the grammar of this module's docstring.

        Raises:
            SettingsError: A part can't be read; names the part and the nearest name.
        """
        faults: list[Fault] = []
        settings: dict[str, tuple[float, float]] = {}
        latencies: dict[str, tuple[float, float]] = {}
        for part in filter(None, (part.strip() for part in spec.split(","))):
            name, separator, value = part.partition("=")
            if not separator:
                raise SettingsError(f"--faults: {part!r} has no value; write {part}=5% or {part}=3x")
            prefix, _, setting = name.partition(":")
            if setting == "latency" and prefix in ACTION_NAMES:
                latencies[ACTION_NAMES[prefix]] = _duration_s(setting, value)
            elif name in _SETTINGS:
                settings[name] = _duration_s(name, value)
            else:
                faults.append(_fault(name, value))
        low_high = (0.0, 0.0)
        return cls(
            faults=tuple(faults),
            latency_s=settings.get("latency", low_high),
            latencies_s=latencies,
            clock_skew_s=settings.get("clock-skew", low_high)[0],
            retry_after_s=settings["retry-after"][0] if "retry-after" in settings else None,
            hang_s=settings.get("hang-for", (60.0,))[0],
            slow_s=settings.get("slow-for", (2.0,))[0],
        )


def _duration_s(name: str, value: str) -> tuple[float, float]:
    match = _DURATION.fullmatch(value)
    if match is None or (name != "latency" and match["high"]) or (name != "clock-skew" and match["sign"]):
        raise SettingsError(f"--faults: {name}={value} is not a duration; write {_SETTINGS[name]}")
    unit_s = _UNITS_S[match["unit"]] * (-1 if match["sign"] == "-" else 1)
    low, high = float(match["low"]), float(match["high"] or match["low"])
    return min(low, high) * unit_s, max(low, high) * unit_s


def _fault(name: str, value: str) -> Fault:
    effect, action, code, carried_out = _kind(name)
    share, times, first = read_rate("--faults", name, value)
    return Fault(
        effect=effect, carried_out=carried_out, action=action, code=code, share=share, times=times, first=first
    )


def read_rate(option: str, name: str, value: str) -> tuple[float, int | None, int]:
    """Read how often something happens: ``5%``, ``3x``, ``100%@50``.

    Args:
        option: The option that has it, for the message.
        name: What happens.
        value: How often.

    Returns:
        The share in [0, 1]; how many times, ``None`` where it is a share; the number of the first one, from 1.

    Raises:
        SettingsError: It is no rate.
    """
    rate = _RATE.fullmatch(value)
    share = float(rate["percent"] or 0) / 100 if rate else 0.0
    if rate is None or share > 1:
        raise SettingsError(f"{option}: {name}={value} is no rate; write {name}=5% or {name}=3x")
    return share, int(rate["times"]) if rate["times"] else None, int(rate["first"] or 1)


def _kind(name: str) -> tuple[Effect, str | None, str, bool]:
    prefix, _, rest = name.partition(":")
    action = ACTION_NAMES.get(prefix)
    bare, side = _side(rest if action else name)
    word, _, code = bare.partition(":")
    if word not in list(Effect) or (word == Effect.CODE) != bool(code):
        raise SettingsError(f"--faults: {name!r} is no fault{_nearest(name)}; `bulk sandbox --help` lists them all")
    effect = Effect(word)
    if (effect in _NEVER_CARRIED_OUT and side == "after") or (effect in _ALWAYS_CARRIED_OUT and side == "before"):
        raise SettingsError(f"--faults: {name!r}: {word} can't happen {side}; leave -{side} away")
    if effect is Effect.REFUSE and action:
        raise SettingsError(f"--faults: {name!r}: a connection is refused before its action is known; write refuse")
    return effect, action, code, side == "after" or (not side and effect in _DEFAULT_AFTER)


def _side(name: str) -> tuple[str, str]:
    for side in ("before", "after"):
        if name.endswith(f"-{side}"):
            return name.removesuffix(f"-{side}"), side
    return name, ""


def _nearest(name: str) -> str:
    sides = [f"{effect}-{side}" for effect in Effect for side in ("before", "after")]
    known = [*Effect, *_SETTINGS, *sides, *(f"{action}:{effect}" for action in ACTION_NAMES for effect in Effect)]
    nearest = get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; the nearest is {nearest[0]}" if nearest else ""
