from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.cli.app import main
from bulk.cli.plan_screen import plan_lines
from bulk.engine.plan import FullProduct, Plan, PlannedRow
from bulk.model import Outcome

if TYPE_CHECKING:
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
        full_products=(FullProduct("pk3", tuple(f"mod-{n}" for n in range(10)), tuple(range(30, 42))),),
        examples=(
            PlannedRow(2, "pk1", "mod-1", Outcome.CREATED),
            PlannedRow(30, "pk3", "mod-11", Outcome.OVER_BUDGET, "all slots are taken"),
            PlannedRow(99, None, None, Outcome.INVALID, "ModuleName is missing"),
        ),
    )


def test_screen_says_what_would_happen(plan: Plan) -> None:
    assert plan_lines(plan) == [
        "Plan for in.csv: 100 rows, asked of https://h (tuya)",
        "",
        "  80  created      would be created",
        "   8  exists       was there already, as the row wants it",
        "  12  over budget  its product has no slot left of its ten",
        "",
        "Products without a slot for every row",
        "  pk3: no slot for line 30, 31, 32, 33, 34, 35, 36, 37 and 4 more",
        "    on the platform: mod-0, mod-1, mod-2, mod-3, mod-4, mod-5, mod-6, mod-7, mo…",
        "",
        "The first rows of each kind",
        "  line 2   created      pk1 mod-1",
        "  line 30  over budget  pk3 mod-11: all slots are taken",
        "  line 99  invalid      - -: ModuleName is missing",
        "",
        "Requests: 20 lists and 80 creates, 8.0 s at the granted rate",
        "Ledger: in.csv.ledger.db",
    ]


def test_screen_tells_modules_made_already_from_those_to_make(plan: Plan) -> None:
    some = plan_lines(replace(plan, requests={"list": 1, "create": 30}))
    none = plan_lines(replace(plan, requests={"list": 0, "create": 0}))

    assert "  80  created      30 would be created, 50 were by this ledger" in some
    assert "  80  created      were, by this ledger" in none


def test_screen_of_a_plan_cut_short_says_so(plan: Plan) -> None:
    assert plan_lines(replace(plan, stopped="interrupted by Ctrl-C"))[1] == "Not whole: interrupted by Ctrl-C"


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
