"""A ledger whose files are taken away while a run is at work is noticed, and said in words."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerError
from bulk.ledger.storage import place
from bulk.ledger.storage.files import lock_of, log_of, memory_of
from bulk.ledger.storage.lock import hold, is_held
from bulk.ledger.storage.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.ledger.store import Ledger


def remove_folder(ledger: Path) -> None:
    shutil.rmtree(ledger.parent)


def rename_folder(ledger: Path) -> None:
    ledger.parent.rename(ledger.parent.with_name("archive"))


def put_a_file_in_the_place_of_the_folder(ledger: Path) -> None:
    rename_folder(ledger)
    ledger.parent.write_bytes(b"")


def replace_by_a_copy(ledger: Path) -> None:
    copy = ledger.with_name("copy.db")
    shutil.copy(ledger, copy)
    copy.replace(ledger)


def remove_log(ledger: Path) -> None:
    log_of(ledger).unlink()


def replace_memory(ledger: Path) -> None:
    other = ledger.with_name("other")
    other.write_bytes(memory_of(ledger).read_bytes())
    other.replace(memory_of(ledger))


def cut_off(ledger: Path) -> None:
    with ledger.open("r+b") as file:
        file.truncate(512)


def be_made_larger(ledger: Path) -> None:
    with ledger.open("ab") as file:
        file.write(bytes(4096))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "ledgers"
    folder.mkdir()
    return folder / "it.db"


@pytest.fixture(autouse=True)
def _at_work(ledger: Ledger) -> None:
    ledger.connection.execute("UPDATE target SET endpoint = endpoint")


def test_ledger_that_nobody_touches_stays_where_it_is(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.check_place()
        ledger.connection.execute("UPDATE target SET endpoint = endpoint")


@pytest.mark.parametrize(
    ("take_away", "said"),
    [
        (remove_folder, "was removed, moved or replaced while the run was at work"),
        (rename_folder, "was removed, moved or replaced while the run was at work"),
        (put_a_file_in_the_place_of_the_folder, "was removed, moved or replaced while the run was at work"),
        (replace_by_a_copy, "was removed, moved or replaced while the run was at work"),
        (remove_log, r"it\.db-wal was removed or replaced"),
        (replace_memory, r"it\.db-shm was removed or replaced"),
        (cut_off, "was cut off or overwritten while the run was at work"),
    ],
)
def test_ledger_that_is_taken_away_is_named_with_what_to_do(
    take_away: Callable[[Path], None], said: str, path: Path, ledger: Ledger
) -> None:
    take_away(path)

    with pytest.raises(LedgerError, match=said) as caught:
        ledger.check_place()

    assert "run again" in str(caught.value).lower()


def test_ledger_that_grows_is_as_it_should_be_and_must_not_shrink_from_then_on(path: Path, ledger: Ledger) -> None:
    size = path.stat().st_size
    be_made_larger(path)
    ledger.check_place()
    with path.open("r+b") as file:
        file.truncate(size)

    with pytest.raises(LedgerError, match="was cut off"):
        ledger.check_place()


def test_log_that_is_made_later_is_watched_from_then_on(path: Path, ledger: Ledger) -> None:
    log = log_of(path).read_bytes()
    log_of(path).unlink()
    with ExitStack() as kept:
        watched = Place(path, keep=kept.callback)
        watched.check()
        log_of(path).write_bytes(log)
        watched.check()
        log_of(path).unlink()

        with pytest.raises(LedgerError, match=r"it\.db-wal was removed"):
            watched.check()
    assert ledger.path == path


def test_lock_that_is_removed_is_taken_again_and_released_with_the_ledger(path: Path, ledger: Ledger) -> None:
    lock_of(path).unlink()

    ledger.check_place()

    assert is_held(path) is True
    ledger.check_place()
    ledger.close()
    assert is_held(path) is False


def test_lock_that_is_removed_and_taken_by_another_run_stops_this_one(path: Path, ledger: Ledger) -> None:
    lock_of(path).unlink()
    other = hold(path)

    with pytest.raises(LedgerError, match=r"it\.db\.lock was removed .* another run has taken the ledger since"):
        ledger.check_place()

    other.release()


def test_file_that_this_user_may_not_look_at_may_still_be_there(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise PermissionError(13, "Permission denied", file)

    with monkeypatch.context() as patched:
        patched.setattr("os.stat", refuse)
        ledger.check_place()

    ledger.check_place()


def test_size_that_can_not_be_asked_says_nothing(path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: Iterator[int | None] = iter([None, path.stat().st_size - 1])
    with monkeypatch.context() as patched:
        patched.setattr(place, "_size", lambda _: next(sizes))
        ledger.check_place()

        with pytest.raises(LedgerError, match="was cut off"):
            ledger.check_place()


def test_copy_to_plan_with_has_no_place_to_watch(path: Path, ledger: Ledger) -> None:
    ledger.close()
    copy = type(ledger).scratch(path, targets={})
    os.unlink(path)  # noqa: PTH108 - as anybody may do

    copy.check_place()
    copy.close()
