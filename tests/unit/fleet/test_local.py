"""Which folder of a machine a worker takes for a shard."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.fleet import local
from bulk.fleet.host import host_of, instant
from bulk.fleet.lease import Host
from bulk.fleet.local import take_local

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = Host()


def test_next_process_gets_the_folder_and_the_lock_of_one_that_ended(tmp_path: Path) -> None:
    with closing(take_local(tmp_path, "s", 0, last=NOBODY)) as first:
        pass
    with closing(take_local(tmp_path, "s", 0, last=first.host)) as second:
        assert second.folder == first.folder
        assert second.host.is_same(first.host)


def test_folder_of_a_process_that_is_there_is_left_to_it(tmp_path: Path) -> None:
    with (
        closing(take_local(tmp_path, "s", 0, last=NOBODY)) as first,
        closing(take_local(tmp_path, "s", 0, last=first.host)) as second,
    ):
        assert second.folder != first.folder
        assert not second.host.is_same(first.host)


def test_folder_of_the_last_holder_comes_before_others_that_are_free(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(closing(take_local(tmp_path, "s", 0, last=NOBODY)))
        last = stack.enter_context(closing(take_local(tmp_path, "s", 0, last=NOBODY)))
    with closing(take_local(tmp_path, "s", 0, last=last.host)) as taken:
        assert taken.folder == last.folder


def test_shards_and_fleets_have_folders_of_their_own(tmp_path: Path) -> None:
    with ExitStack() as stack:
        taken = [
            stack.enter_context(closing(take_local(tmp_path, split, shard, last=NOBODY)))
            for split, shard in (("s", 0), ("s", 1), ("t", 0))
        ]

    assert len({one.folder for one in taken}) == len(taken)


def test_ledger_is_known_by_the_fence_under_which_it_was_written(tmp_path: Path) -> None:
    with closing(take_local(tmp_path, "s", 0, last=NOBODY)) as here:
        assert here.known_fence == 0
        here.note_fence(7)
        assert here.known_fence == 0  # there is no ledger
        here.ledger.touch()
        assert here.known_fence == 7
        here.forget()

        assert here.known_fence == 0
        assert not here.ledger.exists()


def test_usual_folder_is_refused_where_others_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = tmp_path / "usual"
    usual.mkdir(mode=0o777)
    usual.chmod(0o777)
    monkeypatch.setattr(local, "default_folder", lambda: usual)

    with pytest.raises(SettingsError, match="--work-folder"):
        take_local(None, "s", 0, last=NOBODY)


def test_folder_that_can_not_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="--work-folder"):
        take_local(tmp_path / "file", "s", 0, last=NOBODY)


def test_shard_that_too_many_processes_of_a_machine_want_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_MOST_PLACES", 2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(closing(take_local(tmp_path, "s", 0, last=NOBODY)))

        with pytest.raises(SettingsError, match="2 processes of this machine want shard 0 already"):
            take_local(tmp_path, "s", 0, last=NOBODY)


def test_place_of_a_shard_that_can_not_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "0.0").touch()

    with pytest.raises(SettingsError, match=r"no shard can be kept there .*--work-folder"):
        take_local(tmp_path, "s", 0, last=NOBODY)


@pytest.mark.parametrize("said", [None, b"", b"seven", b"\xff"])
def test_ledger_whose_fence_is_not_known_can_not_be_gone_on_with(said: bytes | None, tmp_path: Path) -> None:
    with closing(take_local(tmp_path, "s", 0, last=NOBODY)) as here:
        here.ledger.touch()
        if said is not None:
            (here.folder / "fence").write_bytes(said)

        assert here.known_fence == 0


def test_usual_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    with closing(take_local(None, "s", 0, last=NOBODY)) as here:
        usual = local.default_folder()

        assert here.folder == usual / "s" / "0.0"
        assert here.slice.parent == here.folder
        assert usual.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["file", "link"])
def test_usual_folder_that_is_no_folder_of_this_user_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / "usual"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        usual.symlink_to(tmp_path / "elsewhere")
    else:
        usual.touch()
    monkeypatch.setattr(local, "default_folder", lambda: usual)

    with pytest.raises(SettingsError, match="--work-folder"):
        take_local(None, "s", 0, last=NOBODY)


def test_machine_that_tells_no_boot_is_the_same_as_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.fleet.host._BOOT_ID", tmp_path / "none")
    (tmp_path / "lock").touch()

    host = host_of(tmp_path / "lock")

    assert host == NOBODY
    assert not host.is_same(host)


def test_clock_that_counts_suspend_is_asked_and_the_wall_clock_beside_it() -> None:
    now = instant(lambda clock: {getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC): 12.5}[clock])

    assert now.boot_s == 12.5
    assert now.wall_s == pytest.approx(time.time(), abs=60)
