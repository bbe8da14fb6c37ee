from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bulk.errors import LedgerError
from bulk.events import (
    AccountStart,
    AccountStopped,
    AttemptMade,
    Event,
    RateChanged,
    RetryScheduled,
    RowSettled,
    RunEnded,
)
from bulk.model import Action, Attempt, FailureKind, OtaModule, Outcome, Settlement
from bulk.report.account_metrics import ACCOUNT_METRICS
from bulk.report.metrics import METRICS, RunMetrics, metrics_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 1_800_000_000.0
SUCCESS = "bulk_last_success_timestamp_seconds"
_SENT_ALWAYS = (Action.LIST, Action.CREATE)


def figures(text: str, **labels: str) -> dict[str, float]:
    """Return each sample that has these labels, by its name and its other labels' values."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            others = {name: value for name, value in sample.labels.items() if name != "task"}
            if labels.items() <= others.items():
                rest = [value for name, value in sorted(others.items()) if name not in labels]
                found[" ".join([sample.name, *rest])] = sample.value
    return found


def shown(metrics: RunMetrics) -> str:
    registry = CollectorRegistry()
    registry.register(metrics)
    return generate_latest(registry).decode()


def attempt(
    action: Action,
    *,
    code: str | None = None,
    failure: FailureKind | None = None,
    latency_s: float = 0.06,
    status: int | None = 200,
) -> Event:
    made = Attempt(
        at=0.0,
        action=action,
        product_key="a1",
        module_name=None,
        http_status=status,
        code=code,
        request_id=None,
        latency_s=latency_s,
        failure=failure,
    )
    return AttemptMade(made)


def settled(outcome: Outcome, *, recovered: bool = False) -> Event:
    return RowSettled(Settlement(line=2, module=OtaModule("a1", "m"), outcome=outcome, recovered=recovered, at=0.0))


@pytest.fixture
def metrics() -> RunMetrics:
    return RunMetrics("nightly", clock=lambda: 1_800_000_000.0)


def test_requests_are_counted_by_action_and_class_of_failure(metrics: RunMetrics) -> None:
    metrics(attempt(Action.LIST))
    metrics(attempt(Action.CREATE, code="Throttling.User", failure=FailureKind.THROTTLED, status=400))
    metrics(attempt(Action.CREATE, code="Throttling.Api", failure=FailureKind.THROTTLED, status=400))
    metrics(attempt(Action.CREATE, code="timeout", failure=FailureKind.DOUBTFUL, status=None))

    assert figures(shown(metrics))["bulk_requests_total ListOTAModuleByProduct ok"] == 1
    creates = figures(shown(metrics), action=Action.CREATE)
    assert {name: number for name, number in creates.items() if number and "requests" in name} == {
        "bulk_requests_total throttled": 2,
        "bulk_requests_total doubtful": 1,
    }


def test_class_of_a_failure_is_the_engines(metrics: RunMetrics) -> None:
    # By its code alone it would be doubtful; the engine knows that nothing was sent.
    metrics(attempt(Action.LIST, code="unasked_answer", failure=FailureKind.NOT_SENT, status=None))

    assert figures(shown(metrics))["bulk_requests_total ListOTAModuleByProduct not_sent"] == 1


def test_run_that_only_creates_shows_no_result_and_no_action_of_others(metrics: RunMetrics) -> None:
    metrics(attempt(Action.LIST))
    metrics(attempt(Action.CREATE))

    requests = figures(shown(metrics))
    assert not [name for name in requests if name.endswith((" gone", " held"))]
    assert not [name for name in requests if any(action in name for action in Action if action not in _SENT_ALWAYS)]


def test_results_of_a_delete_are_shown_where_a_run_deletes(
    metrics: RunMetrics, make_started: Callable[..., Event]
) -> None:
    metrics(make_started(rates={Action.LIST: 10.0, Action.CREATE: 10.0, Action.DELETE: 10.0}))
    metrics(attempt(Action.DELETE, code="iot.ota.OTAModuleNotExist", failure=FailureKind.GONE))

    requests = figures(shown(metrics))
    assert requests["bulk_requests_total DeleteOTAModule gone"] == 1
    assert requests["bulk_requests_total DeleteOTAModule held"] == 0
    assert "bulk_requests_total CreateOTAModule gone" not in requests


def test_durations_are_a_histogram_whose_buckets_hold_the_faster_ones_too(metrics: RunMetrics) -> None:
    for latency_s in (0.05, 0.06, 40.0):
        metrics(attempt(Action.CREATE, latency_s=latency_s))

    buckets = figures(shown(metrics), action=Action.CREATE)

    name = "bulk_request_duration_seconds"
    assert [buckets[f"{name}_bucket {le}"] for le in ("0.025", "0.05", "0.1", "30.0", "+Inf")] == [0, 1, 2, 2, 3]
    assert buckets[f"{name}_count"] == 3
    assert buckets[f"{name}_sum"] == pytest.approx(40.11)


def test_rows_stand_as_they_are_settled(metrics: RunMetrics, make_started: Callable[..., Event]) -> None:
    metrics(make_started(rows=5, outcomes={"pending": 2, "created": 1, "failed": 2}))
    metrics(settled(Outcome.CREATED, recovered=True))
    metrics(settled(Outcome.OVER_BUDGET))

    found = figures(shown(metrics))

    rows = {name: number for name, number in found.items() if name.startswith("bulk_rows") and number}
    assert rows == {"bulk_rows pending": 2, "bulk_rows created": 2, "bulk_rows over_budget": 1}
    assert found["bulk_recovered_total"] == 1


def test_rate_that_changed_while_the_rows_were_counted_stays(
    metrics: RunMetrics, make_started: Callable[..., Event]
) -> None:
    metrics(RateChanged(action=Action.CREATE, per_s=4.0, asked_per_s=10.0, throttled=True))
    metrics(make_started())

    granted = figures(shown(metrics))

    assert granted["bulk_rate_granted_per_second CreateOTAModule"] == 4.0
    assert granted["bulk_rate_granted_per_second ListOTAModuleByProduct"] == 10.0


def test_rates_are_the_asked_and_the_granted(metrics: RunMetrics, make_started: Callable[..., Event]) -> None:
    metrics(make_started(rates={Action.CREATE: 10.0, Action.LIST: 8.0}))
    metrics(RateChanged(action=Action.CREATE, per_s=5.0, asked_per_s=10.0, throttled=True))

    found = figures(shown(metrics))

    assert found["bulk_rate_asked_per_second CreateOTAModule"] == 10
    assert found["bulk_rate_granted_per_second CreateOTAModule"] == 5
    assert found["bulk_rate_granted_per_second ListOTAModuleByProduct"] == 8


def test_retries_are_counted_by_action(metrics: RunMetrics) -> None:
    metrics(RetryScheduled(action=Action.CREATE, product_key="a", line=2, attempt=1, delay_s=1, code="x", message=""))

    found = figures(shown(metrics))

    assert found["bulk_retries_total CreateOTAModule"] == 1
    assert found["bulk_retries_total ListOTAModuleByProduct"] == 0


def test_a_run_at_work_has_neither_end_nor_exit_code(metrics: RunMetrics) -> None:
    found = figures(shown(metrics))

    assert found["bulk_run_start_timestamp_seconds"] == 1_800_000_000
    assert not {"bulk_run_end_timestamp_seconds", "bulk_run_exit_code", SUCCESS} & found.keys()


@pytest.mark.parametrize(
    ("exit_code", "last_success_at"), [(0, 1_800_000_000.0), (6, 1_800_000_000.0), (1, 7.0), (3, 7.0), (5, 7.0)]
)
def test_only_exit_codes_0_and_6_are_a_success(
    exit_code: int, last_success_at: float, make_summary: Callable[..., Any]
) -> None:
    metrics = RunMetrics("nightly", clock=lambda: 1_800_000_000.0, kept=[Sample(SUCCESS, {}, 7.0)])
    metrics(RunEnded(make_summary(exit_code=exit_code, outcomes={"created": 4})))

    found = figures(shown(metrics))

    assert (found["bulk_run_exit_code"], found[SUCCESS]) == (exit_code, last_success_at)
    assert found["bulk_rows created"] == 4


def test_every_sample_says_whose_it_is(metrics: RunMetrics) -> None:
    samples = [line for line in shown(metrics).splitlines() if not line.startswith("#")]

    assert samples
    assert all('task="nightly"' in sample for sample in samples)


def test_every_metric_is_described(metrics: RunMetrics) -> None:
    metrics.end(0)

    described = {metric.name: metric.documentation for metric in metrics.collect()}

    assert described == dict(METRICS)


def complain(exc: OSError) -> None:
    raise AssertionError(f"nothing should have gone wrong: {exc}")


def test_the_file_is_there_from_the_start_and_says_at_the_end_how_it_ended(
    tmp_path: Path, make_summary: Callable[..., Any]
) -> None:
    path = tmp_path / "nightly.prom"

    with metrics_file(path, complain=complain) as metrics:
        at_the_start = figures(path.read_text())
        metrics(RunEnded(make_summary(exit_code=1)))

    assert "bulk_run_exit_code" not in at_the_start
    assert figures(path.read_text())["bulk_run_exit_code"] == 1
    assert [each.name for each in tmp_path.iterdir()] == ["nightly.prom"]


def test_the_file_is_renewed_while_the_run_is_at_work(tmp_path: Path) -> None:
    path = tmp_path / "nightly.prom"

    with metrics_file(path, complain=complain, every_s=0.001) as metrics:
        metrics(attempt(Action.CREATE))

        # Ends when the file says it; the suite's time limit is what ends it otherwise.
        while figures(path.read_text())["bulk_requests_total CreateOTAModule ok"] != 1:
            pass


def test_an_earlier_success_is_remembered_by_a_run_that_fails(tmp_path: Path, make_summary: Callable[..., Any]) -> None:
    path = tmp_path / "nightly.prom"
    with metrics_file(path, complain=complain) as metrics:
        metrics(RunEnded(make_summary(exit_code=0)))
    succeeded_at = figures(path.read_text())[SUCCESS]

    with metrics_file(path, complain=complain) as metrics:
        metrics(RunEnded(make_summary(exit_code=3)))

    assert figures(path.read_text())[SUCCESS] == succeeded_at


@pytest.mark.parametrize("text", ["", "no metrics {", "\xff", f"{SUCCESS} soon"])
def test_a_file_that_is_none_of_ours_is_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nightly.prom"
    path.write_text(text, encoding="latin-1")

    with metrics_file(path, complain=complain):
        pass

    assert SUCCESS not in figures(path.read_text())


@pytest.mark.parametrize(
    ("exc", "exit_code"), [(LedgerError("full"), 3), (KeyboardInterrupt(), 130), (ZeroDivisionError(), 3)]
)
def test_a_run_that_breaks_off_leaves_its_exit_code(tmp_path: Path, exc: BaseException, exit_code: int) -> None:
    path = tmp_path / "nightly.prom"

    with pytest.raises(type(exc)), metrics_file(path, complain=complain):
        raise exc

    assert figures(path.read_text())["bulk_run_exit_code"] == exit_code


def test_a_folder_that_is_missing_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"), metrics_file(tmp_path / "no" / "a.prom", complain=complain):
        pass


def test_a_folder_that_vanishes_does_not_end_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    complaints: list[OSError] = []

    with metrics_file(folder / "a.prom", complain=complaints.append, every_s=0.001):
        (folder / "a.prom").unlink()
        while folder.exists():
            try:
                folder.rmdir()
            except OSError:  # the file was just written again
                (folder / "a.prom").unlink(missing_ok=True)

    assert [type(exc) for exc in complaints] == [FileNotFoundError]


def test_a_link_stays_a_link_and_a_pipe_is_not_read(tmp_path: Path) -> None:
    link, pipe = tmp_path / "link.prom", tmp_path / "pipe.prom"
    link.symlink_to(tmp_path / "real.prom")
    os.mkfifo(pipe)

    with metrics_file(link, complain=complain):
        pass
    with pytest.raises(OSError, match="No such device"), metrics_file(pipe, complain=complain):
        pass

    assert link.is_symlink()
    assert (tmp_path / "real.prom").read_text().startswith("# HELP bulk_run_info")


def of_account(name: str, outcome: Outcome) -> Event:
    return RowSettled(Settlement(line=2, module=OtaModule("a1", "m"), outcome=outcome, at=0.0, account=name))


def attempt_of(name: str, failure: FailureKind | None = None) -> Event:
    event = attempt(Action.CREATE, failure=failure)
    assert isinstance(event, AttemptMade)
    return AttemptMade(event.attempt._replace(account=name))


@pytest.fixture
def start_of(make_started: Callable[..., Event]) -> Callable[[int], Event]:
    def make(count: int) -> Event:
        rates = {Action.CREATE: 8.0, Action.LIST: 10.0}
        rows = {"pending": 50, "failed": 8, "created": 2}
        one = AccountStart(target="https://h (tuya)", rows=60, outcomes=rows, rates=rates)
        return make_started(accounts={f"factory-{number:03}": one for number in range(count)})

    return make


def test_run_without_accounts_has_no_label_for_them(metrics: RunMetrics, start_of: Callable[[int], Event]) -> None:
    metrics(start_of(0))
    metrics(settled(Outcome.CREATED))
    metrics(attempt(Action.CREATE))

    assert "account" not in shown(metrics)


def test_each_account_has_figures_of_its_own(metrics: RunMetrics, start_of: Callable[[int], Event]) -> None:
    metrics(of_account("factory-001", Outcome.CREATED))
    metrics(start_of(3))
    metrics(of_account("factory-001", Outcome.OVER_BUDGET))
    metrics(of_account("factory-001", Outcome.SENDING))
    metrics(attempt_of("factory-001"))
    metrics(attempt_of("factory-001", FailureKind.REFUSED))
    metrics(AccountStopped(account="factory-002", reason="the key is not known"))
    metrics(RateChanged(action=Action.CREATE, per_s=4.0, asked_per_s=8.0, throttled=True, account="factory-002"))

    found = figures(shown(metrics), account="factory-001")
    other = figures(shown(metrics), account="factory-002")

    rows = {name: value for name, value in found.items() if name.startswith("bulk_account_rows") and value}
    assert rows == {
        "bulk_account_rows pending": 56,
        "bulk_account_rows created": 3,
        "bulk_account_rows over_budget": 1,
    }
    assert found["bulk_account_requests_total CreateOTAModule ok"] == 1
    assert found["bulk_account_requests_total CreateOTAModule refused"] == 1
    assert (found["bulk_account_stopped"], other["bulk_account_stopped"]) == (0, 1)
    assert other["bulk_rate_asked_per_second CreateOTAModule"] == 8.0
    assert other["bulk_rate_granted_per_second CreateOTAModule"] == 4.0
    assert "bulk_account_exit_code" not in found


def test_at_the_end_an_account_has_its_exit_code_and_the_ledgers_rows(
    metrics: RunMetrics, start_of: Callable[[int], Event], make_summary_of: Callable[..., Any]
) -> None:
    metrics(start_of(3))
    metrics(RunEnded(make_summary_of(3)))

    found = figures(shown(metrics), account="factory-002")

    assert (found["bulk_account_exit_code"], found["bulk_account_rows over_budget"]) == (1, 10)


def test_150_accounts_are_no_flood_of_series(
    metrics: RunMetrics, start_of: Callable[[int], Event], make_summary_of: Callable[..., Any]
) -> None:
    metrics(start_of(150))
    metrics(RunEnded(make_summary_of(150)))

    series = [line for line in shown(metrics).splitlines() if 'account="' in line]

    assert 150 * 10 < len(series) <= 150 * 40


def test_every_metric_of_accounts_is_described(
    metrics: RunMetrics, start_of: Callable[[int], Event], make_summary_of: Callable[..., Any]
) -> None:
    metrics(start_of(3))
    metrics(RunEnded(make_summary_of(3, exit_code=0)))

    described = {metric.name: metric.documentation for metric in metrics.collect()}

    assert described == {**METRICS, **ACCOUNT_METRICS}
