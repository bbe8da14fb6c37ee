"""What the machine says becomes words that help, and a bug stays a bug."""

from __future__ import annotations

import errno
import os
import resource
from typing import TYPE_CHECKING

import pytest

from bulk.conditions import condition_of, explain_os_error, no_temporary_folder, why_not_writable

if TYPE_CHECKING:
    from pathlib import Path

NO_FOLDER = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/']")


def of(number: int, *name: str) -> OSError:
    return OSError(number, os.strerror(number), *name)


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (of(errno.ENOSPC, "/data/x"), "/data/x: No space left on device: the disk is full"),
        (of(errno.EDQUOT), "the disk quota is used up"),
        (of(errno.EROFS, "x"), "the file system is read-only"),
        (of(errno.EMFILE), "ulimit -n"),
        (of(errno.EFBIG), "ulimit -f"),
        (of(errno.ENOENT), "check the name"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (ImportError("libssl.so.3: cannot open shared object file: Too many open files"), "ulimit -n"),
        (ImportError("x.so: failed to map segment from shared object"), "there is not enough memory"),
        (NO_FOLDER, "set TMPDIR"),
        (ExceptionGroup("of tasks", [ValueError(), ExceptionGroup("", [of(errno.ENOSPC)])]), "the disk is full"),
    ],
)
def test_condition_of_the_machine_says_what_to_do(exc: Exception, said: str) -> None:
    assert said in (condition_of(exc) or "")


@pytest.mark.parametrize(
    "exc",
    [
        ValueError("x"),
        RuntimeError("dictionary changed size during iteration"),
        ImportError("cannot import name 'x'"),
        ModuleNotFoundError("No module named 'nosuch'"),
        of(errno.EBADF),
        of(errno.EINVAL),
        OSError("without a number"),
        ExceptionGroup("of tasks", [ValueError()]),
    ],
)
def test_bug_is_no_condition(exc: Exception) -> None:
    assert condition_of(exc) is None


def test_what_fails_because_the_machine_ran_out_of_something_is_no_bug() -> None:
    bug = RuntimeError("Cannot close a running event loop")
    bug.__context__ = ValueError()
    bug.__context__.__cause__ = of(errno.EMFILE)
    while_a_file_was_missing = RuntimeError("of ours")
    while_a_file_was_missing.__context__ = of(errno.ENOENT, "x")

    assert "ulimit -n" in (condition_of(bug) or "")
    assert condition_of(while_a_file_was_missing) is None


def test_error_that_the_table_lacks_is_told_in_the_systems_words() -> None:
    assert explain_os_error(of(errno.EINVAL)) == "Invalid argument"
    assert explain_os_error(OSError("only words")) == "only words"


def test_temporary_folder_that_is_missing_is_named_with_its_remedy() -> None:
    assert explain_os_error(NO_FOLDER) == (
        "there is no folder for temporary files: set TMPDIR to a folder that may be written"
    )
    assert "TMPDIR" in no_temporary_folder(of(errno.ENOSPC))


def test_working_folder_that_was_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()

    with pytest.raises(FileNotFoundError) as caught:
        os.getcwd()  # noqa: PTH109 - what is tested

    assert "the working folder was removed" in explain_os_error(caught.value)


def test_folder_that_can_be_written_has_no_reason(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "l.db") is None
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_gone_needs_no_explanation(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "gone" / "l.db") is None


def test_file_that_has_reached_the_limit_on_size_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = tmp_path / "l.db"
    ledger.write_bytes(bytes(1_000_000))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_000_000, 1_000_000))

    assert "ulimit -f" in (why_not_writable(ledger) or "")
