from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_for_writing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

BY_KEY = "USING COVERING INDEX rows_by_key (account=? AND product_key=?"
BY_LINE = "USING INTEGER PRIMARY KEY (rowid"
BY_MODULE = "USING PRIMARY KEY (account=? AND product_key=? AND module_name=?)"
OF_ACCOUNT = "USING COVERING INDEX rows_by_key (account=?)"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_for_writing(path)
    opened.execute(f"CREATE TEMP TABLE products AS {query('open_products')}", {"account": ""})
    yield opened
    opened.close()


def plan_of(connection: sqlite3.Connection, name: str) -> list[str]:
    """Return the steps of a query's plan; no value of a parameter changes it."""
    statement = query(name)
    named: dict[str, None] = dict.fromkeys(re.findall(r":(\w+)", statement))
    values = named or [None] * len(set(re.findall(r"\?(\d+)", statement)) or re.findall(r"\?", statement))
    return [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def scanned(steps: list[str]) -> list[str]:
    return [step for step in steps if step.startswith("SCAN")]


def test_rows_of_a_lane_are_found_by_their_products_key(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "open_rows")

    assert any(step.startswith("SEARCH r") and BY_KEY in step for step in steps), steps
    assert any(step.startswith("SEARCH m") and BY_MODULE in step for step in steps), steps
    assert [step for step in scanned(steps) if not step.startswith("SCAN wanted")] == [], steps


def test_the_next_products_are_found_where_the_last_ones_ended(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "next_products")

    assert len(steps) == 1
    assert steps[0].startswith("SEARCH products")
    assert BY_LINE in steps[0]


def test_products_of_several_accounts_are_grouped_in_the_order_of_the_index(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "open_products_of_accounts")

    assert any(step == f"SEARCH r {OF_ACCOUNT}" for step in steps), steps
    assert [step for step in scanned(steps) if "json_each" not in step] == [], steps
    assert "USE TEMP B-TREE FOR GROUP BY" not in steps, steps


@pytest.mark.parametrize(("name", "rows"), [("open_products", "r"), ("crowded_products", "rows")])
def test_products_are_grouped_in_the_order_of_the_index(connection: sqlite3.Connection, name: str, rows: str) -> None:
    steps = plan_of(connection, name)

    assert scanned(steps) == [], steps
    assert [step for step in steps if step.startswith(f"SEARCH {rows}")] == [f"SEARCH {rows} {OF_ACCOUNT}"], steps
    assert "USE TEMP B-TREE FOR GROUP BY" not in steps, steps


@pytest.mark.parametrize(
    "name",
    ["record", "record_created", "record_claim", "add_claim", "add_attempt", "add_row", "add_row_of_account"],
)
def test_what_is_written_for_each_row_looks_at_no_other(connection: sqlite3.Connection, name: str) -> None:
    steps = plan_of(connection, name)

    assert scanned(steps) == [], steps


@pytest.mark.parametrize(
    ("name", "walk"),
    [
        ("count_outcomes", "SCAN r USING COVERING INDEX rows_by_key"),
        ("count_outcomes_by_account", "SCAN r USING COVERING INDEX rows_by_key"),
        ("open_products", f"SEARCH r {OF_ACCOUNT}"),
        ("count_open_products", f"SEARCH r {OF_ACCOUNT}"),
        # What is said of a row that is not provisioned is not in the index; of the others nothing is looked up.
        ("reasons", "SCAN r USING INDEX rows_by_key"),
        ("reasons_of_account", "SEARCH r USING INDEX rows_by_key (account=?)"),
        ("results", "SCAN r"),
    ],
)
def test_how_all_rows_stand_is_one_walk_with_a_search_for_each_module(
    connection: sqlite3.Connection, name: str, walk: str
) -> None:
    steps = plan_of(connection, name)

    assert [step for step in steps if step.startswith(("SCAN r", "SCAN m", "SEARCH r "))] == [walk], steps
    assert any(step.startswith("SEARCH m") and BY_MODULE in step for step in steps), steps


def test_rows_are_counted_without_sorting_them(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "count_outcomes")

    assert [step for step in steps if "TEMP B-TREE" in step] == [], steps


def test_rows_are_counted_by_account_in_the_order_of_their_indexes(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "count_outcomes_by_account")

    # What is sorted is what the two walks left: a group for each account and kind of problem.
    assert [step for step in steps if "TEMP B-TREE" in step] == ["USE TEMP B-TREE FOR GROUP BY"], steps
    assert steps.index("USE TEMP B-TREE FOR GROUP BY") > steps.index("SCAN (subquery-2)"), steps
    assert "SEARCH rows USING COVERING INDEX rows_settled_when_read (outcome>?)" in steps, steps


def test_accounts_with_rows_are_found_from_one_to_the_next(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "accounts_with_rows")

    searched = [step for step in steps if "rows" in step and step.startswith("SEARCH")]
    assert "SEARCH rows USING COVERING INDEX rows_by_key (account>?)" in searched, steps
    assert not [step for step in scanned(steps) if "rows" in step], steps


def test_whether_accounts_share_a_target_is_asked_of_the_targets_alone(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "accounts_of_one_target")

    assert [step for step in scanned(steps) if step != "SCAN CONSTANT ROW"] == ["SCAN target"], steps
    assert "SEARCH rows USING COVERING INDEX rows_by_key (account=?)" in steps, steps


def test_products_of_several_accounts_are_one_walk_along_the_index(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "mark_shared_products")

    assert [step for step in scanned(steps) if "rows" in step] == ["SCAN rows USING COVERING INDEX rows_by_key"], steps
    found = [step for step in steps if step.startswith("SEARCH rows")]
    assert len(found) == 2, steps
    assert all("rows_by_key (account=? AND product_key=?" in step for step in found), steps


@pytest.mark.parametrize(
    "name", ["count_handed_over", "take_over_1_merged", "take_over_2_doubled", "take_over_3_modules"]
)
def test_modules_that_are_taken_over_are_those_of_the_two_accounts_alone(
    connection: sqlite3.Connection, name: str
) -> None:
    steps = plan_of(connection, name)

    assert not [step for step in scanned(steps) if "modules" in step], steps
    assert any(step.startswith("SEARCH modules USING") and "(account=?" in step for step in steps), steps


@pytest.mark.parametrize("name", ["count_outcomes", "reasons"])
def test_rows_that_were_settled_when_read_are_found_by_an_index_of_their_own(
    connection: sqlite3.Connection, name: str
) -> None:
    steps = plan_of(connection, name)

    assert any(step.startswith("SEARCH rows") and "rows_settled_when_read (outcome" in step for step in steps), steps


@pytest.mark.parametrize("name", ["count_absent", "count_absent_by_account"])
def test_absent_modules_are_one_scan_with_a_search_for_each_key(connection: sqlite3.Connection, name: str) -> None:
    steps = plan_of(connection, name)

    assert [step.removesuffix(" USING PRIMARY KEY") for step in scanned(steps)] == ["SCAN m"], steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps
    assert any(
        step.startswith("SEARCH r") and "rows_by_key (account=? AND product_key=? AND module_name=?)" in step
        for step in steps
    ), steps


def test_repeats_are_found_by_the_index_and_their_first_line_by_its_number(connection: sqlite3.Connection) -> None:
    steps = plan_of(connection, "mark_repeats")

    walks = [re.sub("COVERING ", "", step) for step in scanned(steps)]
    assert walks == ["SCAN rows USING INDEX rows_by_key", "SCAN repeated"], steps
    assert not [step for step in steps if "TEMP B-TREE" in step], steps
    assert any(step.startswith("SEARCH f ") and BY_LINE in step for step in steps), steps
    assert any(
        step.startswith("SEARCH rows") and "rows_by_key (account=? AND product_key=?" in step for step in steps
    ), steps
