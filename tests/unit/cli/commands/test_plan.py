from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.cli.screens.plan import plan_lines
from bulk.engine.planned import FullProduct, Plan, PlannedAccount, PlannedRow
from bulk.model import InputFound, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def plan() -> Plan:
    return Plan(
        input="in.csv",
        ledger="in.csv.ledger.db",
        target="https://h (tuya)",
        offline=False,
        rows=100,
        outcomes=dict.fromkeys(Outcome, 0) | {"created": 80, "exists": 8, "over_budget": 12},
        requests={"list": 20, "create": 80},
        seconds=8.0,
        would_create=80,
        full_products=(FullProduct("pk3", tuple(f"mod-{n}" for n in range(10)), tuple(range(30, 42))),),
        examples=(
            PlannedRow(2, "pk1", "mod-1", Outcome.CREATED),
            PlannedRow(30, "pk3", "mod-11", Outcome.OVER_BUDGET, "all slots are taken"),
            PlannedRow(99, None, None, Outcome.INVALID, "ModuleName is missing"),
        ),
    )


def test_screen_says_what_was_found_of_the_input(plan: Plan) -> None:
    found = InputFound(
        format="csv",
        encoding="utf-8-sig",
        delimiter=";",
        header_line=3,
        columns={"ProductKey": "pk", "ModuleName": "模块名"},
        carried=("owner",),
        notices=("Columns not sent, but kept in the results: 'owner'",),
    )

    assert plan_lines(replace(plan, found=found))[1:4] == [
        "Read as CSV, UTF-8-SIG, semicolon between cells, header on line 3",
        "Columns: ProductKey from 'pk', ModuleName from '模块名'",
        "Columns not sent, but kept in the results: 'owner'",
    ]


def test_screen_says_what_would_happen(plan: Plan) -> None:
    assert plan_lines(plan) == [
        "Plan for in.csv: 100 rows, listed at https://h (tuya)",
        "",
        "  80  to create    would be created",
        "   8  exists       was there already, as the row wants it",
        "  12  over budget  all ten slots of its product are taken",
        "",
        "Products without a slot for every row",
        "  pk3: no slot for lines 30, 31, 32, 33, 34, 35, 36, 37 and 4 more",
        "    on the platform: mod-0, mod-1, mod-2, mod-3, mod-4, mod-5, mod-6, mod-7,",
        "      mod-8, mod-9",
        "",
        "The first rows of each kind",
        "  line  becomes      product  module  why",
        "     2  to create    pk1      mod-1",
        "    30  over budget  pk3      mod-11  all slots are taken",
        "    99  invalid      -        -       ModuleName is missing",
        "",
        "Requests: 20 lists and 80 creates, 8.0 s at these rates",
        "Ledger: in.csv.ledger.db",
    ]


def test_screen_tells_modules_made_already_from_those_to_make(plan: Plan) -> None:
    made = PlannedRow(3, "pk1", "mod-2", Outcome.CREATED, already=True)
    some = plan_lines(replace(plan, would_create=30, already_created=50, examples=(made, *plan.examples)))
    none = plan_lines(replace(plan, would_create=0, already_created=80))

    assert "  30  to create    would be created" in some
    assert "  50  created      already, by earlier runs of this ledger" in some
    assert "     3  created      pk1      mod-2" in some
    assert "  80  created      already, by earlier runs of this ledger" in none
    assert not [line for line in none if "would be created" in line]


