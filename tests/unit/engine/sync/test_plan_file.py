from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from bulk.engine.sync.plan_file import PlanHeader, read_entries, read_header, write_plan
from bulk.errors import SettingsError
from bulk.ledger.planning import PlannedEntry

if TYPE_CHECKING:
    from pathlib import Path


def header() -> PlanHeader:
    return PlanHeader(
        plan_id="p1",
        ledger="/l.db",
        ledger_id=None,
        last_run=None,
        input="/m.csv",
        input_sha256="0" * 64,
        targets={"": "https://h (alibaba)"},
        flags={"prune": False},
        made_at="2026-01-01T00:00:00Z",
    )


def entry(account: str = "", name: str = "m0") -> PlannedEntry:
    return PlannedEntry(account, "a1Prod00000", name, "update", "a", "d", name, "b", "d", 2, "max_updates", None)


def test_a_plan_reads_as_it_was_written(tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"

    written = write_plan(plan, header(), [entry(), entry(name="m1")])

    assert (written, list(read_entries(plan, ""))) == (2, [entry(), entry(name="m1")])
    assert read_header(plan).is_as_written
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600


def test_a_plan_replaces_what_a_killed_writer_left(tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    left = tmp_path / "plan.jsonl.part"
    left.write_text("half")
    left.chmod(0o644)

    write_plan(plan, header(), [])

    assert list(read_entries(plan, "")) == []
    assert (stat.S_IMODE(plan.stat().st_mode), left.exists()) == (0o600, False)


def test_blank_lines_and_the_changes_of_other_accounts_are_passed_over(tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    write_plan(plan, header(), [entry("cn"), entry("eu", "m1")])
    plan.write_bytes(plan.read_bytes().replace(b"\n", b"\n\n  \n"))

    assert [one.module_name for one in read_entries(plan, "eu")] == ["m1"]


@pytest.mark.parametrize("content", [b"", b"no json\n", b"[1]\n", b"\xff\xfe\n"])
def test_a_file_of_something_else_is_no_plan(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(content)

    with pytest.raises(SettingsError, match="its first line is not that of a plan; name one that bulk has written"):
        read_header(other)


def test_a_plan_that_is_not_there_says_where_to_find_the_one_that_waits(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"there is no such plan; `bulk status LEDGER` shows the command with the one"
    ):
        read_header(tmp_path / "none.jsonl")
