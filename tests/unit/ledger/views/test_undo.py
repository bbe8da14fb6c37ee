"""The input that restores what the updates and deletes of a run replaced."""

from __future__ import annotations

import csv
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import SettingsError
from bulk.ledger.sql import query
from bulk.ledger.store import Ledger
from bulk.ledger.views.undo import write_undo_file
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEADER = ["ProductKey", "ModuleName", "AliasName", "Desc"]
Texts = tuple[str | None, str | None]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    target = Target(Dialect.TUYA, "https://example.com:8686")
    with closing(Ledger.open(tmp_path / "l.db", targets={"": target})) as opened:
        yield opened


@pytest.fixture
def claim(ledger: Ledger) -> Callable[..., None]:
    """Return what notes a change that a run sent."""

    def note(kind: str, name: str, found: Texts, wanted: Texts = (None, None), **fields: Any) -> None:
        of = {"account": "", "run": "cafe0001", "product": "p1"} | fields
        values = (of["account"], of["product"], name, kind, *wanted, *found, None, of["run"], "2026-01-01", 0, None, 0)
        ledger.connection.execute(query("add_claim"), values)

    return note


def lines(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_updates_and_deletes_are_restored_as_they_were_found(
    ledger: Ledger, claim: Callable[..., None], tmp_path: Path
) -> None:
    claim("update", "m1", ("old, alias", "line\nbreak"), ("new", "d"))
    claim("delete", "m2", ("主控", None))
    claim("create", "m3", (None, None), ("c", "c"))
    file = tmp_path / "undo.csv"

    undo = write_undo_file(ledger.path, file)

    assert lines(file) == [HEADER, ["p1", "m1", "old, alias", "line\nbreak"], ["p1", "m2", "主控", ""]]
    assert (undo.run_id, undo.rows, undo.not_restored) == ("cafe0001", 2, ())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_module_that_a_run_changed_twice_is_restored_as_before_the_first_time(
    ledger: Ledger, claim: Callable[..., None], tmp_path: Path
) -> None:
    claim("update", "m1", ("first", None), ("second", None))
    claim("delete", "m1", ("second", None))

    write_undo_file(ledger.path, tmp_path / "undo.csv")

    assert lines(tmp_path / "undo.csv")[1:] == [["p1", "m1", "first", ""]]


def test_a_ledger_of_accounts_gives_a_file_of_accounts(
    ledger: Ledger, claim: Callable[..., None], tmp_path: Path
) -> None:
    claim("update", "m1", ("a", "d"), ("b", "d"), account="cn")
    claim("delete", "m1", ("a", "d"), account="eu")

    write_undo_file(ledger.path, tmp_path / "undo.csv")

    assert lines(tmp_path / "undo.csv") == [
        ["Account", *HEADER],
        ["cn", "p1", "m1", "a", "d"],
        ["eu", "p1", "m1", "a", "d"],
    ]


@pytest.mark.parametrize(
    ("found", "wanted", "lost"),
    [
        (("", "d"), ("new", "d"), ("p1 m1 AliasName",)),
        ((None, None), ("new", "new"), ("p1 m1 AliasName", "p1 m1 Desc")),
        (("a", ""), ("b", ""), ()),
    ],
)
def test_a_text_that_was_empty_and_is_not_now_is_named(
    ledger: Ledger, claim: Callable[..., None], tmp_path: Path, found: Texts, wanted: Texts, lost: tuple[str, ...]
) -> None:
    """A blank cell is not compared, so that no input can empty it again."""
    claim("update", "m1", found, wanted)
    claim("delete", "m2", ("", ""), ("", ""))

    assert write_undo_file(ledger.path, tmp_path / "undo.csv").not_restored == lost


def test_the_run_is_the_last_that_changed_anything_or_that_of_the_given_beginning(
    ledger: Ledger, claim: Callable[..., None], tmp_path: Path
) -> None:
    claim("delete", "m1", ("a", ""), run="cafe0001")
    claim("delete", "m2", ("a", ""), run="beef0002")

    assert write_undo_file(ledger.path, tmp_path / "undo.csv").run_id == "beef0002"
    assert write_undo_file(ledger.path, tmp_path / "undo.csv", run="cafe").run_id == "cafe0001"
    with pytest.raises(SettingsError, match="no run dead… of it has updated or deleted anything"):
        write_undo_file(ledger.path, tmp_path / "undo.csv", run="dead")


def test_without_a_change_there_is_nothing_to_undo_and_no_file(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no run of it has updated or deleted anything: there is nothing to undo"):
        write_undo_file(ledger.path, tmp_path / "undo.csv")

    assert not (tmp_path / "undo.csv").exists()


def test_what_a_killed_writer_left_is_replaced(ledger: Ledger, claim: Callable[..., None], tmp_path: Path) -> None:
    claim("delete", "m1", ("a", ""))
    left = tmp_path / "undo.csv.part"
    left.write_text("half")

    write_undo_file(ledger.path, tmp_path / "undo.csv")

    assert (len(lines(tmp_path / "undo.csv")), left.exists()) == (2, False)


@pytest.mark.parametrize(
    ("targets", "options", "names_accounts"),
    [
        ({"": Target(Dialect.TUYA, "https://example.com:8686")}, (), False),
        ({"": Target(Dialect.ALIBABA, "sandbox")}, ("--sandbox", "--dialect", "alibaba"), False),
        ({"a": Target(Dialect.ALIBABA, "sandbox/a")}, ("--sandbox",), True),
    ],
)
def test_it_is_known_what_leads_to_the_platform_of_the_run(
    tmp_path: Path, targets: dict[str, Target], options: tuple[str, ...], names_accounts: bool
) -> None:
    with closing(Ledger.open(tmp_path / "o.db", targets=targets)) as opened:
        values = ("", "p1", "m1", "update", "new", "d", "old", "d", None, "cafe0001", "2026-01-01", 0, None, 0)
        opened.connection.execute(query("add_claim"), values)

    undo = write_undo_file(tmp_path / "o.db", tmp_path / "undo.csv")

    assert (undo.sandbox, undo.names_accounts) == (options, names_accounts)
