from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.cli.screens.doctor import account_lines
from bulk.engine.checks.diagnosis import Check, Verdict
from bulk.engine.checks.doctor import Examination

if TYPE_CHECKING:
    from bulk.report.tones import Tone

WELL = (Check("endpoint", Verdict.PASSED, "reached"), Check("keys", Verdict.PASSED, "accepted"))
REFUSED = Check("keys", Verdict.FAILED, "refused", "Check them.")
SKIPPED = Check("listing", Verdict.SKIPPED, "the keys were refused")
SLOW = Check("speed", Verdict.WARNED, "slow", "Give more.")
ALL = (Check("settings", Verdict.PASSED, "150 accounts"),)


def shown(accounts: dict[str, tuple[Check, ...]], width: int = 80) -> list[str]:
    def plain(text: str, _tone: Tone) -> str:
        return text

    return list(account_lines(Examination(ALL, accounts), width=width, paint=plain))


def test_many_accounts_are_a_screen_with_failures_first_and_each_cause_once() -> None:
    accounts: dict[str, tuple[Check, ...]] = {f"factory-{number:03}": WELL for number in range(150)}
    accounts |= {f"factory-{number:03}": (WELL[0], REFUSED, SKIPPED) for number in (7, 20, 140)}
    accounts["factory-100"] = (*WELL, SLOW)

    lines = shown(accounts)

    assert lines == [
        "FAILED keys     3 accounts, factory-007, factory-020, factory-140:",
        "                refused",
        "                → Check them.",
        "look   speed    account factory-100:",
        "                slow",
        "                → Give more.",
        "ok     accounts nothing is wrong with 146 accounts: factory-000, factory-001,",
        "                factory-002, factory-003, factory-004, factory-005, factory-006,",
        "                factory-008 and 138 more",
        "",
        "ok     settings 150 accounts",
    ]


def test_few_accounts_are_shown_whole_those_in_trouble_first() -> None:
    lines = shown({"cn": WELL, "eu": (*WELL, SLOW), "us": (WELL[0], REFUSED, SKIPPED)})

    assert [line for line in lines if line.startswith("account ")] == ["account us", "account eu", "account cn"]
    assert lines[1:5] == [
        "ok     endpoint reached",
        "FAILED keys     refused",
        "                → Check them.",
        "-      listing  the keys were refused",
    ]


def test_many_accounts_in_trouble_leave_none_to_call_well() -> None:
    lines = shown({f"factory-{number:03}": (WELL[0], REFUSED, SKIPPED) for number in range(150)})

    assert lines[0].startswith("FAILED keys     150 accounts, factory-000, ")
    assert not [line for line in lines if "nothing is wrong" in line]
