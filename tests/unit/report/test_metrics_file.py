"""A disk that fails or hangs while the file of metrics is kept."""

from __future__ import annotations

import errno
import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk.report.metrics import metrics_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


def test_disk_that_fails_again_and_again_is_complained_of_once_until_it_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fates = iter([None, "full", "full", "full", None, "full", "full"])
    over = threading.Event()

    @contextmanager
    def replaced(*_: object, **__: object) -> Iterator[io.BytesIO]:
        fate = next(fates, "over")
        if fate == "over":
            over.set()
        elif fate:
            raise OSError(errno.ENOSPC, "No space left on device")
        yield io.BytesIO()

    monkeypatch.setattr("bulk.report.metrics.replaced", replaced)
    complaints: list[OSError] = []

    with metrics_file(tmp_path / "a.prom", complain=complaints.append, every_s=0.0):
        assert over.wait(60)

    assert [exc.errno for exc in complaints] == [errno.ENOSPC, errno.ENOSPC]


def test_disk_that_does_not_answer_does_not_keep_the_run_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = threading.Event(), iter([False, True])

    @contextmanager
    def replaced(*_: object, **__: object) -> Iterator[io.BytesIO]:
        if next(asked, True):
            answers.wait()
        yield io.BytesIO()

    monkeypatch.setattr("bulk.report.metrics.replaced", replaced)
    monkeypatch.setattr("bulk.report.metrics._PATIENCE_S", 0.0)
    complaints: list[OSError] = []

    with metrics_file(tmp_path / "a.prom", complain=complaints.append, every_s=3600.0):
        pass
    answers.set()

    assert [(type(exc), exc.strerror) for exc in complaints] == [(TimeoutError, "the disk does not answer")]
