"""docs/metrics.md has every metric with its type and labels, and every class of failure, and no other."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Mapping

import bulk.report
from bulk.events import AccountStart, RunEnded, RunStarted
from bulk.exits import ExitCode
from bulk.model import AccountSummary, Action, FailureKind, Summary
from bulk.report.metrics import RunMetrics
from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
ROWS = {
    re.sub("_(total|info)$", "", row[1]): (row[2], set(re.findall(r"`(\w+)`", row[3])))
    for row in re.finditer(r"^\| `(bulk_\w+)` \| (\w+) \|([^|]*)\|", PAGE, re.MULTILINE)
}
"""Metric, as the code calls it → its type and labels, as the page has them."""

IN_EVERY_SAMPLE = {"task"}
OF_A_HISTOGRAM = {"le"}
RATES = {Action.LIST: 10.0, Action.CREATE: 10.0}


def names_in_code() -> set[str]:
    """Return the keys of every table ``…METRICS`` in the modules of `bulk.report` whose names end so."""
    names = [module.name for module in pkgutil.iter_modules(bulk.report.__path__) if module.name.endswith("metrics")]
    tables = [
        value
        for name in names
        for key, value in vars(importlib.import_module(f"bulk.report.{name}")).items()
        if key.endswith("METRICS") and isinstance(value, Mapping)
    ]
    return {metric for table in tables for metric in table}


def collected(*, accounts: bool) -> dict[str, tuple[str, set[str]]]:
    """Return what a run that went through tells: metric → type and labels."""
    start = AccountStart(target="https://h (tuya)", rows=1, outcomes={"pending": 1}, rates=RATES)
    end = AccountSummary(outcomes={"created": 1}, requests={}, throttled=0, stopped=None, exit_code=ExitCode.DONE)
    metrics = RunMetrics("nightly", clock=lambda: 1_800_000_000.0)
    told = {"run_id": "r1", "ledger": "l.db", "input": "m.csv", "target": "https://h (tuya)", "rows": 1}
    metrics(
        RunStarted(**told, outcomes={"pending": 1}, rates=RATES, accounts={"factory": start} if accounts else {})  # type: ignore[arg-type] # what both have in common
    )
    metrics(
        RunEnded(
            Summary(
                **told,  # type: ignore[arg-type] # as above
                outcomes={"created": 1},
                absent=0,
                requests={},
                retries=0,
                throttled=0,
                recovered=0,
                elapsed_s=0.1,
                exit_code=ExitCode.DONE,
                accounts={"factory": end} if accounts else {},
            )
        )
    )
    return {
        family.name: (
            family.type,
            {label for sample in family.samples for label in sample.labels} - IN_EVERY_SAMPLE - OF_A_HISTOGRAM,
        )
        for family in metrics.collect()
    }


def test_the_page_names_every_metric_of_the_code_and_no_other() -> None:
    assert set(ROWS) == names_in_code()


def test_the_page_tells_the_types_and_labels_of_a_run() -> None:
    found = collected(accounts=False)

    assert found == {name: ROWS[name] for name in found}


def test_the_page_tells_the_types_and_labels_of_accounts() -> None:
    found = collected(accounts=True)
    rates = {name: (kind, labels | {"account"}) for name, (kind, labels) in ROWS.items() if "_rate_" in name}

    assert found == {name: ROWS[name] for name in found} | rates


def test_the_page_has_every_class_of_failure() -> None:
    section = PAGE.partition("## Classes of failure")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(FailureKind)
