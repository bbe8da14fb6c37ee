"""docs/outcomes.md has every outcome, reason, column and key that the program writes."""

from __future__ import annotations

import csv
import json
import re
from typing import TYPE_CHECKING

from bulk.control.reconcile import Kept, Withheld
from bulk.model import OPEN_OUTCOMES, PROVISIONED_OUTCOMES, REASONED_OUTCOMES, ROW_OUTCOMES, Outcome
from tests.docs.conftest import ROOT

if TYPE_CHECKING:
    from tests.docs.conftest import Desk

PAGE = (ROOT / "docs" / "outcomes.md").read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """Return what is in code style in the first cells of a section's tables, in order."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*)\|", section, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_every_outcome_that_asks_for_something_says_what_to_do() -> None:
    asking = REASONED_OUTCOMES | OPEN_OUTCOMES

    assert set(first_cells("What to do about a row")) == asking | (set(Outcome) - set(ROW_OUTCOMES))


def test_outcomes_that_ask_for_nothing_are_named() -> None:
    (sentence,) = re.findall(r"^(.*) are final\.", PAGE, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", sentence)) == PROVISIONED_OUTCOMES


def test_every_reason_is_there_in_the_codes_order() -> None:
    assert first_cells("Why a change is withheld") == list(Withheld)
    assert first_cells("Why a surplus module stays") == list(Kept)


def test_the_columns_are_those_that_results_have(desk: Desk) -> None:
    printed, _ = desk.run("bulk results var/lib/bulk/modules.db")
    columns = next(csv.reader(printed))
    of_a_map = ["target_account", "target_product_key"]

    assert first_cells("The columns of the results") == columns[columns.index("outcome") :] + of_a_map


def test_the_keys_are_those_of_a_syncs_summary(desk: Desk) -> None:
    printed, _ = desk.run("bulk sync samples/modules.csv --sandbox --json 2>/dev/null")
    keys = list(json.loads("".join(printed)))
    written = first_cells("The summary as JSON")

    assert sorted(written) == sorted([*keys, "accounts"])
