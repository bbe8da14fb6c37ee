from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bulk.ledger.views.approvals import Approval
from bulk.ledger.views.status import RunRecord
from bulk.ledger.views.sync import ModuleChange, StayingModules, SyncRecord
from bulk.report.html.sync import sync_view

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.report.html.content import Content
    from tests.unit.report.html.conftest import Book

NOW = datetime(2026, 11, 27, 17, 31, tzinfo=UTC)
NOTHING = SyncRecord(waiting=(), changed_by=None, changed=(), surplus=())


def change(kind: str, *, found: tuple[str | None, str | None], wanted: tuple[str | None, str | None]) -> ModuleChange:
    return ModuleChange("", "a1", "m1", kind, *found, *wanted, 7, None)


def run_of(run_id: str, command: str = "sync", **fields: Any) -> RunRecord:
    usual: dict[str, Any] = {
        "started_at": "2026-11-27T17:31:00.000Z",
        "ended_at": None,
        "pid": 1,
        "host": "h",
        "version": "1",
        "input": "modules.csv",
        "create_per_s": 10.0,
        "list_per_s": 10.0,
        "exit_code": 0,
        "stopped": None,
        "summary": None,
    }
    return RunRecord(run_id=run_id, command=command, **(usual | fields))


@pytest.fixture
def content(finished: Callable[[], Book]) -> Content:
    """Return what a page shows after one run, which was no sync."""
    return finished().content()


def view(content: Content, *runs: RunRecord, approvals: tuple[Approval, ...] = (), **sync: Any) -> dict[str, Any]:
    status = replace(content.status, runs=runs or (run_of("r1"),), approvals=approvals)
    made = sync_view(replace(content, status=status, sync=replace(NOTHING, **sync)), now=NOW, program=("bulk",))
    assert made is not None
    return made


def test_a_ledger_of_runs_alone_has_no_section_of_syncs(content: Content) -> None:
    assert sync_view(content, now=NOW, program=("bulk",)) is None


def test_what_waits_is_shown_by_plan_and_account_with_its_command(content: Content) -> None:
    one = Approval(
        account="cn",
        made_at="2026-11-27T17:31:00.000Z",
        until="2026-11-28T17:31:00.000Z",
        plan="p.jsonl",
        changes={"delete": 2},
        reasons={"max_deletes": 2},
    )
    waiting = change("delete", found=("a", "d"), wanted=(None, None))._replace(withheld="max_deletes")

    made = view(
        content, approvals=(one, replace(one, account="eu", changes={"update": 1}, reasons={})), waiting=(waiting,)
    )

    assert made["waiting_in_all"] == 3
    (plan,) = made["plans"]
    assert (plan["changes"], plan["command"], plan["is_old"]) == ("1 update, 2 deletes", "bulk apply p.jsonl", False)
    assert plan["accounts"] == [{"name": "cn", "changes": "2 deletes"}, {"name": "eu", "changes": "1 update"}]
    assert plan["reasons"] == [{"words": "more deletes than --max-deletes allows", "count": 2}]
    assert [one["why"] for one in made["waiting"]] == ["more deletes than --max-deletes allows"]


def test_one_account_without_a_name_is_not_listed_as_an_account(content: Content) -> None:
    one = Approval(
        account="", made_at="2026-11-27T17:31Z", until="2026-11-28T17:31Z", plan=None, changes={}, reasons={}
    )

    assert view(content, approvals=(one,))["plans"][0]["accounts"] == []


@pytest.mark.parametrize(
    ("made", "texts"),
    [
        (
            change("update", found=("old", "same"), wanted=("new", "same")),
            [{"field": "AliasName", "before": "old", "after": "new"}],
        ),
        (
            change("update", found=(None, "old"), wanted=("new", "")),
            [
                {"field": "AliasName", "before": "nothing", "after": "new"},
                {"field": "Desc", "before": "old", "after": "nothing"},
            ],
        ),
        (change("update", found=(None, ""), wanted=("", None)), []),
        (
            change("create", found=(None, None), wanted=("new", None)),
            [{"field": "AliasName", "before": "new", "after": None}],
        ),
        (
            change("delete", found=("", "old"), wanted=(None, None)),
            [{"field": "Desc", "before": "old", "after": None}],
        ),
        (
            change("adopt", found=("theirs", None), wanted=(None, None)),
            [{"field": "AliasName", "before": "theirs", "after": None}],
        ),
    ],
)
def test_a_change_shows_the_fields_that_it_is_about(
    content: Content, made: ModuleChange, texts: list[dict[str, str | None]]
) -> None:
    (group,) = view(content, changed=(made,))["changed"]

    (shown,) = group["changes"]
    assert (shown["texts"], group["why"], shown["line"]) == (texts, None, 7)


@pytest.mark.parametrize(
    ("runs", "changed_by"),
    [
        ((run_of("r2"),), None),
        (
            (run_of("r2"), run_of("r1", summary='{"changes": {"created": 0, "updated": 1200}}')),
            {"run_id": "r1", "task": "sync", "counts": "0 created, 1,200 updated"},
        ),
        (
            (run_of("r1", "apply", applied="cafe0001" * 4, user="ops"),),
            {"run_id": "r1", "task": "apply of cafe0001 by ops", "counts": "it was cut off"},
        ),
    ],
    ids=["not among the last runs", "at its end", "cut off"],
)
def test_the_last_run_that_changed_anything_is_named_with_its_counts(
    content: Content, runs: tuple[RunRecord, ...], changed_by: dict[str, str] | None
) -> None:
    assert view(content, *runs, changed_by="r1")["changed_by"] == changed_by


def test_what_stays_is_shown_by_its_reason_with_an_example(content: Content) -> None:
    (shown,) = view(content, surplus=(StayingModules("not_in_plan", 3, "a1", "m1", "cn"),))["surplus"]

    assert (shown["reason"], shown["modules"], shown["example"], shown["account"]) == ("not in plan", 3, "a1 m1", "cn")
