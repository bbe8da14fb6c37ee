from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bulk.control.reconcile import Kept
from bulk.events import AccountStart, Event, RowSettled, RunEnded
from bulk.model import AccountSummary, Action, ChangeKind, OtaModule, Outcome, Settlement, SyncFigures
from bulk.report.metrics import METRICS, RunMetrics, metrics_file
from bulk.report.sync_metrics import SYNC_METRICS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import Summary

NOW = 1_800_000_000.0
CONVERGED = "bulk_last_converged_timestamp_seconds"
RATES = dict.fromkeys((Action.CREATE, Action.LIST, Action.UPDATE, Action.DELETE), 10.0)


def figures_of(
    *,
    converged: bool = True,
    updated: int = 0,
    withheld: int = 0,
    contested: int = 0,
    surplus: dict[str, int] | None = None,
) -> SyncFigures:
    nothing = {kind.value: 0 for kind in ChangeKind}
    return SyncFigures(
        converged=converged,
        changes=nothing | {"update": updated},
        withheld=nothing | {"delete": withheld},
        contested=contested,
        surplus=surplus or {},
    )


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the samples of syncs: (name, account, kind or reason) → value; labels that are missing are left out."""
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "task")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if family.name in SYNC_METRICS
    }


def shown(metrics: RunMetrics) -> dict[tuple[str, ...], float]:
    registry = CollectorRegistry()
    registry.register(metrics)
    return samples(generate_latest(registry).decode())


def fail(exc: OSError) -> None:
    raise AssertionError(exc)


def settled(outcome: Outcome, *, code: str | None = None, account: str = "") -> Event:
    module = OtaModule("a1", "m")
    return RowSettled(Settlement(line=2, module=module, outcome=outcome, code=code, at=0.0, account=account))


@pytest.fixture
def metrics() -> RunMetrics:
    return RunMetrics("nightly", clock=lambda: NOW)


@pytest.fixture
def ended(make_summary: Callable[..., Summary]) -> Callable[..., RunEnded]:
    def make(figures: dict[str, SyncFigures], *others: str) -> RunEnded:
        names = [name for name in (*figures, *others) if name]
        account = AccountSummary(outcomes={}, requests={}, throttled=0, stopped=None, exit_code=0)
        changes = {"created": 0, "updated": 0, "deleted": 0}
        return RunEnded(
            make_summary(exit_code=0, changes=changes, figures=figures, accounts=dict.fromkeys(names, account))
        )

    return make


def test_sync_tells_changes_by_kind_while_it_is_at_work(
    metrics: RunMetrics, make_started: Callable[..., Event]
) -> None:
    metrics(settled(Outcome.UPDATED))  # before the start is told, as where a million rows are counted
    metrics(make_started(rates=RATES, syncs=True))
    for event in (settled(Outcome.UPDATED), settled(Outcome.DELETED), settled(Outcome.DELETED, code="gone")):
        metrics(event)

    found = {key[1:]: value for key, value in shown(metrics).items() if key[0] == "bulk_changes_total"}

    assert found == {("create",): 0, ("update",): 2, ("delete",): 1}


def test_run_has_no_figures_of_a_sync(metrics: RunMetrics, make_started: Callable[..., Event]) -> None:
    metrics(make_started())
    metrics(settled(Outcome.CREATED))

    assert shown(metrics) == {}


def test_sync_that_ended_tells_what_it_left(metrics: RunMetrics, ended: Callable[..., RunEnded]) -> None:
    metrics(ended({"": figures_of(updated=3, withheld=7, contested=2, surplus={"package": 4})}))

    found = shown(metrics)

    assert found["bulk_withheld", "delete"] == 7
    assert found["bulk_withheld", "create"] == 0
    assert found["bulk_contested",] == 2
    assert {key[1]: value for key, value in found.items() if key[0] == "bulk_surplus"} == {
        **dict.fromkeys(map(str, Kept), 0),
        "package": 4,
    }
    assert found[CONVERGED,] == NOW


def test_night_that_left_something_is_not_the_last_converged_one(
    tmp_path: Path, ended: Callable[..., RunEnded]
) -> None:
    path = tmp_path / "nightly.prom"
    with metrics_file(path, complain=fail) as metrics:
        metrics(ended({"": figures_of()}))
    before = samples(path.read_text())[CONVERGED,]

    with metrics_file(path, complain=fail) as metrics:
        metrics(ended({"": figures_of(converged=False)}))

    assert samples(path.read_text())[CONVERGED,] == before > 0


def test_what_waits_is_told_on_while_the_next_night_is_at_work(
    tmp_path: Path, ended: Callable[..., RunEnded], make_started: Callable[..., Event]
) -> None:
    path = tmp_path / "nightly.prom"
    with metrics_file(path, complain=fail) as metrics:
        metrics(ended({"": figures_of(withheld=7, updated=5, contested=1, surplus={"changed": 2})}))
    with metrics_file(path, complain=fail) as metrics:
        metrics(make_started(rates=RATES, syncs=True))

        at_work = samples(path.read_text())

    assert at_work["bulk_withheld", "delete"] == 7
    assert at_work["bulk_contested",] == 1
    assert at_work["bulk_surplus", "changed"] == 2
    assert not [key for key in at_work if key[0] == "bulk_changes_total"], "changes are those of this run"


def test_each_account_has_figures_of_its_own(
    metrics: RunMetrics, make_started: Callable[..., Event], ended: Callable[..., RunEnded]
) -> None:
    start = AccountStart(target="https://h (tuya)", rows=4, outcomes={"created": 4}, rates=RATES)
    metrics(make_started(rates=RATES, syncs=True, accounts={"cn": start, "eu": start}))
    metrics(settled(Outcome.UPDATED, account="eu"))
    at_work = shown(metrics)
    metrics(ended({"cn": figures_of(), "eu": figures_of(converged=False, withheld=3, surplus={"package": 1})}))

    found = shown(metrics)

    assert (at_work["bulk_changes_total", "cn", "update"], at_work["bulk_changes_total", "eu", "update"]) == (0, 1)
    assert (found["bulk_withheld", "cn", "delete"], found["bulk_withheld", "eu", "delete"]) == (0, 3)
    assert found["bulk_surplus", "eu", "package"] == 1
    assert [key for key in found if key[0] == CONVERGED] == [(CONVERGED, "cn")]


def test_account_that_was_not_tried_keeps_its_figures_and_one_that_is_gone_has_none(
    tmp_path: Path, ended: Callable[..., RunEnded]
) -> None:
    path = tmp_path / "nightly.prom"
    with metrics_file(path, complain=fail) as metrics:
        metrics(ended({name: figures_of(withheld=2) for name in ("cn", "eu", "old")}))

    with metrics_file(path, complain=fail) as metrics:
        metrics(ended({"cn": figures_of()}, "eu"))

    found = {key[1:]: value for key, value in samples(path.read_text()).items() if key[0] == "bulk_withheld"}
    assert (found["cn", "delete"], found["eu", "delete"]) == (0, 2)
    assert not [key for key in found if key[0] == "old"]


def test_150_accounts_are_no_flood_of_series(metrics: RunMetrics, ended: Callable[..., RunEnded]) -> None:
    metrics(ended({f"factory-{number:03}": figures_of(surplus={"package": 1}) for number in range(150)}))

    assert len(shown(metrics)) <= 150 * 10


def test_rows_are_as_the_sync_found_them_until_it_ends(metrics: RunMetrics, make_started: Callable[..., Event]) -> None:
    # The look settles a row as drifted, and the work settles it again as updated.
    start = AccountStart(target="https://h (tuya)", rows=4, outcomes={"created": 4}, rates=RATES)
    metrics(make_started(rows=4, outcomes={"created": 4}, rates=RATES, syncs=True, accounts={"cn": start}))
    for outcome in (Outcome.DRIFTED, Outcome.UPDATED):
        metrics(settled(outcome, account="cn"))

    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    rows = {
        (sample.name, sample.labels["outcome"]): sample.value
        for family in families
        for sample in family.samples
        if family.name in {"bulk_rows", "bulk_account_rows"} and sample.value
    }
    assert rows == {("bulk_rows", "created"): 4, ("bulk_account_rows", "created"): 4}


def test_every_metric_of_a_sync_is_described(
    metrics: RunMetrics, make_started: Callable[..., Event], ended: Callable[..., RunEnded]
) -> None:
    metrics(make_started(rates=RATES, syncs=True))
    metrics(ended({"": figures_of()}))

    described = {metric.name: metric.documentation for metric in metrics.collect()}

    assert described == {**METRICS, **SYNC_METRICS}
