"""What is made of several accounts."""

from __future__ import annotations

import pytest

from bulk.engine.checks.diagnosis import Verdict, identity_check
from bulk.engine.checks.together import accounts_check, listed, rate_groups_check
from bulk.model import Failure, FailureKind, Identity


def test_accounts_of_one_uid_in_two_groups_are_warned_of_with_what_to_write() -> None:
    check = rate_groups_check({"a": "k1", "b": "k2", "c": "k3"}, {"a": "1", "b": "1", "c": "2"})

    assert check.verdict is Verdict.WARNED
    assert check.detail.startswith("a and b are one account for the platform, UID 1, but are in different rate groups")
    assert check.remedy == "Write the UID as rate_group of each of these accounts."


def test_accounts_of_two_uids_in_one_group_are_warned_of() -> None:
    check = rate_groups_check({"a": "g", "b": "g", "c": "g"}, {"a": "1", "b": "2"})

    assert check.verdict is Verdict.WARNED
    assert check.detail == "a (UID 1) and b (UID 2) share a rate group but not a UID: each could send at the whole rate"


def test_many_mistakes_are_not_all_shown() -> None:
    accounts = {f"{side}{number}": f"{side}{number}" for number in range(9) for side in "ab"}

    check = rate_groups_check(accounts, {name: name[1:] for name in accounts})

    assert len(check.detail.splitlines()) == 6
    assert check.detail.endswith("and 4 more like these")


@pytest.mark.parametrize(
    ("groups", "uids", "verdict", "detail"),
    [
        (
            {"a": "1", "b": "1"},
            {"a": "1", "b": "1"},
            Verdict.PASSED,
            "1 rate group; the UIDs of 2 of 2 accounts are known",
        ),
        ({"a": "x", "b": "y"}, {"a": "1"}, Verdict.PASSED, "2 rate groups; the UIDs of 1 of 2 accounts are known"),
        ({}, {}, Verdict.SKIPPED, "no keys to tell rate groups by"),
    ],
)
def test_groups_that_are_as_the_platform_counts_pass(
    groups: dict[str, str], uids: dict[str, str], verdict: Verdict, detail: str
) -> None:
    check = rate_groups_check(groups, uids)

    assert (check.verdict, check.detail) == (verdict, detail)


def test_identity_that_is_not_told_is_no_failure() -> None:
    told = identity_check(Identity("123", "acs:ram::123:user/u", "R", 200))
    untold = identity_check(Failure(kind=FailureKind.DENIED, code="NoPermission", message="No."))

    assert (told.verdict, told.detail) == (Verdict.PASSED, "UID 123, acs:ram::123:user/u")
    assert untold.verdict is Verdict.SKIPPED


def test_accounts_that_do_not_go_together_fail() -> None:
    assert accounts_check("two are one").verdict is Verdict.FAILED
    assert accounts_check(None).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "n0"), (2, "n0 and n1"), (3, "n0, n1 and n2"), (20, "n0, n1, n2, n3, n4, n5, n6, n7 and 12 more")],
)
def test_names_are_listed_as_a_sentence_has_them(count: int, words: str) -> None:
    assert listed([f"n{number}" for number in range(count)]) == words
