from __future__ import annotations

import pytest

from bulk.control.budget import decide, judge
from bulk.model import MAX_CUSTOM_MODULES, ChangeKind, OtaModule, Outcome, Row

KEY = "a1Product01"


def module(name: str, alias: str | None = None, desc: str | None = None) -> OtaModule:
    return OtaModule(KEY, name, alias, desc)


def row(line: int, name: str, alias: str | None = None, desc: str | None = None, *, in_doubt: bool = False) -> Row:
    return Row(line, module(name, alias, desc), in_doubt=in_doubt)


def listed(count: int) -> list[OtaModule]:
    return [module(f"old-{index}") for index in range(count)]


def test_rows_are_admitted_in_file_order_until_the_tenth_slot() -> None:
    rows = [row(line, f"new-{line}") for line in (2, 3, 4, 5)]

    decision = decide(rows, listed(7))

    assert [admitted.line for admitted in decision.admitted] == [2, 3, 4]
    assert [decided.row.line for decided in decision.over_budget] == [5]


def test_default_takes_no_slot() -> None:
    decision = decide([row(2, "new")], [*listed(9), module("Default")])

    assert [admitted.line for admitted in decision.admitted] == [2]


def test_a_row_that_is_there_already_takes_no_second_slot() -> None:
    decision = decide([row(2, "OLD-0"), row(3, "old-1"), row(4, "new")], listed(9))

    assert [(decided.row.line, decided.outcome) for decided in decision.there] == [
        (2, Outcome.DRIFTED),
        (3, Outcome.EXISTS),
    ]
    assert [admitted.line for admitted in decision.admitted] == [4]


def test_a_product_with_more_modules_than_allowed_admits_nothing() -> None:
    decision = decide([row(2, "new")], listed(MAX_CUSTOM_MODULES + 2))

    assert decision.admitted == ()
    assert [decided.outcome for decided in decision.over_budget] == [Outcome.OVER_BUDGET]


def test_held_slots_are_kept_back() -> None:
    decision = decide([row(2, "new"), row(3, "newer")], listed(8), held=1)

    assert [admitted.line for admitted in decision.admitted] == [2]
    assert "1 by an earlier row that is still open" in (decision.over_budget[0].message or "")


def test_the_message_names_who_holds_the_slots() -> None:
    decision = decide([row(2, "new"), row(3, "newer")], listed(9))

    message = decision.over_budget[0].message or ""
    assert "9 by modules on the platform (old-0, old-1," in message
    assert "1 by an earlier row (line 2)" in message


@pytest.mark.parametrize(
    ("wanted", "found", "words"),
    [
        (row(2, "MCU"), module("mcu"), "its name is spelled 'mcu', not 'MCU'"),
        (row(2, "mcu", "主控"), module("mcu", "控制"), "its AliasName is '控制', not '主控'"),
        (row(2, "mcu", "主控"), module("mcu"), "its AliasName is '', not '主控'"),
        (row(2, "mcu", None, "new"), module("mcu", None, "old"), "its Desc is 'old', not 'new'"),
    ],
)
def test_what_differs_is_said(wanted: Row, found: OtaModule, words: str) -> None:
    decided = judge(wanted, found)

    assert decided.outcome is Outcome.DRIFTED
    assert words in (decided.message or "")


def test_a_field_that_the_row_leaves_out_is_not_compared() -> None:
    decided = judge(row(2, "mcu"), module("mcu", "主控", "Main controller"))

    assert (decided.outcome, decided.recovered) == (Outcome.EXISTS, False)


def test_a_module_as_wanted_is_the_work_of_a_row_in_doubt() -> None:
    decided = judge(row(2, "mcu", "主控", in_doubt=True), module("mcu", "主控"))

    assert (decided.outcome, decided.recovered) == (Outcome.CREATED, True)


def test_a_module_that_differs_is_not_the_work_of_a_row_in_doubt() -> None:
    decided = judge(row(2, "mcu", "主控", in_doubt=True), module("mcu", "别人"))

    assert decided.outcome is Outcome.DRIFTED


def test_no_name_off_the_platform_speaks_to_a_terminal() -> None:
    others = [module("\x1b[2Jforged\nline"), module("o" * 10_000)]

    decision = decide([row(2, "new")], [*listed(8), *others])

    message = decision.over_budget[0].message or ""
    assert message.isprintable()
    assert "'\\x1b[2Jforged\\nline'" in message
    assert len(message) < 1_000


def test_a_difference_is_shown_to_a_bound() -> None:
    decided = judge(row(2, "m", desc="here"), module("m", desc="d" * 10_000))

    assert len(decided.message or "") < 500


@pytest.mark.parametrize(
    ("made", "ours"),
    [
        ("2026-11-27T10:00Z", True),
        ("2026-11-27T09:59Z", True),
        ("2026-11-27T09:58Z", False),
        ("2026-11-27T17:00", False),
        (None, False),
    ],
    ids=["after the attempt", "within the minute that it is written to", "before", "without a zone", "not told"],
)
def test_a_create_in_doubt_is_ours_only_if_its_module_was_made_after_it_left(made: str | None, ours: bool) -> None:
    left_at = 1_795_773_590.0  # 2026-11-27T09:59:50Z
    found = OtaModule(KEY, "new", "alias", "desc", made)
    doubted = Row(2, module("new", "alias", "desc"), 1, True, ChangeKind.CREATE, left_at)

    decided = judge(doubted, found)

    assert (decided.outcome, decided.recovered, decided.owned) == (Outcome.CREATED, True, ours)


def test_an_update_in_doubt_that_is_seen_was_carried_out() -> None:
    doubted = row(2, "old-0", "alias", in_doubt=True)._replace(doubted=ChangeKind.UPDATE)

    seen = judge(doubted, module("old-0", "alias"))
    unseen = judge(doubted, module("old-0", "another"))

    assert (seen.outcome, seen.recovered) == (Outcome.UPDATED, True)
    assert (unseen.outcome, unseen.recovered) == (Outcome.DRIFTED, False)


def test_an_empty_product_may_be_full_of_rows_that_are_still_open() -> None:
    decision = decide([row(2, "new")], [], held=MAX_CUSTOM_MODULES)

    (decided,) = decision.over_budget
    assert "10 slots are taken: 10 by earlier rows that are still open" in (decided.message or "")
    assert "on the platform" not in (decided.message or "").partition(";")[0]
