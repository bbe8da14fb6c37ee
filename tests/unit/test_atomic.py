from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from bulk.atomic import replaced

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, content: bytes = b"new") -> None:
    with replaced(path) as out:
        out.write(content)


def break_off(path: Path) -> None:
    with replaced(path) as out:
        out.write(b"half")
        raise ValueError("half way")


def test_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()

    write(tmp_path / "out")

    assert (tmp_path / "out").read_bytes() == b"new"
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_old_file_is_replaced_and_its_mode_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old and longer")
    out.chmod(0o640)

    write(out)

    assert out.read_bytes() == b"new"
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [out]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(b"old")

    with pytest.raises(ValueError, match="half way"):
        break_off(out)

    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("exists", [True, False])
def test_link_stays_a_link_and_what_it_leads_to_is_written(tmp_path: Path, exists: bool) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    link.symlink_to(real)
    if exists:
        real.write_bytes(b"old")

    write(link)

    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_pipe_stays_a_pipe_and_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()

    write(pipe)
    reader.join()

    assert read == [b"new"]
    assert pipe.is_fifo()


def test_pipe_without_a_reader_is_an_error_where_nobody_may_wait(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(OSError, match="No such device"), replaced(pipe, patient=False):
        pass
