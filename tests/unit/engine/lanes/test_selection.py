from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.lanes.selection import EVERYTHING, select, selected_lanes
from bulk.ledger.store import Ledger
from bulk.model import Dialect, ReadRows, Target
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGET = Target(Dialect.ALIBABA, "https://platform.example")
ACCOUNTS = ("cn", "eu")
ROWS = [("cn", "p1", "m1"), ("cn", "p1", "m2"), ("eu", "p2", "m1"), ("cn", "p3", "m1"), ("eu", "p4", "m1")]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with five open rows of four products in two accounts, in the order of `ROWS`."""
    with closing(Ledger.open(tmp_path / "l.db", targets=dict.fromkeys(ACCOUNTS, TARGET))) as opened:
        rows = [(line, key, name, "", "", "") for line, (_, key, name) in enumerate(ROWS, 2)]
        with opened.intake(name="m.csv", shape="{}", at=0.0) as intake:
            intake.add(ReadRows(rows, [], [account for account, *_ in ROWS]))
        yield opened


def settings(**fields: Any) -> Settings:
    accounts = {name: AccountSettings(endpoint=f"https://{name}.example") for name in ACCOUNTS}
    return Settings(accounts=accounts, **fields)


def test_without_options_every_open_row_is_tried(ledger: Ledger) -> None:
    selection = select(ledger, settings(), ACCOUNTS)

    assert selection is EVERYTHING
    assert (selection.of("cn"), selection.outside) == (None, 0)


@pytest.mark.parametrize(
    ("fields", "accounts", "products", "outside"),
    [
        ({"limit": 2}, ACCOUNTS, {"cn": {"p1": 2}, "eu": {"p2": 1}}, 2),
        ({"limit": 9}, ACCOUNTS, {"cn": {"p1": 2, "p3": 1}, "eu": {"p2": 1, "p4": 1}}, 0),
        ({"only": ("p3", "p4")}, ACCOUNTS, {"cn": {"p3": 1}, "eu": {"p4": 1}}, 3),
        ({"only": ("p3", "p4"), "limit": 1}, ACCOUNTS, {"cn": {"p3": 1}, "eu": {}}, 4),
        ({"only": ("none",)}, ACCOUNTS, {"cn": {}, "eu": {}}, 5),
        ({"limit": 1, "only_accounts": ("eu",)}, ("eu",), {"eu": {"p2": 1}}, 4),
    ],
)
def test_a_trial_is_the_start_of_the_file_and_the_rest_is_left(
    ledger: Ledger, fields: dict[str, Any], accounts: tuple[str, ...], products: dict[str, Any], outside: int
) -> None:
    selection = select(ledger, settings(**fields), accounts)

    assert {account: selection.of(account) for account in accounts} == products
    assert selection.outside == outside


@pytest.mark.parametrize(("accounts", "outside"), [(("cn",), 2), (("cn", "eu"), 0)])
def test_the_rows_of_other_accounts_are_left_for_another_run(
    ledger: Ledger, accounts: tuple[str, ...], outside: int
) -> None:
    selection = select(ledger, settings(only_accounts=accounts), accounts)

    assert (selection.of("cn"), selection.outside) == (None, outside)


async def test_lanes_are_those_of_the_selected_products(ledger: Ledger) -> None:
    selection = select(ledger, settings(only=("p1",)), ACCOUNTS)

    async with selected_lanes(ledger, selection, "cn") as lanes:
        found = lanes.next_lanes()

    assert [(lane.product_key, [row.module.module_name for row in lane.rows]) for lane in found] == [
        ("p1", ["m1", "m2"])
    ]
