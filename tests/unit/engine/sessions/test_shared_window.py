"""The file that processes share, used by several at once: each has its own, and the lock is the system's."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING

import pytest

from bulk.control.notes import Kind
from bulk.control.pace import Pace
from bulk.control.sharing import ExchangeLostError, News, SharedPace
from bulk.engine.sessions.shared_window import SharedWindow, shared_folder, window_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bulk.control.notes import Note

NAME = window_name("https://iot.example.com LTAI-key", "create")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "meeting-place"


@pytest.fixture
def window(folder: Path) -> Iterator[Callable[..., SharedWindow]]:
    """Return what opens the file once more, as another process would."""
    opened: list[SharedWindow] = []

    def make(per_s: float = 10.0) -> SharedWindow:
        opened.append(SharedWindow(NAME, per_s=per_s, folder=folder))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def released(*moments: float) -> list[Note]:
    return [(Kind.RELEASED, at) for at in moments]


def tell(window: SharedWindow, *moments: float) -> News:
    news = window.begin()
    assert news is not None
    window.end(released(*moments))
    return News(list(news.notes), news.is_whole)


def test_each_hears_what_the_others_noted_once_and_nothing_of_its_own(window: Callable[..., SharedWindow]) -> None:
    one, other = window(), window()

    assert tell(one, 1.0, 1.1) == News([], is_whole=True)
    assert tell(other, 1.2) == News(released(1.0, 1.1), is_whole=True)
    assert tell(one) == News(released(1.2), is_whole=True)
    assert tell(one) == tell(other) == News([], is_whole=True)


def test_one_that_begins_later_hears_what_was_noted_before_it_began(window: Callable[..., SharedWindow]) -> None:
    first = window()
    tell(first, 1.0)
    first.close()

    assert tell(window()) == News(released(1.0), is_whole=True)


@pytest.mark.parametrize("per_s", [1.0, 10.0, 1_000.0])
def test_the_ring_goes_round(window: Callable[..., SharedWindow], per_s: float) -> None:
    one, other = window(per_s), window(per_s)
    for number in range(3_000):
        tell(one, number, number + 0.3, number + 0.5)
        if number % 7 == 0:
            assert tell(other).is_whole

    assert tell(window(per_s)).notes[-1] == (Kind.RELEASED, 2_999.5)


def test_who_did_not_listen_for_long_learns_that_notes_are_missing(window: Callable[..., SharedWindow]) -> None:
    one, other = window(), window()
    tell(other)
    for number in range(1_000):
        tell(one, number, number + 0.5)

    news = tell(other)

    assert not news.is_whole
    assert news.notes == released(*(number / 2 for number in range(2_000)))[-1_024:]


def test_while_one_has_its_turn_another_does_not_wait(window: Callable[..., SharedWindow]) -> None:
    one, other = window(), window()
    one.begin()

    assert other.begin() is None

    one.end(released(1.0))
    assert tell(other).notes == released(1.0)


def test_one_that_dies_in_its_turn_has_said_nothing_and_holds_nothing(window: Callable[..., SharedWindow]) -> None:
    one, other = window(), window()
    one.begin()

    one.close()  # as the system does for a process that is killed

    assert tell(other) == News([], is_whole=True)


@pytest.mark.parametrize("spoil", ["remove", "remove all", "cut", "empty", "overwrite", "replace"])
def test_a_file_that_is_taken_away_or_spoiled_is_begun_anew_and_both_know(
    window: Callable[..., SharedWindow], folder: Path, spoil: str
) -> None:
    one, other = window(), window()
    tell(one, 1.0)
    tell(other, 2.0)
    file = folder / NAME
    if spoil.startswith("remove"):
        file.unlink()
        if spoil == "remove all":
            folder.rmdir()
    elif spoil == "replace":
        (folder / "new").write_bytes(b"something else")
        (folder / "new").chmod(0o600)
        (folder / "new").replace(file)
    else:
        file.write_bytes({"cut": file.read_bytes()[:30], "empty": b"", "overwrite": b"#" * 100}[spoil])

    first, second = tell(one, 3.0), tell(other, 4.0)

    assert not first.is_whole
    assert second == News(released(3.0), is_whole=False)
    assert tell(one) == News(released(4.0), is_whole=True)


def test_folder_and_file_are_private_and_show_no_key(window: Callable[..., SharedWindow], folder: Path) -> None:
    tell(window(), 1.0)

    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "LTAI" not in file.name
    assert b"LTAI" not in file.read_bytes()


def test_groups_and_actions_have_files_of_their_own() -> None:
    names = {window_name(group, action) for group in ("a", "b") for action in ("list", "create")}

    assert len(names) == 4


def make_folder_a_link(folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to("elsewhere")


def make_folder_open(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)


def make_folder_a_file(folder: Path) -> None:
    folder.write_bytes(b"")


def make_file_a_link(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder.parent / "victim").write_bytes(b"precious")
    (folder / NAME).symlink_to(folder.parent / "victim")


def make_file_a_hard_link(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder.parent / "victim").write_bytes(b"precious")
    (folder.parent / "victim").chmod(0o600)
    os.link(folder.parent / "victim", folder / NAME)


def make_file_open(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / NAME).write_bytes(b"")
    (folder / NAME).chmod(0o666)


def make_file_a_pipe(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / NAME, 0o600)


@pytest.mark.parametrize(
    "hostile",
    [
        make_folder_a_link,
        make_folder_open,
        make_folder_a_file,
        make_file_a_link,
        make_file_a_hard_link,
        make_file_open,
        make_file_a_pipe,
    ],
)
def test_what_others_could_have_put_there_is_refused_and_left_as_it_is(
    window: Callable[..., SharedWindow], folder: Path, hostile: Callable[[Path], None]
) -> None:
    hostile(folder)
    refused = window()

    refused.open()
    with pytest.raises(ExchangeLostError, match="meeting-place, or a file in it, is not private to this user: remove"):
        refused.begin()

    victim = folder.parent / "victim"
    assert not victim.exists() or victim.read_bytes() == b"precious"


def test_a_folder_of_another_user_is_refused(
    window: Callable[..., SharedWindow], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o700)
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)

    with pytest.raises(ExchangeLostError, match="is not private to this user"):
        window().begin()


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    window = SharedWindow(NAME, per_s=10.0, folder=tmp_path / "missing" / "meeting-place")

    with pytest.raises(ExchangeLostError, match="missing/meeting-place can't be used: No such file"):
        window.begin()


def test_a_disk_that_is_full_ends_the_turn_with_the_systems_words(
    window: Callable[..., SharedWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = window(), window()
    tell(one)
    one.begin()
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)

    with pytest.raises(ExchangeLostError, match="No space left on device"):
        one.end(released(1.0))

    monkeypatch.undo()
    assert tell(other) == News([], is_whole=True)


@pytest.mark.parametrize("refusal", [AttributeError(), OSError(errno.EOPNOTSUPP, "not supported")])
def test_a_system_that_cannot_reserve_room_does_without(
    window: Callable[..., SharedWindow], monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(os, "posix_fallocate", refuse)

    tell(window(), 1.0)

    assert tell(window()).notes == released(1.0)


def test_a_disk_without_room_for_the_file_is_named(
    window: Callable[..., SharedWindow], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)

    with pytest.raises(ExchangeLostError, match="the disk is full"):
        window().begin()


def test_files_that_nobody_used_for_a_day_are_removed(window: Callable[..., SharedWindow], folder: Path) -> None:
    folder.mkdir(mode=0o700)
    old, recent, foreign = folder / window_name("old", "list"), folder / window_name("new", "list"), folder / "notes"
    for path in (old, recent, foreign):
        path.write_bytes(b"")
    for path in (old, foreign):
        os.utime(path, (time.time() - 90_000,) * 2)

    window().open()

    assert sorted(folder.iterdir()) == sorted([recent, foreign, folder / NAME])


def test_all_processes_of_a_user_meet_at_one_place_whatever_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = shared_folder()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, "/somewhere/else")

    assert shared_folder() == before
    assert str(os.geteuid()) in before.name


def test_where_there_is_no_memory_to_write_to_they_meet_below_the_next_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.engine.sessions.shared_window._PLACES", ("/memory", "/disk"))
    shared = [("/memory", "/disk"), ("/disk",), ()]

    found = []
    for writable in shared:
        monkeypatch.setattr(os, "access", lambda place, _mode, writable=writable: str(place) in writable)
        found.append(str(shared_folder().parent))

    assert found == ["/memory", "/disk", "/disk"]


def test_a_lock_that_is_kept_for_a_second_halves_the_rate_until_it_is_free(
    window: Callable[..., SharedWindow], folder: Path
) -> None:
    now, heard = [100.0], list[str | None]()
    pace = SharedPace(Pace(10.0, now=100.0), window(), clock=lambda: now[0], listen=heard.append)

    def left_until(end: float) -> int:
        count = 0
        while now[0] < end:
            count += not pace.take(now[0])
            now[0] += 0.003
        return count

    assert left_until(102.0) == 19
    with (folder / NAME).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert left_until(103.0) == 0
        assert left_until(107.0) in range(17, 21)
    left_until(109.0)

    assert left_until(113.0) in range(38, 41)
    assert [why is None for why in heard] == [False, True]
