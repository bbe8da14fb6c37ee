"""Which products are compared: of the wanted file the first ones, of the other side the same."""

from __future__ import annotations

from typing import Any

import pytest

from bulk.engine.looking.scope import Scope
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

ACCOUNTS = {name: AccountSettings(region="cn-shanghai", profile=name) for name in ("cn", "eu")}


def scope(**narrowed: Any) -> Scope:
    return Scope(Settings(region="cn-shanghai", accounts=ACCOUNTS, **narrowed))


def test_first_products_are_taken_with_all_their_rows_and_only_they_are_had() -> None:
    narrowed = scope(limit=2)

    rows = [("", "a1"), ("", "a2"), ("", "a1"), ("", "a3"), ("", "a2")]

    assert [narrowed.takes(*row) for row in rows] == [True, True, True, False, True]
    assert [narrowed.has("", key) for key in ("a1", "a2", "a3")] == [True, True, False]


def test_one_key_in_two_accounts_is_two_products() -> None:
    narrowed = scope(limit=1)

    assert [narrowed.takes("cn", "a1"), narrowed.takes("eu", "a1")] == [True, False]
    assert [narrowed.has(account, "a1") for account in ("cn", "eu", "")] == [True, False, True]
    assert not narrowed.has("", "a2")


def test_product_of_a_file_without_accounts_is_had_in_every_account() -> None:
    narrowed = scope(limit=1)
    narrowed.takes("", "a1")

    assert narrowed.has("cn", "a1")


@pytest.mark.parametrize("asked", ["takes", "has"])
def test_patterns_and_accounts_decide_on_both_sides(asked: str) -> None:
    narrowed = scope(only=("a1*",), only_accounts=("cn",))
    places = [("cn", "a1"), ("", "a1"), ("eu", "a1"), ("cn", "b1")]

    assert [getattr(narrowed, asked)(*place) for place in places] == [True, True, False, False]


@pytest.mark.parametrize(
    ("narrowed", "is_narrowed", "leaves_out"),
    [
        ({}, False, False),
        ({"only_accounts": ("cn",)}, False, True),
        ({"only": ("a1",)}, True, True),
        ({"limit": 1}, True, True),
    ],
)
def test_accounts_alone_leave_out_no_product(narrowed: dict[str, Any], *, is_narrowed: bool, leaves_out: bool) -> None:
    found = scope(**narrowed)

    assert (found.is_narrowed, found.leaves_out) == (is_narrowed, leaves_out)
