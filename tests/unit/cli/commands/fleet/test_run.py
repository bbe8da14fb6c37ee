"""What `bulk fleet run` takes, and what it passes on to its workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main
from bulk.cli.commands.fleet.run import _words_of_worker
from bulk.cli.commands.fleet.work import work_by_text
from tests.unit.cli.commands.fleet.conftest import ROWS, Threads

if TYPE_CHECKING:
    from tests.unit.fleet.conftest import MemoryStore

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


@pytest.fixture
def _split(boxes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert boxes
    assert main(["fleet", "split", "in.csv", "--store", "s3://bucket/job", "--shards", "2"]) == 0
    capsys.readouterr()


RUN = ["fleet", "run", "s3://bucket/job", "--engine", "local:2", "--work-folder", "here"]


@pytest.mark.usefixtures("_split")
def test_shards_are_worked_on_by_the_engine_and_the_next_step_is_the_merge(
    boxes: dict[str, Any], engines: list[Threads], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(RUN) == 0

    out = capsys.readouterr().out
    assert out.splitlines()[0] == f"{2 * ROWS} rows in s3://bucket/job: created {2 * ROWS}"
    assert out.splitlines()[-1] == "Next:  bulk fleet merge s3://bucket/job -o LEDGER"
    assert [box.actions()["CreateOTAModule"] for box in boxes.values()] == [ROWS, ROWS]
    assert [engine.is_closed for engine in engines] == [True]
    assert engines[0].logs.parent == Path("here")


@pytest.mark.usefixtures("_split")
def test_rows_that_are_left_end_it_with_1_and_the_command_that_goes_on(
    boxes: dict[str, Any], engines: list[Threads], capsys: pytest.CaptureFixture[str]
) -> None:
    boxes["us"].fill([("us1", f"other{number}") for number in range(10)])

    code = main([*RUN, "--json"])

    said = json.loads(capsys.readouterr().out)
    assert code == said["exit_code"] == 1
    assert said["outcomes"] == {"created": ROWS, "over_budget": ROWS}
    assert said["shards"] == {"done": 1, "incomplete": 1, "failed": 0, "left": 0}
    assert len(engines) == 1


@pytest.mark.usefixtures("_split")
def test_deadline_ends_the_driver_with_3_and_says_how_to_go_on(
    engines: list[Threads], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.fleet.driver._ASKED_EVERY_S", 0.001)
    monkeypatch.setattr("tests.unit.cli.commands.fleet.conftest.Threads.slots", no_slots)

    code = main([*RUN, "--deadline", "0.01"])

    out = capsys.readouterr().out
    assert code == 3
    assert "Stopped: the deadline of 0.01 s is over; run again to go on" in out
    assert "To go on:" in out
    assert engines[0].is_closed


async def no_slots(_: Threads) -> int:
    return 0


@pytest.mark.usefixtures("_split")
def test_settings_that_a_worker_could_not_use_start_no_engine(
    engines: list[Threads], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*RUN, "--qps", "-1"]) == 2
    assert "--qps" in capsys.readouterr().err
    assert engines == []


def test_store_without_a_fleet_starts_no_engine(
    store: MemoryStore, engines: list[Threads], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(RUN) == 2
    assert "no fleet is in the store" in capsys.readouterr().err
    assert (engines, [*store.objects]) == ([], [])


@pytest.mark.usefixtures("_split")
def test_dask_is_given_the_words_of_its_workers_and_the_way_to_end_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[tuple[str, list[str], str]] = []

    class Dask(Threads):
        def __init__(self, address: str, task: object, words: list[str], *, ended_by: str) -> None:
            super().__init__(words, processes=2, logs=Path())
            made.append((address, words, ended_by))
            assert task is work_by_text

    monkeypatch.setattr("bulk.fleet.engines.dask.DaskEngine", Dask)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)

    code = main(["fleet", "run", "s3://bucket/job", "--engine", "dask:tls://h:8786", "--max-attempts", "3"])

    assert code == 0, capsys.readouterr().err
    ((address, words, ended_by),) = made
    assert (address, words) == ("tls://h:8786", ["s3://bucket/job", "--max-attempts", "3"])
    assert ended_by.startswith("stop/")


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("dask:tcp://h:8786", "--insecure-dask"),
        ("dask:tls://h:8786", "pip install"),
        ("dask:tcp://127.0.0.1:8786", "pip install"),
    ],
)
def test_dask_that_is_insecure_or_not_installed_is_refused(
    engine: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert main(["fleet", "run", "store", "--engine", engine]) == 2
    assert said in capsys.readouterr().err
