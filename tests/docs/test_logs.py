"""The table of docs/logs.md has every event that is logged, with its level and fields, and no other."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.conftest import Desk

ROOT = Path(__file__).parents[2]
EVENT_NAME = re.compile(r"[a-z]+\.[a-z_]+")
LEVELS = {"debug", "info", "warning", "error", "exception"}
IN_EVERY_EVENT = {"event", "level", "timestamp", "run_id", "account"}
BAD_NIGHT = "clock-skew=+20m,throttle=20%,http500-after=10%,reset-before=10%"


@dataclass(frozen=True)
class Entry:
    """A line of the table, or what was found of an event."""

    level: str
    fields: frozenset[str]


@pytest.fixture(scope="module")
def table() -> dict[str, Entry]:
    text = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z._]+)` \| (\w+) \| (.*?) \|", text, re.MULTILINE)
    return {name: Entry(level, frozenset(re.findall(r"`(\w+)`", fields))) for name, level, fields in rows}


def source_trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in (ROOT / "bulk").rglob("*.py"):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def log_calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Yield the calls that name their event: its name, the call, the method."""
    for _, tree in source_trees():
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str(name)), *_]):
                    if method in LEVELS and EVENT_NAME.fullmatch(name):
                        yield name, node, method


def names_in_code() -> set[str]:
    """Return every event's name: those of the calls, and those that logs.py chooses from."""
    (listener,) = [
        tree for path, tree in source_trees() if path.relative_to(ROOT).as_posix() == "bulk/logs/listener.py"
    ]
    constants = {node.value for node in ast.walk(listener) if isinstance(node, ast.Constant)}
    chosen = {value for value in constants if isinstance(value, str) and EVENT_NAME.fullmatch(value)}
    return chosen | {name for name, _, _ in log_calls()}


def logged(desk: Desk, *flags: str) -> dict[str, set[Entry]]:
    """Run a bad night at debug level, and return what its log has: an event's name → its levels and fields."""
    desk.run(f"bulk run samples/modules.csv --sandbox -vv --log-file night.log --log-format json {' '.join(flags)}")
    found: dict[str, set[Entry]] = {}
    for line in (desk.folder / "night.log").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        found.setdefault(event["event"], set()).add(Entry(event["level"], frozenset(set(event) - IN_EVERY_EVENT)))
    return found


def test_every_event_of_the_code_is_in_the_table_and_every_name_of_the_table_in_the_code(
    table: dict[str, Entry],
) -> None:
    assert set(table) == names_in_code()


def test_events_that_a_call_spells_out_are_in_the_table_as_they_are(table: dict[str, Entry]) -> None:
    spelled_out = 0
    for name, call, method in log_calls():
        fields = {keyword.arg for keyword in call.keywords}
        if None not in fields:
            spelled_out += 1
            level, added = ("error", {"exception"}) if method == "exception" else (method, set())
            assert table[name] == Entry(level, frozenset(filter(None, fields)) | added), name

    assert spelled_out


def test_a_bad_night_logs_what_the_table_says(table: dict[str, Entry], desk: Desk) -> None:
    found = logged(desk, "--faults", f"'{BAD_NIGHT}'", "--qps 500 --list-qps 500 --deadline 1s")

    assert {name: {table[name]} for name in found} == found
    assert {"row.retry_scheduled", "listing.retry_scheduled", "rate.lowered", "clock.corrected"} <= set(found)
    assert {"row.settled", "request.ended", "run.stopping", "warnings.held_back", "run.ended"} <= set(found)


def test_every_event_names_its_run_from_the_start_on(desk: Desk) -> None:
    logged(desk)

    events = [json.loads(line) for line in (desk.folder / "night.log").read_text(encoding="utf-8").splitlines()]
    started = [event["event"] for event in events].index("run.started")
    assert len({event["run_id"] for event in events[started:]}) == 1
