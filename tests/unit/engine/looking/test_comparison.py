"""What a comparison finds between wanted rows and what is there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.engine.looking.comparison import Comparison, Finding, Verdict
from bulk.model import OtaModule

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def comparison() -> Iterator[Comparison]:
    with closing(Comparison()) as one:
        yield one


def module(name: str, alias: str | None = None, desc: str | None = None, *, key: str = "a1A") -> OtaModule:
    return OtaModule(key, name, alias, desc)


def found(comparison: Comparison, *, surplus: bool = False) -> list[tuple[Verdict, int | None, str]]:
    return [(each.verdict, each.line, each.module_name) for each in comparison.findings(surplus=surplus)]


def test_each_row_is_judged_in_the_order_of_the_lines(comparison: Comparison) -> None:
    comparison.want(
        (line, "", module(name, "x")) for line, name in ((5, "gone"), (2, "same"), (3, "other"), (4, "Case"))
    )
    comparison.add("", [(None, module("same", "x", "not asked for")), (None, module("other", "y"))])
    comparison.add("", [(None, module("case", "x")), (None, module("theirs"))])

    assert found(comparison, surplus=True) == [
        (Verdict.DIFFERENT, 3, "other"),
        (Verdict.DIFFERENT, 4, "Case"),
        (Verdict.MISSING, 5, "gone"),
        (Verdict.SURPLUS, None, "theirs"),
    ]
    assert found(comparison) == found(comparison, surplus=True)[:-1]


def test_what_differs_is_said_field_by_field(comparison: Comparison) -> None:
    comparison.want([(2, "", module("m", "x", "d"))])
    comparison.add("", [(None, module("M", "y"))])

    (one,) = comparison.findings(surplus=False)
    assert one.reason == (
        "ModuleName: wanted 'm', found 'M'; AliasName: wanted 'x', found 'y'; Desc: wanted 'd', found ''"
    )


def test_product_that_was_not_read_is_neither_missing_nor_equal(comparison: Comparison) -> None:
    comparison.want([(2, "cn", module("m")), (3, "eu", module("m"))])
    comparison.add("cn", [(None, module("m"))])
    comparison.leave_unread("eu", "a1A", "too early")
    comparison.leave_unread("eu", "a1A", "refused")

    assert list(comparison.findings(surplus=True)) == [Finding(Verdict.UNREAD, 3, "eu", "a1A", "m", "refused")]


def test_rows_that_can_not_be_read_count_on_their_own_side(comparison: Comparison) -> None:
    comparison.want([(2, "", module("m"))])
    comparison.invalid([Finding(Verdict.UNREAD, 3, "", "a1A", "n", "wrong")])
    comparison.invalid([Finding(Verdict.UNREAD, 9, "", "a1A", "n", "b.csv: wrong")], of_other=True)

    assert (comparison.rows, comparison.unread_of_other) == (2, 1)
    assert found(comparison) == [
        (Verdict.MISSING, 2, "m"),
        (Verdict.UNREAD, 3, "n"),
        (Verdict.UNREAD, 9, "n"),
    ]


@pytest.mark.parametrize(
    ("account", "key", "name", "hidden"),
    [
        ("", "a1A", "", ["m", "n"]),
        ("", "a1A", "M", ["m"]),
        ("", "", "", ["m", "n"]),
        ("", "", "n", ["n"]),
        ("eu", "", "", []),
        ("", "a1B", "", []),
    ],
)
def test_a_module_that_an_unread_row_of_the_other_file_may_mean_is_not_missing(
    account: str, key: str, name: str, hidden: list[str], comparison: Comparison
) -> None:
    comparison.want([(2, "cn", module("m")), (3, "cn", module("n"))])
    comparison.invalid([Finding(Verdict.UNREAD, 9, account, key, name, "b.csv: wrong")], of_other=True)

    of_the_rows = [each for each in comparison.findings(surplus=False) if each.line != 9]

    assert [each.module_name for each in of_the_rows if each.verdict is Verdict.UNREAD] == hidden
    assert len(of_the_rows) == 2


def test_surplus_of_a_file_names_its_line(comparison: Comparison) -> None:
    comparison.add("", [(7, module("theirs"))])
    comparison.add("cn", [(None, module("theirs"))])

    assert [(each.line, each.account, each.reason) for each in comparison.findings(surplus=True)] == [
        (None, "", "line 7 of the other file, and no row asks for it"),
        (None, "cn", "on the platform, and no row asks for it"),
    ]


def test_without_accounts_only_the_keys_count(comparison: Comparison) -> None:
    comparison.want([(2, "cn", module("m"))])
    comparison.add("eu", [(2, module("m"))])
    comparison.add("us", [(3, module("m"))])
    assert found(comparison) == [(Verdict.MISSING, 2, "m")]

    comparison.forget_accounts()

    assert found(comparison, surplus=True) == []
    assert comparison.products() == [("", "a1A")]
