from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bulk.logs.file import LogFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder / "run.log"


def test_lines_are_appended(path: Path) -> None:
    path.write_bytes(b"of yesterday\n")
    LogFile(path).write(b"of today\n")

    assert path.read_bytes() == b"of yesterday\nof today\n"


def test_rotated_file_is_left_for_the_new_one(path: Path) -> None:
    log = LogFile(path)
    log.write(b"1\n")
    rotated = path.rename(path.with_name("run.log.1"))
    log.write(b"2\n")

    assert (rotated.read_bytes(), path.read_bytes()) == (b"1\n", b"2\n")


def test_file_that_was_cut_is_appended_to(path: Path) -> None:
    log = LogFile(path)
    log.write(b"1\n")
    os.truncate(path, 0)
    log.write(b"2\n")

    assert path.read_bytes() == b"2\n"


def test_removed_file_is_made_again(path: Path) -> None:
    log = LogFile(path)
    path.unlink()
    log.write(b"2\n")

    assert path.read_bytes() == b"2\n"


def test_folder_that_is_gone_costs_its_lines_only_until_it_is_back(path: Path) -> None:
    log = LogFile(path)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        log.write(b"lost\n")
    path.parent.mkdir()
    log.write(b"kept\n")

    assert path.read_bytes() == b"kept\n"


def test_named_pipe_is_not_waited_for_when_it_is_named(path: Path) -> None:
    os.mkfifo(path)

    LogFile(path).offer(b"nobody reads this\n")


def test_file_that_cannot_be_opened_is_said_at_once(path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        LogFile(path.parent)


def test_what_can_be_offered_goes_only_to_a_file_that_is_open(path: Path) -> None:
    log = LogFile(path)
    log.offer(b"1\n")
    before = path.read_bytes()
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        log.write(b"lost\n")
    path.parent.mkdir()
    log.offer(b"nobody opens it for this\n")

    assert before == b"1\n"
    assert not path.exists()
