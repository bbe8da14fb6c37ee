from __future__ import annotations

import re

import pytest

from bulk.ledger.undo_names import UNDO_ENDING, ledger_of_undo, undo_file_of, undone_ledger

RUN, ANOTHER = "cafe0001beef" + "0" * 20, "0123456789ab" + "f" * 20


@pytest.mark.parametrize("ledger", ["m.csv.sandbox.db", "a folder/l.db", "l.undo.csv.ledger.db"])
def test_the_ledger_of_an_undo_and_of_the_undo_of_an_undo_lead_to_the_first_one(ledger: str) -> None:
    undo = ledger_of_undo(undo_file_of(ledger, RUN))
    undo_of_undo = ledger_of_undo(undo_file_of(undo, ANOTHER))

    assert len({ledger, undo, undo_of_undo}) == 3
    assert {undone_ledger(name) for name in (ledger, undo, undo_of_undo)} == {ledger}


def test_the_pattern_is_that_of_the_files() -> None:
    assert re.fullmatch("l" + re.escape(".db") + UNDO_ENDING, undo_file_of("l.db", RUN))
    assert not re.search(UNDO_ENDING, "l.db.undo.csv")
