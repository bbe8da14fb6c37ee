"""What a segment is made of: JSON lines, an array for each claim and outcome, and an object of when requests left.

An outcome has its key and its texts with it, so that a machine that goes on needs nothing else. Of requests only their
times are shipped, in tenths of a millisecond: they are what proves that no window was too full.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson

from bulk.model import ChangeKind, OtaModule, Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk.model import Attempt

__all__ = ["UNITS_PER_S", "Record", "Sends", "decoded", "encoded", "lines_of", "records_in", "sends_in"]

UNITS_PER_S = 10_000
"""Times of requests are whole numbers, by the clock that the pace goes by."""

Record: TypeAlias = "list[Any]"
"""``[line, account, product_key, module_name, outcome, at, code, message, request_id, attempts, recovered, in_doubt,
owned, alias_name, desc]``; what is not known of code, message, request_id and owned is an empty text."""

_FIELDS = 15
_SENT = "sent"


class Sends:
    """When requests left, by account and action, since the last segment."""

    def __init__(self) -> None:
        """Begin without any."""
        self._sent: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))

    def __bool__(self) -> bool:
        """Whether anything is to be shipped."""
        return bool(self._sent)

    def note(self, attempt: Attempt) -> None:
        """Take note of a request, if it left."""
        if attempt.left_s is not None:
            self._sent[attempt.account][str(attempt.action)].append(round(attempt.left_s * UNITS_PER_S))

    def taken(self) -> bytes:
        """Return the line of a segment, and begin anew."""
        line = orjson.dumps({_SENT: self._sent}, option=orjson.OPT_APPEND_NEWLINE) if self._sent else b""
        self._sent.clear()
        return line


def encoded(settlements: Iterable[Settlement]) -> bytes:
    """Return claims and outcomes as JSON lines, in their order."""
    return b"".join([_line(_record(one)) for one in settlements])


def _record(one: Settlement) -> Record | dict[str, Any]:
    module = one.module
    record = [
        one.line,
        one.account,
        module.product_key,
        module.module_name,
        one.outcome,
        one.at,
        one.code or "",
        one.message or "",
        one.request_id or "",
        one.attempts,
        int(one.recovered),
        int(one.in_doubt),
        "" if one.owned is None else int(one.owned),
        module.alias_name,
        module.desc,
    ]
    more = {
        "kind": one.kind,
        "found": _texts(one.found),
        "written": _texts(one.written),
        "approved": one.approved,
        "frees_slot_for": one.frees_slot_for,
    }
    is_plain = one.kind is ChangeKind.CREATE and not any([*more.values()][1:])
    return record if is_plain else {"record": record, **more}


def _texts(module: OtaModule | None) -> dict[str, Any] | None:
    return {key: value for key, value in asdict(module).items() if key != "gmt_create"} if module else None


def _line(said: Record | Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # a message may hold what is no Unicode
        return json.dumps(said).encode() + b"\n"


def decoded(data: bytes) -> list[Settlement]:
    """Return the claims and outcomes of a segment.

    Raises:
        ValueError: It is no segment.
    """
    try:
        return [_settlement(said) for said in lines_of(data) if _SENT not in said]
    except (TypeError, KeyError, IndexError) as exc:
        raise ValueError(f"a segment can't be read: {exc}") from exc


def records_in(said: Iterable[Any]) -> list[Record]:
    """Return the claims and outcomes among what `lines_of` gave, as records.

    Raises:
        ValueError: One is none.
    """
    found = [one["record"] if type(one) is dict else one for one in said if type(one) is list or _SENT not in one]
    if any(len(record) != _FIELDS for record in found):
        raise ValueError("a segment has a line that is no record")
    return found


def sends_in(said: Iterable[Any]) -> Iterable[tuple[str, str, Sequence[int]]]:
    """Yield account, action and the times of its requests, of what `lines_of` gave."""
    for one in said:
        if type(one) is dict and _SENT in one:
            for account, actions in one[_SENT].items():
                for action, times in actions.items():
                    yield account, action, times


def lines_of(data: bytes) -> list[Any]:
    """Return what the lines say; all at once is quicker than one by one.

    Raises:
        ValueError: They are no JSON.
    """
    try:
        said: list[Any] = orjson.loads(b"[" + data.rstrip(b"\n").replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        said = [json.loads(line) for line in data.split(b"\n") if line]
    return said


def _settlement(said: Any) -> Settlement:  # noqa: ANN401 - as JSON has it
    more: dict[str, Any] = {}
    if isinstance(said, dict):
        found, written = said["found"], said["written"]
        more = {
            "kind": ChangeKind(said["kind"]),
            "found": OtaModule(**found) if found else None,
            "written": OtaModule(**written) if written else None,
            "approved": said["approved"],
            "frees_slot_for": said["frees_slot_for"],
        }
        said = said["record"]
    line, account, product_key, name, outcome, at, code, message, request_id, *rest = said
    attempts, recovered, in_doubt, owned, alias, desc = rest
    return Settlement(
        line=line,
        module=OtaModule(product_key, name, alias, desc),
        outcome=Outcome(outcome),
        at=at,
        code=code or None,
        message=message or None,
        request_id=request_id or None,
        attempts=attempts,
        recovered=bool(recovered),
        in_doubt=bool(in_doubt),
        account=account,
        owned=None if owned == "" else bool(owned),
        **more,
    )
