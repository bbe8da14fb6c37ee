"""Conditions of the machine: each ends a command with its own message, and none is called a bug."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.conditions import condition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Job

    MakeJob = Callable[..., Job]

NOBODY = 12_345
PROGRAM = """
import importlib, os, pkgutil, sys
import anyio, bulk, encodings.unicode_escape, rich.live

# Another user may not be able to read what is loaded on demand.
for package in (anyio, bulk):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith(("__main__", "_trio", "pytest_plugin")):
            importlib.import_module(module.name)
{before}
from bulk.cli import main
sys.argv[0] = "bulk"
sys.exit(main())
"""
AS_NOBODY = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
NO_HOME = "os.environ.pop('HOME', None); os.environ.pop('XDG_CONFIG_HOME', None)\n"
NOWHERE = ("--endpoint", "http://127.0.0.1:1")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
needs_open_environment = pytest.mark.skipif(
    not all(folder.stat().st_mode & stat.S_IXOTH for folder in Path(sys.prefix, "bin").parents),
    reason="another user can't read this virtual environment, and a whole run loads from it on demand",
)


def bulk(*arguments: str | Path, before: str = "", **options: object) -> subprocess.CompletedProcess[str]:
    # -P, as for an installed `bulk`: modules are not looked for in the working folder, where CPython 3.13.0 to 3.13.2
    # raise SystemError once it is gone (python/cpython#130932).
    command = [sys.executable, "-P", "-c", PROGRAM.format(before=before), *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # options are those of Popen
        command, capture_output=True, encoding="utf-8", timeout=60, check=False, **options
    )


def limited(kind: int, most: int) -> str:
    return f"import resource; resource.setrlimit({kind}, ({most}, {most}))\n"


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """Return a folder in which every user may write."""
    folder = tmp_path / "open"
    folder.mkdir()
    # pytest keeps its folders to their user; a process that shares the suite has one more of its own.
    outermost = tmp_path.parents[2 if "PYTEST_XDIST_WORKER" in os.environ else 1]
    for each in (folder, *folder.parents):
        if each.stat().st_uid == os.geteuid() and each.is_relative_to(outermost):
            each.chmod(0o777)
    (folder / "m.csv").write_text("ProductKey,ModuleName\na1Open,main\n", encoding="utf-8")
    return folder


@needs_root
@pytest.mark.parametrize("command", [("run", "m.csv"), ("plan", "m.csv"), ("doctor",), ("settings",)])
def test_user_without_a_home_is_told_where_keys_were_looked_for(command: tuple[str, ...], open_folder: Path) -> None:
    ended = bulk(*command, *NOWHERE, before=NO_HOME + AS_NOBODY, cwd=open_folder)

    said = " ".join((ended.stdout + ended.stderr).split())
    assert "~/.aliyun/config.json: there is no home folder: HOME is not set" in said
    assert "bug in bulk" not in said
    assert ended.returncode in {0, 2, 3}


@needs_root
@needs_open_environment
def test_home_and_working_folder_of_another_user_are_passed_over(open_folder: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = f"os.environ.pop('XDG_CONFIG_HOME', None); os.environ['HOME'] = {str(closed)!r}\n{AS_NOBODY}"

    ended = bulk("run", open_folder / "m.csv", "--sandbox", before=before, cwd=closed)

    assert ended.returncode == 0, ended.stderr
    assert "No settings are taken from ./bulk.toml: its folder can't be looked into" in ended.stderr
    assert f"No settings are taken from {closed}/.config/bulk/bulk.toml" in ended.stderr


def test_working_folder_that_was_removed_is_named(open_folder: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    before = "os.rmdir(os.getcwd())\n"

    by_name = bulk("run", "m.csv", "--sandbox", before=before, cwd=gone)
    gone.mkdir()
    by_path = bulk("run", open_folder / "m.csv", "--sandbox", before=before, cwd=gone)

    assert by_name.returncode == 3
    assert "the working folder was removed: change to another one" in by_name.stderr
    assert by_path.returncode == 0, by_path.stderr


def test_plan_without_a_temporary_folder_names_the_variable(open_folder: Path) -> None:
    before = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nosuch']\n"

    planned = bulk("plan", "m.csv", "--sandbox", before=before, cwd=open_folder)
    run = bulk("run", "m.csv", "--sandbox", before=before, cwd=open_folder)
    results = bulk("results", "m.csv.sandbox.db", before=before, cwd=open_folder)

    assert planned.returncode == 3
    assert "set TMPDIR to a folder that may be written" in planned.stderr
    assert (run.returncode, results.returncode) == (0, 0)


@pytest.mark.parametrize("most", [10, 14, 18])
def test_too_few_open_files_are_named_with_the_limit(most: int, open_folder: Path) -> None:
    ended = bulk("run", "m.csv", "--sandbox", before=limited(resource.RLIMIT_NOFILE, most), cwd=open_folder)

    assert ended.returncode == 3
    assert "ulimit -n" in ended.stderr
    assert "bug in bulk" not in ended.stderr


@needs_root
@pytest.mark.parametrize("most", [1, 3])
def test_too_few_threads_are_named_with_the_limit(most: int, open_folder: Path) -> None:
    before = limited(resource.RLIMIT_NPROC, most) + AS_NOBODY

    ended = bulk("run", "m.csv", "--sandbox", before=before, cwd=open_folder)

    assert ended.returncode == 3
    assert "ulimit -u" in ended.stderr
    assert "bug in bulk" not in ended.stderr


def test_condition_that_no_room_knows_is_no_bug(open_folder: Path) -> None:
    before = "import errno, bulk.engine.run as m\n"
    before += "def full(*a, **k): raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), '/data/x')\nm.held = full\n"

    ended = bulk("run", "m.csv", "--sandbox", "--json", before=before, cwd=open_folder)

    assert ended.returncode == 3
    assert "Error: /data/x: Disk quota exceeded: the disk quota is used up: make room" in ended.stderr
    assert "then run the same command again" in ended.stderr
    assert condition_of(ValueError()) is None


SILENT = """
import threading
def wait(*args, **kwargs): threading.Event().wait()
{place} = wait
from threading import Timer
import signal
def end():
    os.kill(os.getpid(), signal.SIGTERM)
Timer(1.0, end).start()
"""


@pytest.mark.parametrize(
    ("place", "flags"),
    [
        ("import socket; socket.getaddrinfo", ("--endpoint", "https://nowhere.example")),
        ("import bulk.cloud.keys.official_chain as m; m.OfficialChain.fetch", NOWHERE),
    ],
)
def test_thread_that_a_silent_network_holds_does_not_hold_up_the_end(
    place: str, flags: tuple[str, ...], open_folder: Path
) -> None:
    setting, _, name = place.rpartition("; ")
    keys = {f"ALIBABA_CLOUD_ACCESS_KEY_{part}": "k" * 20 for part in ("ID", "SECRET")} if "socket" in place else {}
    before = f"{setting}\n{SILENT.format(place=name)}"

    ended = bulk("run", "m.csv", *flags, "--json", before=before, cwd=open_folder, env=os.environ | keys)

    assert ended.returncode == 143, ended.stderr
    assert '"exit_code":143' in ended.stdout
