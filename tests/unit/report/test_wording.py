from __future__ import annotations

import pytest

from bulk.model import Outcome
from bulk.report.wording import (
    MEANINGS,
    columns_of,
    cut,
    cut_middle,
    filled,
    folded,
    outcome_words,
    padded,
    spell_count,
    spell_duration,
    spell_rate,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 s"),
        (2.34, "2.3 s"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (119.7, "2 min"),
        (83 * 60, "1 h 23 min"),
        (3600, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_names_the_two_units_that_matter(seconds: float, words: str) -> None:
    assert spell_duration(seconds) == words


@pytest.mark.parametrize(
    ("per_s", "words"), [(0, "unlimited"), (10, "10/s"), (7.25, "7.2/s"), (2.0, "2/s"), (1234.5, "1,234/s")]
)
def test_rate_has_the_digits_that_it_deserves(per_s: float, words: str) -> None:
    assert spell_rate(per_s) == words


def test_one_is_singular() -> None:
    assert [spell_count(number, "row") for number in (0, 1, 12_345)] == ["0 rows", "1 row", "12,345 rows"]


def test_cut_text_is_one_line_within_the_width() -> None:
    assert cut("two\nlines", 80) == "two lines"
    assert cut("0123456789", 5) == "0123…"


def test_every_outcome_has_a_meaning_that_fits_beside_its_count() -> None:
    assert set(MEANINGS) == set(Outcome)
    assert max(map(len, MEANINGS.values())) <= 80 - len("  1,000,000  over budget  ")


def test_outcome_reads_without_underscores() -> None:
    assert outcome_words(Outcome.OVER_BUDGET) == "over budget"


@pytest.mark.parametrize(
    ("text", "columns"), [("eu", 2), ("天河工厂", 8), ("cafe\u0301", 4), ("ｅｕ", 4), ("naïve", 5), ("", 0)]
)
def test_columns_are_those_of_a_terminal(text: str, columns: int) -> None:
    assert columns_of(text) == columns
    assert columns_of(padded(text, 10)) == 10


@pytest.mark.parametrize("width", range(1, 12))
def test_cut_text_of_wide_characters_fits(width: int) -> None:
    text = "天河工厂 eu"

    assert columns_of(cut(text, width)) <= width
    assert columns_of(cut_middle(text, width)) <= width


def test_name_is_cut_in_its_middle() -> None:
    assert cut_middle("0123456789", 7) == "012…789"
    assert cut_middle("0123456789", 10) == "0123456789"


def test_filled_text_counts_the_columns_of_a_terminal_not_characters() -> None:
    lines = filled("line 2: AliasName has " + "很长的名字" * 20, 80, first="    ", rest="      ", lines=2)

    assert [columns_of(line) <= 80 for line in lines] == [True, True]
    assert lines[0].startswith("    line 2: AliasName has 很")
    assert lines[1].startswith("      ")
    assert lines[1].endswith(" …")


def test_filled_text_keeps_every_character() -> None:
    text = "模块 " * 30 + "module " * 20

    assert " ".join(" ".join(filled(text, 40)).split()) == " ".join(text.split())


def test_folded_message_breaks_no_word_and_no_command() -> None:
    message = (
        "Error: modules.csv, line 1: no column for Account, and the settings name accounts; see the accounts with "
        "`bulk settings --settings bulk.toml --json`, or give all rows to one: add --account NAME\n\n  bulk run a b c"
    )

    shown = folded(message, 80)

    assert shown.splitlines() == [
        "Error: modules.csv, line 1: no column for Account, and the settings name",
        "  accounts; see the accounts with `bulk settings --settings bulk.toml --json`,",
        "  or give all rows to one: add --account NAME",
        "",
        "  bulk run a b c",
    ]
