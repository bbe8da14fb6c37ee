"""The metrics of a real run against the sandbox agree with its summary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from bulk.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_metrics_and_summary_count_alike(make_job: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    job = make_job(products=8)
    path = job.path.with_name("nightly.prom")
    faults = "create:throttle=2x@5,create:reset-after=2x@9,list:http503=1x"

    arguments = ["--sandbox", "--qps", "0", "--list-qps", "0", "--faults", faults, "--json"]
    exit_code = main(["run", str(job.path), *arguments, "--metrics-file", str(path)])

    summary = json.loads(capsys.readouterr().out)
    samples = [s for family in text_string_to_metric_families(path.read_text()) for s in family.samples]
    totals: dict[str, float] = {}
    for sample in samples:
        totals[sample.name] = totals.get(sample.name, 0) + sample.value
    by_outcome = {s.labels["outcome"]: s.value for s in samples if s.name == "bulk_rows"}
    throttled = [s.value for s in samples if s.labels.get("result") == "throttled"]
    assert by_outcome == summary["outcomes"]
    assert totals["bulk_requests_total"] == sum(summary["requests"].values())
    assert totals["bulk_retries_total"] == summary["retries"]
    assert sum(throttled) == summary["throttled"] == 2
    assert totals["bulk_recovered_total"] == summary["recovered"] > 0
    assert totals["bulk_run_exit_code"] == exit_code
