"""What an outcome is, is said once: every table of outcomes is compared with `Outcome` here."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from bulk.ledger.sql import query, schema
from bulk.model import Reason
from bulk.model.outcomes import (
    OPEN_OUTCOMES,
    PROVISIONED_OUTCOMES,
    REASONED_OUTCOMES,
    TRIED_AGAIN_OUTCOMES,
    Outcome,
    Trait,
)
from bulk.report.remedies import remedy
from bulk.report.tones import Tone, tone_of
from bulk.report.wording import MEANINGS

ROOT = Path(__file__).parents[3]
WHEN_READ = Outcome.having(Trait.WHEN_READ)
SETS_OF_SQL = {
    "provisioned modules": PROVISIONED_OUTCOMES - WHEN_READ,
    "modules without a reason": (PROVISIONED_OUTCOMES | OPEN_OUTCOMES) - WHEN_READ,
    "in flight": Outcome.having(Trait.IN_FLIGHT),
    "unanswered, so that nothing is bound": Outcome.having(Trait.UNANSWERED),
}


def test_an_outcome_is_open_or_provisioned_or_has_a_reason() -> None:
    parts = (OPEN_OUTCOMES, PROVISIONED_OUTCOMES, REASONED_OUTCOMES)

    assert sorted(outcome for part in parts for outcome in part) == sorted(Outcome)


def test_what_is_open_is_tried_again_and_what_is_provisioned_is_not() -> None:
    assert OPEN_OUTCOMES < TRIED_AGAIN_OUTCOMES
    assert not TRIED_AGAIN_OUTCOMES & (PROVISIONED_OUTCOMES | WHEN_READ)


@pytest.mark.parametrize("outcome", Outcome)
def test_outcome_is_its_value_wherever_it_is_written(outcome: Outcome) -> None:
    assert (str(outcome), outcome.value, Outcome(outcome.value)) == (outcome, outcome, outcome)
    assert type(outcome.value) is str


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_its_words_and_its_tone(outcome: Outcome) -> None:
    assert MEANINGS[outcome]
    assert (tone_of(outcome) is Tone.GOOD) == (outcome in PROVISIONED_OUTCOMES)


@pytest.mark.parametrize("outcome", sorted(REASONED_OUTCOMES))
def test_every_outcome_that_needs_a_reason_has_a_remedy(outcome: Outcome) -> None:
    assert remedy(Reason(outcome, None, 1, 2, None)).endswith(".")


def test_every_outcome_is_counted_in_sql_in_the_order_of_the_enum() -> None:
    with closing(connect(":memory:")) as connection:
        connection.executescript(schema())
        columns = connection.execute(query("count_outcomes")).description

    assert [name for name, *_ in columns] == list(Outcome)


@pytest.mark.parametrize("file", ["queries.sql", "schema.sql"])
def test_every_set_of_outcomes_in_sql_is_one_of_the_enums(file: str) -> None:
    text = (ROOT / "bulk" / "ledger" / file).read_text(encoding="utf-8")
    written = re.findall(r"outcome (?:NOT )?IN \(('[^)]*)\)", text)

    assert written
    for names in written:
        assert frozenset(re.findall(r"'(\w+)'", names)) in SETS_OF_SQL.values(), names


def test_readme_says_of_every_outcome_whether_it_is_final() -> None:
    table = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("## What becomes of a row")[2].partition("## ")[0]
    )
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    said = {Outcome(name): final for names, final in rows for name in re.findall(r"\w+", names)}

    assert said == {
        **dict.fromkeys(TRIED_AGAIN_OUTCOMES, "tried again"),
        **dict.fromkeys(OPEN_OUTCOMES, "open"),
        **dict.fromkeys(WHEN_READ, "read again"),
        **dict.fromkeys(PROVISIONED_OUTCOMES, "yes"),
    }
