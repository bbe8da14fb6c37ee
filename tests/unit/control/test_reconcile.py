from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.control.reconcile import Kept, Owned, Terms, Withheld, reconcile
from bulk.model import ChangeKind, OtaModule, Outcome, Row

if TYPE_CHECKING:
    from bulk.control.reconcile import Reconciliation

PRUNE = Terms(prune=True, packages=())


def row(name: str, alias: str | None = None, desc: str | None = None, *, line: int = 2, in_doubt: bool = False) -> Row:
    return Row(line, OtaModule("a1", name, alias, desc), in_doubt=in_doubt)


def there(name: str, alias: str = "", desc: str = "") -> OtaModule:
    return OtaModule("a1", name, alias, desc)


def ours(*modules: OtaModule) -> list[Owned]:
    return [Owned(module.module_name, module.alias_name, module.desc) for module in modules]


def many(count: int) -> list[OtaModule]:
    return [there(f"m{number}", f"alias {number}") for number in range(count)]


def rows_for(modules: list[OtaModule]) -> list[Row]:
    return [row(module.module_name, line=number) for number, module in enumerate(modules, start=100)]


def deleted(made: Reconciliation) -> list[str]:
    return [planned.change.wanted.module_name for planned in made.deletes if planned.withheld is None]


def test_row_as_wanted_is_left_alone() -> None:
    made = reconcile([row("mcu", "MCU")], [there("mcu", "MCU", "text")], [], Terms())

    assert [decided.outcome for decided in made.settled] == [Outcome.EXISTS]
    assert (made.updates, made.creates, made.deletes, made.adopted) == ((), (), (), ())


def test_update_sends_the_unnamed_field_as_it_was_found() -> None:
    found = there("mcu", "old", "kept")

    (update,) = reconcile([row("mcu", "new")], [found], [], Terms()).updates

    assert update.change.kind is ChangeKind.UPDATE
    assert update.change.wanted == OtaModule("a1", "mcu", "new", "kept")
    assert update.change.found == found


def test_letter_case_alone_stays_drifted() -> None:
    made = reconcile([row("MCU", "same")], [there("mcu", "same")], [], Terms())

    assert [decided.outcome for decided in made.settled] == [Outcome.DRIFTED]
    assert made.updates == ()


def test_letter_case_beside_other_drift_is_updated_under_the_platforms_name() -> None:
    (update,) = reconcile([row("MCU", "new")], [there("mcu", "old")], [], Terms()).updates

    assert update.change.wanted.module_name == "mcu"


def test_contested_module_is_not_updated_again() -> None:
    made = reconcile([row("mcu", "new")], [there("mcu", "old")], [], Terms(contested={"mcu"}))

    assert made.updates == ()
    assert [(decided.outcome, (decided.message or "")[:10]) for decided in made.settled] == [
        (Outcome.DRIFTED, "contested:")
    ]


def test_only_a_module_equal_to_its_row_is_adopted() -> None:
    rows = [row("equal", "x"), row("drifted", "x", line=3), row("owned", "x", line=4)]
    listed = [there("equal", "x"), there("drifted", "y"), there("owned", "x")]

    made = reconcile(rows, listed, ours(listed[2]), Terms(adopt=True))

    assert [(adopted.module.module_name, found) for adopted, found in made.adopted] == [("equal", listed[0])]
    assert [update.change.wanted.module_name for update in made.updates] == ["drifted"]


def test_surplus_that_everything_speaks_against_is_deleted() -> None:
    old = there("old", "alias", "text")

    made = reconcile([row("mcu")], [there("mcu"), old], ours(old), PRUNE)

    assert deleted(made) == ["old"]
    assert made.deletes[0].change.found == old


def test_foreign_modules_are_never_touched() -> None:
    made = reconcile([row("mcu")], [there("mcu"), there("foreign"), there("default")], [], PRUNE)

    assert (made.deletes, made.surplus) == ((), ())


def test_the_whole_device_firmware_is_never_touched_even_if_the_ledger_says_that_it_is_ours() -> None:
    made = reconcile([row("mcu")], [there("mcu"), there("default")], ours(there("default")), PRUNE)

    assert made.deletes == ()


@pytest.mark.parametrize(
    ("owned", "terms", "kept"),
    [
        (Owned("old", "alias", "text"), Terms(), Kept.NOT_ASKED),
        (Owned("old", "alias", "another"), PRUNE, Kept.CHANGED),
        (Owned("old", "", "text"), PRUNE, Kept.CHANGED),
        (Owned("old", None, "text"), PRUNE, Kept.TEXTS_UNKNOWN),
        (Owned("old", "alias", None), PRUNE, Kept.TEXTS_UNKNOWN),
        (Owned("old", "alias", "text"), Terms(prune=True), Kept.PACKAGES_UNKNOWN),
        (Owned("old", "alias", "text"), Terms(prune=True, packages={"old"}), Kept.PACKAGE),
        (Owned("old", "alias", "text"), Terms(prune=True, packages=(), keep_all=Kept.INVALID_ROW), Kept.INVALID_ROW),
    ],
)
def test_surplus_stays_where_one_thing_speaks_for_it(owned: Owned, terms: Terms, kept: Kept) -> None:
    listed = [there("mcu"), there("Old", "alias", "text")]

    made = reconcile([row("mcu")], listed, [owned], terms)

    assert made.deletes == ()
    assert [(surplus.module, surplus.kept) for surplus in made.surplus] == [(listed[1], kept)]


def test_listing_without_a_module_ends_ownership() -> None:
    made = reconcile([row("again")], [], ours(there("again"), there("gone")), PRUNE)

    assert set(made.lost) == {"again", "gone"}
    assert [create.change.wanted.module_name for create in made.creates] == ["again"]


