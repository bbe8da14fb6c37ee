"""What `bulk fleet run` takes, and what it passes on to its workers."""

from __future__ import annotations

import pytest

from bulk.cli.app import main
from bulk.cli.commands.fleet.run import _words_of_worker

PASSED_ON = "--qps 5 --settings=my.toml --work-folder run"


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        ("--engine local:2", ""),
        ("--engine=dask:tls://h:1 --insecure-dask --json", ""),
        (
            "--engine local:2 --qps 5 --settings=my.toml --work-folder run",
            "--qps 5 --settings=my.toml --work-folder run",
        ),
        ("--engine local:2 --deadline 1h --max-attempts 3", "--max-attempts 3"),
    ],
)
def test_workers_get_what_means_the_same_for_them(given: str, passed_on: str) -> None:
    url = "s3://bucket/job"

    assert _words_of_worker(["fleet", "run", url, *given.split()], url) == [url, *passed_on.split()]


def test_folder_means_the_same_wherever_a_worker_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")

    assert _words_of_worker(["fleet", "run", "store", "--engine", "local:1"], "store") == ["/store"]


@pytest.mark.parametrize("engine", ["local", "local:0", "local:x", "local:-1", "ray:x", "", "dask:", "dask:nowhere"])
def test_engine_that_is_none_is_refused(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "run", "store", "--engine", engine]) == 2
    assert "--engine" in capsys.readouterr().err
