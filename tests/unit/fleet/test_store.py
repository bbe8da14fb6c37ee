"""Stores in memory and in a folder: what is there, who was first, and how a failure is told."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from obstore.store import MemoryStore as Objects

from bulk.engine.checks.diagnosis import Verdict
from bulk.fleet.store import ABSENT, BucketStore, FolderStore, Outage, Put, outage
from bulk.fleet.store_check import RACES, check_store
from bulk.fleet.store_url import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.fleet.store import Store
    from tests.unit.fleet.conftest import MemoryStore

    Opened = Callable[[], Store]


@pytest.fixture(params=["folder", "memory"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    objects = Objects()
    folder: Opened = lambda: open_store(str(tmp_path / "store"), make=True)  # noqa: E731 - one of two
    return folder if request.param == "folder" else lambda: BucketStore(objects)


async def test_of_two_who_put_under_one_new_name_one_is_refused(opened: Opened) -> None:
    first, second = opened(), opened()

    ends = await asyncio.gather(*(store.put_if_absent("lease/0.1", f"{store}".encode()) for store in (first, second)))

    assert set(ends) == {Put.EXISTS, Put.STORED}


async def test_what_is_written_is_read_and_listed(opened: Opened, tmp_path: Path) -> None:
    store, large = opened(), tmp_path / "large"
    await asyncio.to_thread(large.write_bytes, b"rows" * 1000)

    before = await store.get("segments/0.1.1")
    written = [await store.overwrite("segments/0.1.1", text) for text in (b"old", b"new", large)]
    await store.put_if_absent("segments/0.1.2", b"other")
    await store.put_if_absent("lease/0.1", b"other folder")

    assert before is ABSENT
    assert written == [Put.STORED] * 3
    assert await store.get("segments/0.1.1") == b"rows" * 1000
    assert await store.names("segments") == ("segments/0.1.1", "segments/0.1.2")


async def test_repetition_of_a_write_finds_itself_and_another_writer_does_not(opened: Opened) -> None:
    ends = [await opened().put_if_absent("lease/0.1", text) for text in (b"mine", b"mine", b"another's")]

    assert ends == [Put.STORED, Put.STORED, Put.EXISTS]
    assert await opened().get("lease/0.1") == b"mine"


async def test_object_is_saved_to_a_file_or_said_to_be_absent(opened: Opened, tmp_path: Path) -> None:
    store, path = opened(), tmp_path / "slice"
    await store.overwrite("input/0", b"rows" * 100_000)

    saved, absent = await store.save("input/0", path), await store.save("input/1", tmp_path / "other")

    assert (saved, absent) == (Put.STORED, ABSENT)
    assert await asyncio.to_thread(path.read_bytes) == b"rows" * 100_000


async def test_file_that_can_not_be_written_is_a_failure_and_not_an_absent_object(
    opened: Opened, tmp_path: Path
) -> None:
    store = opened()
    await store.overwrite("input/0", b"rows")

    end = await store.save("input/0", tmp_path)

    assert isinstance(end, Outage)
    assert "directory" in end.why


async def test_object_is_discarded_and_one_that_is_not_there_is_no_error(opened: Opened) -> None:
    store = opened()
    await store.overwrite("doctor/1", b"x")

    for _ in range(2):
        await store.discard("doctor/1")

    assert await store.names("doctor") == ()


async def test_store_that_honours_put_if_absent_passes_and_keeps_nothing_of_the_check(opened: Opened) -> None:
    check = await check_store(opened(), opened(), url="a store")

    assert (check.verdict, check.detail) == (
        Verdict.PASSED,
        f"a store: {RACES} races of two writers for one name, one winner each",
    )
    assert await opened().names("doctor") == ()


class Failing:
    """Objects of which every use fails; obstore takes it for none of its kinds."""


@pytest.mark.parametrize("store", [BucketStore(Failing()), FolderStore(Failing(), None)])  # type: ignore[arg-type]  # as said
async def test_whatever_a_client_raises_is_an_outage_of_one_line(store: BucketStore, tmp_path: Path) -> None:
    ends: list[Any] = [
        await store.get("a"),
        await store.save("a", tmp_path / "a"),
        await store.put_if_absent("a", b""),
        await store.overwrite("a", b""),
        await store.names("a"),
    ]
    await store.discard("a")

    for end in ends:
        assert isinstance(end, Outage)
        assert end.why
        assert "\n" not in end.why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (TimeoutError(), "no answer within 5 s"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (ValueError("Generic S3 error: refused\nDebug source:\nReqwest"), "Generic S3 error: refused"),
        (KeyError(), "KeyError"),
        (TimeoutError("the proxy gave up"), "the proxy gave up"),
        (OSError("no number"), "no number"),
    ],
)
def test_outage_says_in_a_line_what_a_person_needs(error: Exception, why: str) -> None:
    assert outage(error).why.startswith(why)


def test_outage_shows_no_signature() -> None:
    error = ValueError("https://bucket/a?X-Amz-Signature=hunter2hunter2&X-Amz-Credential=AKID refused")

    assert "hunter2hunter2" not in outage(error).why


async def test_write_to_a_folder_counts_once_its_name_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced = open_store(str(tmp_path / "store"), make=True), []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    await store.put_if_absent("segments/0/1.0", b"x")

    root = tmp_path / "store"
    places = (root / "segments/0/1.0", root / "segments/0", root / "segments", root)
    assert synced == [place.stat().st_ino for place in places]


@pytest.mark.parametrize("again", [False, True])
async def test_write_to_a_folder_whose_disk_fails_is_no_write(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"), make=True)
    if again:
        await store.put_if_absent("lease/0.1", b"mine")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    end = await store.put_if_absent("lease/0.1", b"mine")

    assert isinstance(end, Outage)
    assert "Input/output error" in end.why


async def test_name_that_vanishes_after_it_was_refused_belongs_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"), make=True)
    await store.put_if_absent("lease/0.1", b"another's")

    async def get(_: str) -> Outage:
        return Outage("gone")

    monkeypatch.setattr(store, "get", get)

    assert await store.put_if_absent("lease/0.1", b"mine") == Outage("gone")


class Gateway:
    """A store with a flaw in what it promises."""

    def __init__(self, store: MemoryStore, flaw: str) -> None:
        self._store = store
        self._flaw = flaw
        self._stale: dict[str, bytes] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        if self._flaw == "overwrites":
            self._store.objects[name] = data
            return Put.STORED
        if self._flaw == "refuses":
            return Put.EXISTS
        end = await self._store.put_if_absent(name, data)
        if self._flaw == "loses" and end is Put.STORED:
            self._store.objects[name] = b"half"
        return end

    async def get(self, name: str) -> Any:
        found = await self._store.get(name)
        if self._flaw == "caches" and isinstance(found, bytes):
            return self._stale.setdefault(name, found)
        return found


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("overwrites", "both were let through, or neither"),
        ("refuses", "both were let through, or neither"),
        ("loses", "a reader does not find what the winner of a race put there"),
        ("caches", "a reader finds an old text after it was overwritten"),
    ],
)
async def test_store_with_a_flaw_fails_by_its_name_and_is_left_clean(flaw: str, said: str, store: MemoryStore) -> None:
    gateway: Any = Gateway(store, flaw)

    check = await check_store(gateway, gateway, url="a gateway")

    assert (check.verdict, said in check.detail) == (Verdict.FAILED, True)
    assert "Don't run a fleet on it" in str(check.remedy)
    assert store.objects == {}


@pytest.mark.parametrize(("operation", "times"), [("put_if_absent", 1), ("get", 1), ("overwrite", 1), ("get", 3)])
async def test_store_that_does_not_answer_during_a_race_is_not_blamed_for_its_promise(
    operation: str, times: int, store: MemoryStore
) -> None:
    second = type(store)()
    second.objects = store.objects
    (second if times > 1 else store).be_silent(operation, times=1)

    check = await check_store(store, second, url="a store")

    assert (check.verdict, check.detail) == (Verdict.FAILED, "a store: the share is gone")
    assert "may read and write below it" in str(check.remedy)
