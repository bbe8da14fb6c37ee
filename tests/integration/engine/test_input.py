"""What a run and a plan say of an input that is not plain, and what they send."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.forked import BULK, texts

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.forked import ForkHost

    Bulk = Callable[..., subprocess.CompletedProcess[str]]

TITLED = (
    "Date,2024-01-02,\nProductKey,ModuleName,owner\na1Lamp00001,wifi,ann\na1Lamp00001,bad name,bob\n------,----,----\n"
)


@pytest.fixture
def bulk(fork_host: ForkHost) -> Bulk:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("BULK_")}
    return lambda folder, *words: texts(fork_host.run(BULK, *words, folder=folder, environ=environ))


RUN = ("--sandbox", "--qps", "0", "--list-qps", "0", "--skip-lines", "1")


def test_run_names_once_on_stderr_what_is_not_sent(tmp_path: Path, bulk: Bulk) -> None:
    (tmp_path / "m.csv").write_text(TITLED)

    done = bulk(tmp_path, "run", "m.csv", *RUN)

    assert done.returncode == 1
    assert done.stderr.splitlines()[:3] == [
        "Above the header, not read: 'Date,2024-01-02,'",
        "Columns not sent, but kept in the results: 'owner'",
        "Not rows, left out: line 5 (a line of dashes)",
    ]
    assert "owner" not in done.stdout


def test_plan_says_what_was_found_of_the_input(tmp_path: Path, bulk: Bulk) -> None:
    (tmp_path / "m.csv").write_text(TITLED)

    done = bulk(tmp_path, "plan", "m.csv", "--offline", *RUN)

    assert "Read as CSV, UTF-8, comma between cells, header on line 2" in done.stdout
    assert "Columns: ProductKey from 'ProductKey', ModuleName from 'ModuleName'" in done.stdout
    assert "Columns not sent, but kept in the results: 'owner'" in done.stdout
    assert "Carried" not in done.stderr


def test_retry_file_is_read_by_the_same_flags(tmp_path: Path, bulk: Bulk) -> None:
    (tmp_path / "m.csv").write_text(TITLED)
    bulk(tmp_path, "run", "m.csv", *RUN)

    bulk(tmp_path, "results", "m.csv.sandbox.db", "--retry-file", "m.retry.csv")

    assert (tmp_path / "m.retry.csv").read_text().splitlines()[2:] == ["a1Lamp00001,bad name,bob"]
    again = bulk(tmp_path, "run", "m.retry.csv", *RUN)
    assert "0 of 1 row provisioned" in again.stdout
