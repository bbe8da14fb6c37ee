"""The fields of log events: plain values of what a run announces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk import events
    from bulk.model import Action, InputFound

__all__ = ["attempt_fields", "found_fields", "rate_fields", "settled_fields", "some"]


def rate_fields(rates: Mapping[Action, float]) -> dict[str, float]:
    """Return the rates asked for, each under the name of its figure."""
    return {f"{action.figure}_per_s": per_s for action, per_s in rates.items()}


def some(outcomes: Mapping[str, int]) -> dict[str, int]:
    """Return the outcomes that any row has."""
    return {name: rows for name, rows in outcomes.items() if rows}


def settled_fields(event: events.RowSettled) -> dict[str, object]:
    """Return what is logged of a row's outcome."""
    settlement = event.settlement
    return {
        "line": settlement.line,
        "product_key": settlement.module.product_key,
        "module_name": settlement.module.module_name,
        "outcome": str(settlement.outcome),
        "code": settlement.code,
        "request_id": settlement.request_id,
        "attempts": settlement.attempts,
    }


def found_fields(found: InputFound) -> dict[str, object]:
    """Return what is logged of an input."""
    return {
        "format": found.format,
        "encoding": found.encoding,
        "delimiter": found.delimiter,
        "header_line": found.header_line,
        "columns": dict(found.columns),
        "notices": list(found.notices),
        "sheet": found.sheet,
    }


def attempt_fields(event: events.AttemptMade) -> dict[str, object]:
    """Return what is logged of a request."""
    attempt = event.attempt
    return {
        "action": str(attempt.action),
        "product_key": attempt.product_key,
        "module_name": attempt.module_name,
        "http_status": attempt.http_status,
        "code": attempt.code,
        "request_id": attempt.request_id,
        "latency_s": round(attempt.latency_s, 4),
    }
