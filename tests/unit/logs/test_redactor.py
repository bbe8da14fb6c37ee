"""What a log masks, also in a line that can't be written."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from bulk.logs.listener import Redactor, configure, flush_logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "s3cr3tS3cr3tS3cr3t"


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_mask_of_another_kind_is_used_beside_the_known_secrets() -> None:
    redactor = Redactor((SECRET,))
    redactor.learn(lambda text: text.replace("4711", "***"))

    assert redactor.text(f"{SECRET} and 4711") == "*** and ***"
    assert redactor(None, "info", {"event": "x", "note": "call 4711"})["note"] == "call ***"


@pytest.mark.usefixtures("_logging_as_before")
def test_record_that_can_not_be_formatted_costs_only_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level=logging.INFO, as_json=True, path=tmp_path / "run.log", colors=False, redactor=Redactor(()))

    logging.getLogger("other").warning("%d rows, %s", "no number", SECRET)
    logging.getLogger("other").warning("fine")
    flush_logs()

    logged = (tmp_path / "run.log").read_text(encoding="utf-8")
    assert "fine" in logged
    # Logging's own handling would show it before its secrets are masked.
    assert SECRET not in logged + capsys.readouterr().err
