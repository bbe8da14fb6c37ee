"""A ledger that can't be used gives a clear error and exit code 3, and loses nothing that it held."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.store import Ledger
from bulk.model import Action, Dialect, ReadRows, Target
from bulk.rows.shape import InputShape

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from bulk.sandbox import Sandbox, Seen
    from tests.conftest import Audit, Job
    from tests.crash.conftest import Ended

    AuditOf = Callable[[Path, Sandbox], Audit]
    BoxWith = Callable[..., Sandbox]
    MakeJob = Callable[..., Job]
    RunChild = Callable[..., Coroutine[Any, Any, Ended]]
    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")

_PR_CAPBSET_DROP = 24
_OVERRIDES = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def obey_file_modes() -> None:
    """Take from root, after the next exec, the right to read and write where modes forbid it."""
    for capability in _OVERRIDES:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


def bulk_of_a_reader(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that may write nothing where modes forbid it."""
    command = [sys.executable, "-m", "bulk", *map(str, args)]
    return subprocess.run(command, preexec_fn=obey_file_modes, capture_output=True, text=True, check=False)


@contextmanager
def only_readable(folder: Path) -> Iterator[None]:
    """Take the right to write from a folder and all in it."""
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    yield
    folder.chmod(0o755)


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a ledger, alone in its folder, with a run at work on it."""
    folder = tmp_path / "ledgers"
    folder.mkdir()
    with closing(Ledger.open(folder / "it.db", targets={"": TARGET})) as ledger:
        ledger.begin_run(
            "cafe0001", at=0.0, version="1", input_name="m.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
        )
        yield ledger


def failed_clearly(ended: Ended, *words: str) -> None:
    assert ended.returncode == 3, ended.stderr
    assert "bug" not in ended.stderr
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr
        assert word in ended.summary["stopped"]


@pytest.mark.parametrize("kept", [0.5, 0.99])
async def test_truncated_ledger_is_reported_and_left_as_it_is(
    kept: float, make_job: MakeJob, box_with: BoxWith, run_child: RunChild
) -> None:
    job = make_job()
    async with box_with() as box:
        await run_child(job, box)
        whole = job.ledger.read_bytes()
        job.ledger.write_bytes(whole[: int(len(whole) * kept)])
        torn, sent = digest(job.ledger), box.requests.total()
        ended = await run_child(job, box)

        assert box.requests.total() == sent
    failed_clearly(ended, "damaged", ".recover")
    assert digest(job.ledger) == torn


async def test_ledger_torn_by_a_crash_of_the_machine_is_reported(
    make_job: MakeJob, box_with: BoxWith, run_child: RunChild
) -> None:
    job = make_job()
    async with box_with() as box:
        await run_child(job, box, patch="import bulk.ledger.store as m; m.Ledger.end_run = lambda *a, **k: None")
        content = bytearray(job.ledger.read_bytes())
        content[8192:] = b"\xa5" * (len(content) - 8192)
        job.ledger.write_bytes(content)
        sent = box.requests.total()
        ended = await run_child(job, box)

        assert box.requests.total() == sent
    failed_clearly(ended, "damaged")


async def test_file_that_is_no_ledger_is_left_alone(make_job: MakeJob, box_with: BoxWith, run_child: RunChild) -> None:
    job = make_job(products=2)
    job.ledger.write_text("dear diary, " * 1000, encoding="utf-8")
    before = digest(job.ledger)
    async with box_with() as box:
        ended = await run_child(job, box)

        assert box.requests.total() == 0
    failed_clearly(ended, "not a ledger of bulk", "--ledger")
    assert digest(job.ledger) == before


async def test_folder_that_may_not_be_written_is_named(
    make_job: MakeJob, box_with: BoxWith, run_child: RunChild, tmp_path: Path
) -> None:
    job = make_job(products=2)
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    ledger = folder / "it.db"
    async with box_with() as box:
        ended = await run_child(job, box, "--ledger", str(ledger), preexec=obey_file_modes)

        assert box.requests.total() == 0
    failed_clearly(ended, str(ledger), "may be written", "--ledger")
    assert list(folder.iterdir()) == []


async def test_ledger_that_may_not_be_written_is_named(
    make_job: MakeJob, box_with: BoxWith, run_child: RunChild
) -> None:
    job = make_job(products=2)
    async with box_with() as box:
        await run_child(job, box)
        job.ledger.chmod(0o444)
        before = digest(job.ledger)
        ended = await run_child(job, box, preexec=obey_file_modes)

    failed_clearly(ended, "can't be written", "permissions")
    assert digest(job.ledger) == before


@pytest.mark.parametrize("limit_kib", [16, 60, 100])
async def test_file_that_may_not_grow_ends_the_run_and_the_next_recovers(
    limit_kib: int, make_job: MakeJob, box_with: BoxWith, run_child: RunChild, audit: AuditOf
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_kib * 1024, limit_kib * 1024))

    job = make_job(products=20)
    async with box_with() as box:
        # A lane at a time: the fewer rows share a commit, the more the ledger's log grows.
        stopped = await run_child(job, box, "--concurrency", "1", preexec=limit)
        finished = await run_child(job, box)

        audit(job.ledger, box).job_is_done(job)
    failed_clearly(stopped, str(job.ledger))
    assert finished.summary["stopped"] is None


def test_reader_sees_the_run_that_is_at_work(begun: Ledger) -> None:
    with only_readable(begun.path.parent):
        seen = bulk_of_a_reader("status", begun.path, "--json")

    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout)["holder"]["run_id"] == "cafe0001"


@pytest.mark.parametrize("command", [("status",), ("results",), ("report", "-o", "-")])
def test_reader_reads_a_ledger_that_no_run_is_at_work_on(begun: Ledger, command: tuple[str, ...]) -> None:
    shape = InputShape("jsonl", "utf-8", None, (), {})
    with begun.intake(name="m.jsonl", shape=shape.to_json(), at=0.0) as intake:
        intake.add(ReadRows([], [(1, "{}", "module_name.missing", "ModuleName is empty", "")]))
    begun.end_run("cafe0001", at=1.0, exit_code=0, stopped=None, summary=None)
    begun.close()
    with only_readable(begun.path.parent):
        read = bulk_of_a_reader(*command, begun.path)

    assert (read.returncode, read.stderr) == (0, "")


def test_reader_who_lacks_a_part_of_the_ledger_is_told_so(begun: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    folder.mkdir()
    for name in ("it.db", "it.db-wal"):
        (folder / name).write_bytes((begun.path.parent / name).read_bytes())
    with only_readable(folder):
        refused = bulk_of_a_reader("status", folder / "it.db")

    assert refused.returncode == 3
    assert "this user may not read the ledger, or not its log" in refused.stderr


def test_reader_who_may_not_look_into_the_folder_is_told_so(begun: Ledger) -> None:
    folder = begun.path.parent
    folder.chmod(0o000)
    refused = bulk_of_a_reader("status", begun.path)
    folder.chmod(0o755)

    assert refused.returncode == 3
    assert "check the permissions of its folder" in refused.stderr


@contextmanager
def small_disk(folder: Path, *, kib: int) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("only root, with the right to mount, can make a disk that is small enough to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


async def test_disk_that_is_full_from_the_start_ends_the_run_before_a_request(
    make_job: MakeJob, box_with: BoxWith, run_child: RunChild, tmp_path: Path
) -> None:
    job = make_job(products=20)
    async with box_with() as box:
        with small_disk(tmp_path / "disk", kib=64) as disk:
            ended = await run_child(job, box, "--ledger", str(disk / "it.db"))

        assert box.requests.total() == 0
    failed_clearly(ended, "disk is full", "make room")


async def test_disk_that_fills_up_half_way_loses_nothing(
    make_job: MakeJob, box_with: BoxWith, run_child: RunChild, audit: AuditOf, watch: Watch, tmp_path: Path
) -> None:
    job = make_job(products=40)
    async with box_with("latency=1-3ms") as box:
        with small_disk(tmp_path / "disk", kib=4096) as disk:
            ledger = disk / "it.db"

            def fill_half_way(_: Seen) -> None:
                if len(box.carried_out) == 50:
                    fill(disk)

            watch(box, fill_half_way)
            stopped = await run_child(job, box, "--ledger", str(ledger), "--concurrency", "4")
            made = len(box.carried_out)
            (disk / "filler").unlink()
            watch(box, lambda _: None)
            finished = await run_child(job, box, "--ledger", str(ledger))

            audit(ledger, box).job_is_done(job)
    failed_clearly(stopped, "disk is full", "make room")
    assert made < job.provisionable()
    assert finished.summary["stopped"] is None


def test_disk_too_full_for_an_upgrade_leaves_the_old_ledger_whole(tmp_path: Path) -> None:
    written = Path("tests/data/ledgers-0.1.0/finished")
    with small_disk(tmp_path / "disk", kib=256) as disk:
        for name in ("ledger.sqlite", "modules.csv"):
            shutil.copy(written / name, disk)
        before = digest(disk / "ledger.sqlite")
        filler = fill(disk)
        os.truncate(filler, filler.stat().st_size - 40 * 1024)  # enough to open it, too little for its copy
        command = [sys.executable, "-m", "bulk", "run", "modules.csv", "--sandbox", "--ledger", "ledger.sqlite"]
        stopped = subprocess.run(command, cwd=disk, capture_output=True, text=True, check=False)
        left = sorted(file.name for file in disk.iterdir() if "bak" in file.name)
        after = digest(disk / "ledger.sqlite")

    assert stopped.returncode == 3, stopped.stderr
    assert "must be upgraded" in stopped.stderr
    assert "make room for three times the ledger's size" in stopped.stderr
    assert "the ledger is as it was" in stopped.stderr
    assert after == before
    assert left == []


async def test_ledger_is_bound_once_a_claim_is_on_disk_also_if_the_run_is_killed_then(
    make_job: MakeJob, child: Any, run_child: RunChild, box_with: BoxWith, watch: Watch
) -> None:
    job = make_job(products=3)
    async with box_with() as box, box_with() as other:
        async with child(job, box) as started:
            watch(box, lambda seen: started.signal(signal.SIGKILL) if seen.module_name else None)
            await started.ended()

        refused = await run_child(job, other)

        assert not other.requests.total()
    assert refused.returncode == 4
    assert "belongs to" in refused.stderr


async def test_ledger_of_a_run_that_was_killed_before_anything_was_accepted_is_free_for_another_target(
    make_job: MakeJob, child: Any, run_child: RunChild, box_with: BoxWith, watch: Watch, audit: AuditOf
) -> None:
    job = make_job(products=3)
    async with box_with("code:iot.system.InstanceNotFound=100%") as slip, box_with() as box:
        async with child(job, slip) as started:
            watch(slip, lambda _: started.signal(signal.SIGKILL))
            await started.ended()

        finished = await run_child(job, box)

        audit(job.ledger, box).job_is_done(job)
    assert finished.returncode in {0, 1}


async def test_folder_of_the_ledger_that_is_removed_in_mid_run_ends_it_with_3(
    make_job: MakeJob, run_child: RunChild, box_with: BoxWith, watch: Watch, tmp_path: Path
) -> None:
    job, folder = make_job(products=100), tmp_path / "ledgers"
    folder.mkdir()
    async with box_with("latency=20ms") as box:
        watch(box, lambda _: shutil.rmtree(folder, ignore_errors=True) if len(box.seen) == 5 else None)

        ended = await run_child(job, box, "--ledger", str(folder / "modules.db"), "--concurrency", "1")

    assert ended.returncode == 3
    assert "modules.db: this ledger was removed, moved or replaced" in ended.stderr
    assert ended.summary["exit_code"] == 3
    assert ended.summary["ledger"] is None
