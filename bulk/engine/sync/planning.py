"""`bulk plan --sync`: look, decide and judge as a sync would, in a copy of the ledger, and change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bulk.engine.preparing import Prepared
from bulk.engine.sessions.connect import ledger_path
from bulk.engine.stop import StopSignal
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.plan_file import write_plan
from bulk.engine.sync.run import Sync
from bulk.engine.threads import held, in_thread
from bulk.events import RunEnded, ignore
from bulk.ledger.store import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.events import Event, Listener
    from bulk.ledger.planning import PlannedEntry
    from bulk.model import Summary
    from bulk.settings import Settings

__all__ = ["SyncPlan", "plan_sync", "sync_plan_json"]

_EXAMPLES = 3
"""Changes of each kind that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncPlan:
    """What a sync would do now."""

    summary: Summary
    """Figures of the plan; nothing of it has been carried out."""

    ledger: str
    planned: Mapping[str, int]
    """Kind → changes, including those that wait for a person."""

    withheld: Mapping[str, int]
    """Reason → changes that wait for a person."""

    examples: tuple[PlannedEntry, ...]
    surplus: Mapping[str, int]
    """Reason → our modules that left the file and stay on the platform."""

    @property
    def exit_code(self) -> int:
        """0: everything can match the file; 5: something waits for a person; 1: something can't match the file."""
        return self.summary.exit_code


async def plan_sync(
    input_name: str,
    settings: Settings,
    options: SyncOptions | None = None,
    *,
    output: Path | None = None,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> SyncPlan:
    """Say what a sync would do now. Nothing is changed, neither on the platform nor in the ledger.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: As for a sync.
        options: As for a sync.
        output: The plan's file, for `bulk apply`; ``None``: no file. A plan that was stopped writes no file either.
        credentials: Keys to sign listings with.
        listener: Receives what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used.
        InputError: As for a sync.
        LedgerError: The ledger exists, and can't be read or belongs to another target.
        OSError: The plan's file can't be written.
    """
    options = options or SyncOptions()
    options.check(settings)
    path = ledger_path(input_name, settings)
    stop = stop or StopSignal()
    prepared = await Prepared.of(settings, credentials, listener=listener, stop=stop, syncs=True)
    async with held(Ledger.scratch, path, targets=prepared.targets) as ledger:
        job = Sync(
            input_name=input_name,
            settings=settings,
            accounts=prepared.accounts,
            product_map=prepared.product_map,
            ledger=ledger,
            listener=_without_a_run(listener),
            stop=stop,
            parts=prepared.parts,
            syncs=True,
            command="sync",
            options=options,
            is_plan=True,
            shown_ledger=path,
        )
        summary = await job.run(prepared.keys)
        return await in_thread(_gather, job, summary, path, output)


def _without_a_run(listener: Listener) -> Listener:
    """Return a listener that does not receive the events of a run: a plan is no run."""

    def tell(event: Event) -> None:
        if not isinstance(event, RunEnded):
            listener(event)

    return tell


def _gather(job: Sync, summary: Summary, path: Path, output: Path | None) -> SyncPlan:
    planned: Counter[str] = Counter()
    withheld: Counter[str] = Counter()
    for kind, reason, count in job.decided.counted():
        planned[kind] += count
        if reason is not None:
            withheld[reason] += count
    examples = [entry for kind in planned for entry in islice(job.decided.entries(kind=kind), _EXAMPLES)]
    if output is not None and summary.stopped is None:
        write_plan(output, job.header(ledger=path), job.decided.entries())
    return SyncPlan(
        summary=summary,
        ledger=str(path),
        planned=dict(planned),
        withheld=dict(withheld),
        examples=tuple(examples),
        surplus=job.surplus(),
    )


def sync_plan_json(plan: SyncPlan) -> dict[str, object]:
    """Return the object that `bulk plan --sync --json` prints."""
    summary = plan.summary
    return {
        "input": summary.input,
        "ledger": plan.ledger,
        "target": summary.target,
        "rows": summary.rows,
        "planned": dict(plan.planned),
        "withheld": dict(plan.withheld),
        "surplus": dict(plan.surplus),
        "requests": dict(summary.requests),
        "notes": list(summary.notes),
        "examples": [entry._asdict() for entry in plan.examples],
        "stopped": summary.stopped,
        "exit_code": plan.exit_code,
    }
