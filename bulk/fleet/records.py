"""The format of a segment: JSON lines, first a head, then an array for each claim and each outcome.

The head says which lines were claimed, how many bytes their records take, and when requests left. So a reader of all
segments can skip claims that have an outcome, which are nearly all of them. An outcome contains its key and its texts,
so that a machine that continues needs nothing else. For requests, only the times are shipped, in tenths of a
millisecond: they prove that no window was too full.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import orjson

from bulk.ledger.times import iso_utc
from bulk.model import ChangeKind, OtaModule, Outcome, Settlement
from bulk.model.stamps import utc_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk.model import Attempt

__all__ = ["UNITS_PER_S", "Record", "Segment", "Sends", "decoded", "encoded", "lines_of", "opened", "records_of"]

UNITS_PER_S = 10_000
"""Times of requests are whole numbers of this unit, by the clock of the pace."""

Record: TypeAlias = "list[Any]"
"""``[line, account, product_key, module_name, alias_name, desc, request_id, attempts, recovered, in_doubt, settled_at,
outcome, code, message, owned]``; an unknown text or ``owned`` is empty."""

_FIELDS = 15
_HALF_A_MILLISECOND_S = 0.0005


class Segment(NamedTuple):
    """The records of one second of a shard's work."""

    claimed: list[int]
    """Lines of the input whose changes may have left."""

    claims: bytes
    """Their records; see `records_of`."""

    records: list[Record]
    """Outcomes of modules, in this order, and claims that follow an outcome in the same second."""

    sent: Mapping[str, Mapping[str, Sequence[int]]]
    """Account → action → when requests left."""


class Sends:
    """When requests left, by account and action, since the last segment."""

    def __init__(self) -> None:
        """Begin without requests."""
        self._sent: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def __bool__(self) -> bool:
        """Whether there is anything to ship."""
        return bool(self._sent)

    def note(self, attempt: Attempt) -> None:
        """Note a request, if it left."""
        if attempt.left_s is not None:
            self._sent[attempt.account][str(attempt.action)].append(round(attempt.left_s * UNITS_PER_S))

    def taken(self) -> Mapping[str, Mapping[str, Sequence[int]]]:
        """Return all, and start again without requests."""
        sent, self._sent = self._sent, defaultdict(lambda: defaultdict(list))
        return sent


def encoded(settlements: Iterable[Settlement], sends: Sends | None = None) -> bytes:
    """Return a segment of claims and outcomes; records of one module keep their order."""
    claimed: dict[int, bytes] = {}
    settled: set[int | None] = {None}
    others = []
    for one in settlements:
        line = _line(_record(one))
        if one.outcome is Outcome.SENDING and one.line not in settled and one.found is None:
            claimed[one.line or 0] = line
        else:
            others.append(line)
            settled.add(one.line)
    claims = b"".join(claimed.values())
    head = {"claimed": [*claimed], "bytes": len(claims), "sent": sends.taken() if sends else {}}
    return b"".join([_line(head), claims, *others])


def _record(one: Settlement) -> Record | dict[str, Any]:
    module = one.module
    record = [
        one.line,
        one.account,
        module.product_key,
        module.module_name,
        module.alias_name or "",
        module.desc or "",
        one.request_id or "",
        one.attempts,
        int(one.recovered),
        int(one.in_doubt),
        iso_utc(one.at),
        one.outcome,
        one.code or "",
        one.message or "",
        "" if one.owned is None else int(one.owned),
    ]
    more = {
        "kind": one.kind,
        "found": _texts(one.found),
        "written": _texts(one.written),
        "approved": one.approved,
        "frees_slot_for": one.frees_slot_for,
    }
    is_plain = one.kind is ChangeKind.CREATE and not any([*more.values()][1:])
    return record if is_plain else {"record": record, "wanted": _texts(module), **more}


def _texts(module: OtaModule | None) -> dict[str, Any] | None:
    return {key: value for key, value in asdict(module).items() if key != "gmt_create"} if module else None


def _line(said: Record | Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a message may contain invalid Unicode
        return json.dumps(said).encode() + b"\n"


def decoded(data: bytes) -> list[Settlement]:
    """Return the claims and outcomes of a segment.

    Raises:
        ValueError: It is no segment.
    """
    try:
        head, _, rest = data.partition(b"\n")
        size = orjson.loads(head)["bytes"]
        return [_settlement(said) for part in (rest[:size], rest[size:]) for said in lines_of(part)]
    except (TypeError, KeyError, IndexError) as exc:
        raise ValueError(f"a segment can't be read: {exc}") from exc


def opened(data: bytes) -> Segment:
    """Return the contents of a segment, its claims not decoded.

    Raises:
        ValueError: It is no segment.
    """
    try:
        head, _, rest = data.partition(b"\n")
        said = orjson.loads(head)
        size = said["bytes"]
        return Segment(said["claimed"], rest[:size], records_of(rest[size:]), said["sent"])
    except (TypeError, KeyError, AttributeError) as exc:
        raise ValueError(f"a segment can't be read: {exc}") from exc


def records_of(data: bytes) -> list[Record]:
    """Return lines of a segment as records.

    Raises:
        ValueError: A line is no record.
    """
    found = [one["record"] if type(one) is dict else one for one in lines_of(data)]
    if any(len(record) != _FIELDS for record in found):
        raise ValueError("a line of a segment is no record")
    return found


def lines_of(data: bytes) -> list[Any]:
    """Decode JSON lines; all at once is faster than one by one.

    Raises:
        ValueError: They are not JSON.
    """
    try:
        said: list[Any] = orjson.loads(b"[" + data.removesuffix(b"\n").replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        said = [json.loads(line) for line in data.split(b"\n") if line]
    return said


def _settlement(said: Any) -> Settlement:  # noqa: ANN401 - as JSON has it
    more: dict[str, Any] = {}
    if isinstance(said, dict):
        texts = {name: OtaModule(**said[name]) if said[name] else None for name in ("found", "written")}
        rest = {name: said[name] for name in ("approved", "frees_slot_for")}
        more = {"kind": ChangeKind(said["kind"]), "module": OtaModule(**said["wanted"]), **texts, **rest}
        said = said["record"]
    line, account, product_key, name, alias, desc, request_id, attempts, recovered, in_doubt, at, *rest = said
    outcome, code, message, owned = rest
    known = {
        "line": line,
        "module": OtaModule(product_key, name, alias or None, desc or None),
        "outcome": Outcome(outcome),
        "at": _seconds(at),
        "code": code or None,
        "message": message or None,
        "request_id": request_id or None,
        "attempts": attempts,
        "recovered": bool(recovered),
        "in_doubt": bool(in_doubt),
        "account": account,
        "owned": None if owned == "" else bool(owned),
    }
    return Settlement(**{**known, **more})


def _seconds(at: str) -> float:
    """Return the time that `iso_utc` wrote. It cuts off to milliseconds; a time that is read must not lose another."""
    seconds = utc_seconds(at) or 0.0
    return seconds if iso_utc(seconds) == at else seconds + _HALF_A_MILLISECOND_S
