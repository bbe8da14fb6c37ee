from __future__ import annotations

import pytest

from bulk.report.accounts import AccountLine, Gravity, account_line, account_table
from bulk.report.tones import Tone
from bulk.report.wording import columns_of

HEADINGS = ("exit", "provisioned")


def line(name: str, outcomes: dict[str, int], *, stopped: str | None = None, exit_code: int | None = 0) -> AccountLine:
    return account_line(name, outcomes, exit_code=exit_code, stopped=stopped)


def table(*lines: AccountLine, width: int = 80, room: int = 16, nameless: int = 0) -> list[str]:
    return account_table(lines, HEADINGS, width=width, room=room, all_by="bulk status l.db --json", nameless=nameless)


def test_few_accounts_are_all_shown_the_gravest_first() -> None:
    shown = table(
        line("eu", {"created": 1_200}),
        line("cn", {"created": 7, "over_budget": 3}, exit_code=1),
        line("us", {"pending": 5}, stopped="the key is not known", exit_code=3),
    )

    assert shown == [
        "Accounts  exit     provisioned",
        "  us         3          0 of 5  the key is not known",
        "  cn         1         7 of 10  3 over budget",
        "  eu         0  1,200 of 1,200",
    ]


def test_of_many_accounts_those_that_are_well_are_one_line() -> None:
    well = [line(f"eu-{number}", {"created": 10}) for number in range(143)]
    waiting = [line(f"cn-{number}", {"pending": 10}, exit_code=1) for number in range(5)]

    shown = table(*well, *waiting, line("us", {"failed": 5}, exit_code=1), line("hk", {}))

    assert shown == [
        "Accounts  exit  provisioned",
        "  us         1       0 of 5  5 failed",
        "  5 accounts: rows that wait for a run",
        "  143 accounts: every row is provisioned",
        "  1 account: no rows",
    ]


def test_accounts_that_stopped_for_one_reason_share_it() -> None:
    stopped = [line(f"cn-{number}", {"pending": 1}, stopped="no network", exit_code=3) for number in range(40)]

    shown = table(*stopped, line("us", {"pending": 1}, stopped="the key is not known", exit_code=3))

    assert shown[1:] == [
        "  40 accounts: cn-0, cn-1, cn-2 and 37 more",
        "      no network",
        "  us         3       0 of 1  the key is not known",
    ]


def test_reasons_take_as_many_lines_as_there_is_room_for() -> None:
    long = "SignatureDoesNotMatch: " + "the keys are from environment variables; " * 5
    stopped = [line(f"cn-{number}", {"pending": 1}, stopped=f"{number} {long}", exit_code=3) for number in range(7)]

    roomy, tight, tightest = (table(*stopped, room=room) for room in (22, 15, 8))

    assert [len(shown) for shown in (roomy, tight, tightest)] == [22, 15, 8]
    assert all(f"cn-{number}" in "".join(shown) for number in range(7) for shown in (roomy, tight, tightest))


def test_accounts_that_do_not_fit_are_counted_with_the_command_that_shows_them() -> None:
    failed = [line(f"cn-{number}", {"failed": number + 1}, exit_code=1) for number in range(50)]

    shown = table(*failed, room=7)

    assert len(shown) == 7
    assert shown[1].split()[0] == "cn-49"
    assert shown[-1] == "  and 45 more accounts: bulk status l.db --json"


def test_rows_that_name_no_account_are_counted() -> None:
    assert table(line("eu", {"created": 1}), nameless=1)[-1] == "  1 row that names no account of the settings"
    assert table(line("eu", {"created": 1}), nameless=2)[-1] == "  2 rows that name no account of the settings"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_names_of_wide_characters_keep_the_columns(width: int) -> None:
    shown = table(
        line("天河工厂", {"created": 5, "drifted": 3}, exit_code=1),
        line("eu", {"pending": 1}, stopped="不支持的密钥 " * 9, exit_code=3),
        line("一二三四五六七八九十一二三四五六七八九十", {"created": 8}),
        width=width,
    )

    figures = [columns_of(text.partition(" of ")[0]) for text in shown if " of " in text]
    assert all(columns_of(text) <= width for text in shown if "不" not in text)
    assert len(set(figures)) <= 1


def test_long_names_that_differ_at_their_ends_can_be_told_apart() -> None:
    names = [f"production-line-of-the-shanghai-factory-{number:02}" for number in range(3)]

    shown = table(*(line(name, {"created": 1}) for name in names))

    assert [text.split()[0] for text in shown[1:]] == [f"production-line-…ghai-factory-{n:02}" for n in range(3)]


def test_a_run_whose_code_is_not_known_has_a_dash() -> None:
    assert table(line("eu", {"created": 1}, exit_code=None))[1] == "  eu         -       1 of 1"


def test_colours_change_no_word() -> None:
    lines = [line("eu", {"created": 1}), line("us", {"pending": 5}, stopped="the key is not known", exit_code=3)]
    used: list[Tone] = []

    def paint(text: str, tone: Tone) -> str:
        used.append(tone)
        return text

    assert account_table(lines, HEADINGS, width=80, room=9, all_by="", paint=paint) == table(*lines)
    assert used == [Tone.HEADING, Tone.BAD, Tone.GOOD]


def test_gravity_is_that_of_the_gravest_row() -> None:
    found = [
        line("a", outcomes).gravity for outcomes in ({"unknown": 1, "pending": 1}, {"sending": 1}, {"exists": 1}, {})
    ]

    assert found == [Gravity.IN_TROUBLE, Gravity.OPEN, Gravity.DONE, Gravity.EMPTY]


def test_reason_that_is_cut_keeps_the_code_and_the_remedy() -> None:
    reason = (
        "SignatureDoesNotMatch: Specified signature is not matched with our calculation. The keys are from environment "
        "variables K12_…; a run reads these once: correct K12_ACCESS_KEY_ID, K12_ACCESS_KEY_SECRET and "
        "K12_SECURITY_TOKEN, then run again. The AccessKey secret does not belong to the key id."
    )

    shown = table(line("cn-1", {"pending": 9}, stopped=reason, exit_code=3), line("eu", {"created": 1}), room=5)

    assert len(shown) == 4 + 1
    assert "SignatureDoesNotMatch: " in shown[1]
    assert "…" in shown[1]
    assert shown[3].endswith("does not belong to the key id.")
    assert max(map(columns_of, shown)) <= 80
