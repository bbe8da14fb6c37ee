"""The page's sections of syncs: what waits for a person, what was changed, what stays. Pure: no I/O, no markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bulk.control.reasons import kept_words, withheld_words
from bulk.report.approvals import change_noun, change_words, waiting_of
from bulk.report.wording import task_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from bulk.ledger.views.status import RunRecord
    from bulk.ledger.views.sync import ModuleChange
    from bulk.report.approvals import Waiting
    from bulk.report.html.content import Content

__all__ = ["sync_view"]


def sync_view(content: Content, *, now: datetime, program: Sequence[str]) -> dict[str, Any] | None:
    """Return the template's values for syncs; ``None``: no sync has worked on this ledger.

    Args:
        content: What was read from the ledger.
        now: Time by which a plan is too old.
        program: What starts `bulk` here.
    """
    status, record = content.status, content.sync
    runs = [run for run in status.runs if run.command != "run"]
    if not runs:
        return None
    waiting = waiting_of(status.approvals, now=now, program=program, sandbox=status.sandbox_options)
    return {
        "plans": [_plan(one) for one in waiting],
        "waiting_in_all": sum(one.changes.total() for one in waiting),
        "waiting": _groups(record.waiting),
        "waiting_shown": len(record.waiting),
        "changed_by": _changed_by(record.changed_by, runs),
        "changed": _groups(record.changed),
        "surplus": [
            {
                "reason": staying.reason.replace("_", " "),
                "modules": staying.modules,
                "words": kept_words(staying.reason),
                "example": f"{staying.product_key} {staying.module_name}",
                "account": staying.account,
            }
            for staying in record.surplus
        ],
    }


def _plan(one: Waiting) -> dict[str, Any]:
    return {
        "changes": change_words(one.changes),
        "until": f"{one.until:%Y-%m-%d %H:%M} UTC",
        "is_old": one.is_old,
        "command": one.command,
        "needs_settings": one.needs_settings,
        "plan": one.plan,
        "reasons": [{"words": withheld_words(reason), "count": count} for reason, count in one.reasons.most_common()],
        "accounts": [
            {"name": name, "changes": change_words(changes)} for name, changes in one.accounts.items() if name
        ],
    }


def _changed_by(run_id: str | None, runs: Sequence[RunRecord]) -> dict[str, str] | None:
    """Return the last run that updated or deleted anything, with its own counts."""
    run = next((run for run in runs if run.run_id == run_id), None)
    if run is None:
        return None
    counts = orjson.loads(run.summary).get("changes", {}) if run.summary else {}
    return {
        "run_id": run.run_id,
        "task": task_words(run),
        "counts": ", ".join(f"{count:,} {what}" for what, count in counts.items()) or "it was cut off",
    }


def _groups(changes: Iterable[ModuleChange]) -> list[dict[str, Any]]:
    """Return the changes by kind and reason: each reason is said once."""
    groups: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for change in changes:
        groups.setdefault((change.kind, change.withheld), []).append(_change(change))
    return [
        {
            "kind": f"{change_noun(kind)}s".capitalize(),
            "why": withheld_words(withheld) if withheld else None,
            "changes": group,
        }
        for (kind, withheld), group in groups.items()
    ]


def _change(change: ModuleChange) -> dict[str, Any]:
    return {
        "account": change.account,
        "product_key": change.product_key,
        "module_name": change.module_name,
        "line": change.line,
        "texts": list(_texts(change)),
    }


def _texts(change: ModuleChange) -> Iterator[dict[str, str | None]]:
    """Yield the fields that differ; of a new, deleted or adopted module, those that it has."""
    fields = (
        ("AliasName", change.found_alias, change.wanted_alias),
        ("Desc", change.found_desc, change.wanted_desc),
    )
    for name, before, after in fields:
        if change.kind == "update" and (before or "") != (after or ""):
            yield {"field": name, "before": before or "nothing", "after": after or "nothing"}
        elif change.kind != "update" and (text := after if change.kind == "create" else before):
            yield {"field": name, "before": text, "after": None}