def test_product_that_would_end_up_empty_keeps_its_modules() -> None:
    listed = [*many(2), there("default")]

    made = reconcile([], listed, ours(*listed[:2]), PRUNE)

    assert {planned.withheld for planned in made.deletes} == {Withheld.EMPTIES_PRODUCT}
    assert len(made.deletes) == 2


def test_product_is_not_empty_while_a_foreign_module_or_a_create_stays() -> None:
    listed = many(1)

    with_foreign = reconcile([], [*listed, there("foreign")], ours(*listed), PRUNE)
    with_create = reconcile([row("new")], listed, ours(*listed), PRUNE)

    assert deleted(with_foreign) == ["m0"]
    assert deleted(with_create) == ["m0"]


def test_a_rename_is_withheld_on_both_sides() -> None:
    listed = [there("old", "Main board"), there("mcu")]

    made = reconcile([row("new", "Main board"), row("mcu", line=3)], listed, ours(listed[0]), PRUNE)

    assert [planned.withheld for planned in (*made.creates, *made.deletes)] == [Withheld.LOOKS_LIKE_RENAME] * 2


def test_modules_without_texts_are_no_rename() -> None:
    listed = [there("old"), there("mcu")]

    made = reconcile([row("new"), row("mcu", line=3)], listed, ours(listed[0]), PRUNE)

    assert [planned.withheld for planned in (*made.creates, *made.deletes)] == [None, None]


def test_full_product_changes_modules_in_pairs() -> None:
    listed = many(10)
    rows = [*rows_for(listed[2:]), row("new1", line=2), row("new2", line=3)]

    made = reconcile(rows, listed, ours(*listed), PRUNE)

    assert [(planned.change.wanted.module_name, planned.frees_slot_for) for planned in made.deletes] == [
        ("m0", "new1"),
        ("m1", "new2"),
    ]
    assert [planned.withheld for planned in made.creates] == [None, None]


def test_creates_past_ten_and_past_the_deletes_get_no_slot() -> None:
    listed = many(10)
    rows = [*rows_for(listed[1:]), row("new1", line=2), row("new2", line=3)]

    made = reconcile(rows, listed, ours(*listed), PRUNE)

    assert [planned.change.wanted.module_name for planned in made.creates] == ["new1"]
    assert [decided.row.module.module_name for decided in made.settled if decided.outcome is Outcome.OVER_BUDGET] == [
        "new2"
    ]


def test_product_with_more_than_ten_makes_room_first() -> None:
    listed = many(11)
    rows = [*rows_for(listed[2:]), row("new1", line=2), row("new2", line=3)]

    made = reconcile(rows, listed, ours(*listed), PRUNE)

    assert [(planned.change.wanted.module_name, planned.frees_slot_for) for planned in made.deletes] == [
        ("m0", None),
        ("m1", "new1"),
    ]
    assert [planned.change.wanted.module_name for planned in made.creates] == ["new1"]


def test_create_behind_a_withheld_delete_waits_with_it() -> None:
    listed = [there(f"m{number}", "same") for number in range(10)]
    rows = [*rows_for(listed[2:]), row("renamed", "same", line=2), row("new", "other", line=3)]

    made = reconcile(rows, listed, ours(*listed), PRUNE)

    assert [(planned.change.wanted.module_name, planned.withheld) for planned in made.creates] == [
        ("renamed", Withheld.LOOKS_LIKE_RENAME),
        ("new", Withheld.NEEDS_DELETE),
    ]
    assert deleted(made) == []


def test_full_product_pairs_the_new_name_of_a_rename_with_its_old_one() -> None:
    """An apply that approves both carries them out as a swap."""
    listed = [there("old-a", "a"), there("old-b", "b"), *many(8)]
    rows = [*rows_for(listed[2:]), row("new-b", "b", line=2), row("new-a", "a", line=3), row("more", "m", line=4)]

    made = reconcile(rows, listed, ours(*listed), PRUNE)

    assert [(planned.change.wanted.module_name, planned.frees_slot_for) for planned in made.deletes] == [
        ("old-a", "new-a"),
        ("old-b", "new-b"),
    ]
    assert {planned.withheld for planned in (*made.creates, *made.deletes)} == {Withheld.LOOKS_LIKE_RENAME}
    assert [decided.row.module.module_name for decided in made.settled if decided.outcome is Outcome.OVER_BUDGET] == [
        "more"
    ]


def test_rename_with_a_slot_to_spare_needs_no_swap() -> None:
    listed = [there("old", "a"), *many(8)]

    made = reconcile([*rows_for(listed[1:]), row("new", "a", line=2)], listed, ours(*listed), PRUNE)

    assert [planned.frees_slot_for for planned in made.deletes] == [None]


def test_no_module_is_deleted_for_a_create_that_is_refused_for_good() -> None:
    """A create behind it gets the slot of the first delete."""
    listed = many(10)
    rows = [*rows_for(listed[2:]), row("refused", line=2), row("new", line=3)]
    terms = Terms(prune=True, packages=(), refused={"refused": "NoSuchThing"})

    made = reconcile(rows, listed, ours(*listed), terms)

    assert [(planned.change.wanted.module_name, planned.frees_slot_for) for planned in made.deletes] == [("m0", "new")]
    assert [(surplus.module.module_name, surplus.kept) for surplus in made.surplus] == [("m1", Kept.CREATE_REFUSED)]
    (decided,) = [decided for decided in made.settled if decided.outcome is Outcome.FAILED]
    assert (decided.row.module.module_name, decided.code) == ("refused", "NoSuchThing")
