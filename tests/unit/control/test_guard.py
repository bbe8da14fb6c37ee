from __future__ import annotations

from typing import Any

import pytest

from bulk.control.guard import AccountLook, GoodInput, Limit, guard, lost_too_much, refuse_other_file
from bulk.control.reconcile import Withheld
from bulk.errors import SettingsError
from bulk.model import ChangeKind


def look(**asked: Any) -> AccountLook:
    given: dict[str, Any] = {"managed": 1_000, "owned": 1_000, "updates": 0, "deletes": 0, "input": GOOD}
    return AccountLook(**(given | asked))


GOOD = GoodInput(rows=1_000, products=200)


def withheld(objections: Any) -> dict[ChangeKind, Withheld]:
    return {kind: objection.withheld for kind, objection in objections.items()}


@pytest.mark.parametrize(
    ("managed", "allowed"),
    [(0, 20), (199, 20), (200, 20), (210, 21), (5_000, 500)],
)
def test_updates_up_to_the_larger_of_twenty_and_a_tenth_go(managed: int, allowed: int) -> None:
    assert guard(look(managed=managed, updates=allowed)) == {}
    assert withheld(guard(look(managed=managed, updates=allowed + 1))) == {ChangeKind.UPDATE: Withheld.MAX_UPDATES}


@pytest.mark.parametrize(("owned", "allowed"), [(1, 5), (250, 5), (300, 6), (5_000, 100)])
def test_deletes_up_to_the_larger_of_five_and_two_percent_go(owned: int, allowed: int) -> None:
    assert guard(look(owned=owned, deletes=allowed)) == {}
    assert withheld(guard(look(owned=owned, deletes=allowed + 1))) == {ChangeKind.DELETE: Withheld.MAX_DELETES}


def test_what_was_sent_tonight_counts_and_nothing_planned_needs_no_approval() -> None:
    assert withheld(guard(look(deletes=1, deletes_sent=20))) == {ChangeKind.DELETE: Withheld.MAX_DELETES}
    assert guard(look(deletes=0, deletes_sent=100, updates_sent=1_000)) == {}


def test_what_was_adopted_is_not_said_to_be_sent() -> None:
    objection = guard(look(updates=30, updates_sent=100_000))[ChangeKind.UPDATE]

    assert "30 updates planned and 100,000 sent or adopted in the last 20 hours" in objection.message


def test_objection_says_what_was_planned_sent_and_allowed() -> None:
    objection = guard(look(deletes=21, deletes_sent=3))[ChangeKind.DELETE]

    assert objection.message == (
        "21 deletes planned and 3 sent in the last 20 hours: the limit is 20, "
        "the larger of 5 and 2% of 1,000 owned modules"
    )


@pytest.mark.parametrize(
    ("rows", "products", "reason"),
    [
        (950, 190, None),
        (949, 200, Withheld.FEWER_ROWS),
        (1_000, 189, Withheld.FEWER_PRODUCTS),
        (2_000, 400, None),
    ],
)
def test_shorter_input_withholds_deletes(rows: int, products: int, reason: Withheld | None) -> None:
    objections = guard(look(deletes=1, input=GoodInput(rows=rows, products=products), last_good=GOOD))

    assert withheld(objections) == ({ChangeKind.DELETE: reason} if reason else {})


def test_the_first_sync_has_nothing_to_compare_with() -> None:
    assert guard(look(deletes=1, input=GoodInput(rows=1, products=1))) == {}


def test_limits_are_numbers_or_shares() -> None:
    assert Limit.parse("0", "max_deletes").of(1_000) == 0
    assert Limit.parse("7", "max_deletes").of(1_000) == 7
    assert Limit.parse("0.5%", "max_deletes").of(1_000) == 5
    assert Limit.parse("100%", "max_deletes").of(3) == 3
    for text in ("", "-1", "101%", "-1%", "many", "nan%", "1.5"):
        with pytest.raises(SettingsError, match="neither a number of modules"):
            Limit.parse(text, "max_deletes")


@pytest.mark.parametrize(
    ("keys", "common", "last", "refused"),
    [
        (0, 0, None, "no valid row"),
        (0, 0, 10, "no valid row"),
        (5, 0, None, None),
        (100, 10, 100, None),
        (100, 9, 100, "another file"),
    ],
)
def test_another_file_is_refused(keys: int, common: int, last: int | None, refused: str | None) -> None:
    said = refuse_other_file(keys=keys, common=common, last_good_keys=last)

    assert (said is None) if refused is None else refused in (said or "")


@pytest.mark.parametrize(
    ("limit", "written"),
    [(Limit(3), "3"), (Limit(0, 2.5), "2.5%"), (Limit(20, 10.0), "the larger of 20 and 10%")],
)
def test_limit_is_written_as_a_person_reads_it(limit: Limit, written: str) -> None:
    assert str(limit) == written


def test_an_account_whose_rows_look_like_another_job_has_lost_too_much() -> None:
    lost = lost_too_much(look(last_good=GOOD, good_keys=1_000, common_keys=50))

    assert lost is not None
    assert lost.withheld is Withheld.OTHER_KEYS
    assert "50 of the 1,000 modules" in lost.message
    assert lost_too_much(look(last_good=GOOD, good_keys=1_000, common_keys=900)) is None
    assert lost_too_much(look(good_keys=1_000, common_keys=50)) is None


def test_one_of_a_thing_is_no_plural() -> None:
    shrunk = lost_too_much(look(input=GoodInput(rows=1, products=1), last_good=GoodInput(rows=4, products=1)))
    too_many = guard(look(owned=1, deletes=1), max_deletes=Limit(0, 50.0))[ChangeKind.DELETE]

    assert shrunk is not None
    assert shrunk.message == "the input has 1 row, and had 4 in the last good sync"
    assert too_many.message == "1 delete planned: the limit is 0, 50% of 1 owned module"


def test_limit_that_is_a_number_is_said_once() -> None:
    objection = guard(look(updates=4), max_updates=Limit(3))[ChangeKind.UPDATE]

    assert objection.message == "4 updates planned: the limit is 3"