def test_screen_says_when_a_run_would_end_in_the_zone_of_this_machine(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        lines = plan_lines(replace(plan, ends_at="2026-11-23T02:12:00+00:00"))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert "Would finish at 2026-11-23 03:12 CET if started now" in lines


def test_screen_says_that_unlimited_requests_take_no_time_of_their_own(plan: Plan) -> None:
    assert "Requests: 20 lists and 80 creates, without a limit" in plan_lines(replace(plan, seconds=0))


def test_rows_outside_are_left_for_another_run(plan: Plan) -> None:
    outcomes = {**plan.outcomes, "pending": 7}

    assert "   7  pending      left for another run by --limit or --only" in plan_lines(
        replace(plan, outcomes=outcomes, outside=7)
    )
    assert "   7  pending      not looked at" in plan_lines(replace(plan, outcomes=outcomes))


def test_earlier_rows_that_get_the_last_slots_are_named(plan: Plan) -> None:
    lines = plan_lines(replace(plan, full_products=(FullProduct("pk3", ("mod-0",), (30,), given_to=(3, 4)),)))

    assert "  pk3: no slot for line 30" in lines
    assert "    the slots left go to lines 3, 4; on the platform: mod-0" in lines


def test_screen_of_a_plan_cut_short_says_so(plan: Plan) -> None:
    assert plan_lines(replace(plan, stopped="interrupted by Ctrl-C"))[1] == "Incomplete: interrupted by Ctrl-C"


def test_product_that_is_filled_by_the_file_alone_says_so(plan: Plan) -> None:
    lines = plan_lines(replace(plan, full_products=(FullProduct("pk3", (), (30, 31)),)))

    assert "    earlier lines take all ten" in lines


def test_full_products_that_do_not_fit_are_counted(plan: Plan) -> None:
    lines = plan_lines(replace(plan, full_products=plan.full_products * 7))

    assert "  and 2 more products: see --json" in lines


@pytest.mark.parametrize("width", [50, 80])
def test_screen_stays_inside_the_terminal(plan: Plan, width: int) -> None:
    assert max(map(len, plan_lines(plan, width=width))) <= width


def test_offline_plan_of_a_file_needs_no_key_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("ProductKey,ModuleName\npk1,mod-1\npk1,mod-1\npk2,mod 2\n", encoding="utf-8")

    exit_code = main(["plan", str(source), "--endpoint", "https://h.tuyacloud.com:8686/", "--offline", "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert exit_code == printed["exit_code"] == 1
    assert {name: rows for name, rows in printed["outcomes"].items() if rows} == {
        "created": 1,
        "duplicate": 1,
        "invalid": 1,
    }
    assert printed["requests"] == {"list": 1, "create": 1}
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(("stopped", "words"), [(None, "none"), ("interrupted", "not known, the plan is incomplete")])
def test_plan_without_requests_does_not_say_that_they_are_unlimited(
    plan: Plan, stopped: str | None, words: str
) -> None:
    nothing = replace(plan, requests={"list": 0, "create": 0}, seconds=0, stopped=stopped)

    assert f"Requests: {words}" in plan_lines(nothing)


@pytest.fixture
def of_accounts(plan: Plan) -> Callable[[int], Plan]:
    """Return a maker of a plan with so many accounts: one could not be asked, one has a full product."""

    def make(count: int) -> Plan:
        accounts = {}
        for number in range(count):
            full = {"created": 48, "over_budget": 12} if number == 2 else {"created": 60}
            outcomes = {"pending": 60} if number == 1 else full
            creates = outcomes.get("created", 0)
            accounts[f"factory-{number:03}"] = PlannedAccount(
                target="https://h (tuya)",
                rows=60,
                outcomes=dict.fromkeys(map(str, Outcome), 0) | outcomes,
                requests={"list": 6, "create": creates},
                seconds=72.0 if number == 0 else creates / 10,
                stopped="InvalidAccessKeyId.NotFound: the key is not known" if number == 1 else None,
            )
        stopped = "account factory-001: InvalidAccessKeyId.NotFound: the key is not known"
        return replace(plan, rows=60 * count, accounts=accounts, seconds=72.0, stopped=stopped)

    return make


def test_plan_of_three_accounts_says_what_each_would_do(of_accounts: Callable[[int], Plan]) -> None:
    lines = plan_lines(of_accounts(3))

    at = lines.index("Accounts       rows  to create       takes")
    assert lines[at + 1 : at + 5] == [
        "  factory-001    60          0           -  incomplete:",
        "      InvalidAccessKeyId.NotFound: the key is not known",
        "  factory-000    60         60  1 min 12 s  takes longest",
        "  factory-002    60         48       4.8 s  12 over budget",
    ]
    assert "Incomplete: 1 of 3 accounts could not be asked" in lines
    assert "Requests: 20 lists and 80 creates, 1 min 12 s, all accounts side by side" in lines


def test_plan_of_150_accounts_names_those_in_trouble_and_the_slowest(of_accounts: Callable[[int], Plan]) -> None:
    lines = plan_lines(of_accounts(150))

    named = [line.split()[0] for line in lines if line.startswith("  factory-")]
    assert named == ["factory-001", "factory-000", "factory-002"]
    assert "  147 accounts: every row can be provisioned; 8,820 creates in up to 6.0 s" in lines


def test_plan_without_accounts_shows_none(plan: Plan) -> None:
    assert not [line for line in plan_lines(plan) if "account" in line.lower()]


def test_rows_and_full_products_of_a_plan_say_whose_they_are(plan: Plan) -> None:
    full = tuple(replace(product, account="天河") for product in plan.full_products)
    rows = tuple(replace(row, account="天河" if row.product_key else None) for row in plan.examples)

    lines = plan_lines(replace(plan, full_products=full, examples=rows))

    assert "  pk3 of 天河: no slot for lines 30, 31, 32, 33, 34, 35, 36, 37 and 4 more" in lines
    at = next(number for number, line in enumerate(lines) if line.startswith("  line  becomes"))
    assert lines[at : at + 4] == [
        "  line  becomes      account  product  module  why",
        "     2  to create    天河     pk1      mod-1",
        "    30  over budget  天河     pk3      mod-11  all slots are taken",
        "    99  invalid      -        -        -       ModuleName is missing",
    ]


def test_jsonl_has_no_header_to_name(plan: Plan) -> None:
    found = InputFound(
        format="jsonl", encoding="utf-8", delimiter=None, header_line=None, columns={}, carried=(), notices=()
    )

    assert plan_lines(replace(plan, found=found))[1] == "Read as JSONL, UTF-8"


def test_product_whose_slots_go_to_earlier_lines_alone_says_only_that(plan: Plan) -> None:
    lines = plan_lines(replace(plan, full_products=(FullProduct("pk3", (), (30,), given_to=(3, 4)),)))

    at = lines.index("  pk3: no slot for line 30")
    assert lines[at + 1 : at + 3] == ["    the slots left go to lines 3, 4", ""]


def test_no_account_takes_longest_where_none_takes_time(of_accounts: Callable[[int], Plan]) -> None:
    plan = of_accounts(3)
    at_once = {name: replace(account, seconds=0.0) for name, account in plan.accounts.items()}

    assert not [line for line in plan_lines(replace(plan, accounts=at_once)) if "takes longest" in line]
