"""What no sync may do to a product, whatever its rows, its listing and the ledger are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk.control.reconcile import Kept, Owned, Reconciliation, Terms, reconcile
from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, OtaModule, Outcome, Row

NAMES = [f"m{number}" for number in range(14)]
TEXTS = st.sampled_from(["", "a", "b", "c"])


@st.composite
def products(draw: st.DrawFn) -> tuple[list[Row], list[OtaModule], list[Owned], Terms]:
    wanted = draw(st.lists(st.sampled_from(NAMES), unique=True))
    texts = st.none() | TEXTS
    rows = [
        Row(line, OtaModule("a1", name.upper() if draw(st.booleans()) else name, draw(texts), draw(texts)))
        for line, name in enumerate(wanted, start=2)
    ]
    names = draw(st.lists(st.sampled_from([*NAMES, RESERVED_MODULE_NAME]), unique=True, max_size=12))
    listed = [OtaModule("a1", name, draw(TEXTS), draw(TEXTS)) for name in names]
    owned = [
        draw(st.sampled_from([Owned(name, *draw(st.tuples(texts, texts))), _as_listed(listed, name)]))
        for name in draw(st.lists(st.sampled_from([*NAMES, RESERVED_MODULE_NAME]), unique=True))
    ]
    terms = Terms(
        prune=draw(st.booleans()),
        adopt=draw(st.booleans()),
        packages=draw(st.none() | st.lists(st.sampled_from(NAMES))),
        keep_all=draw(st.none() | st.just(Kept.INVALID_ROW)),
        contested=draw(st.lists(st.sampled_from(NAMES), max_size=2)),
    )
    return rows, listed, owned, terms


def _as_listed(listed: list[OtaModule], name: str) -> Owned:
    there = {module.module_name: module for module in listed}
    found = there.get(name)
    return Owned(name, found.alias_name, found.desc) if found else Owned(name, "", "")


def carried_out(listed: list[OtaModule], made: Reconciliation) -> list[int]:
    """Carry out what is not withheld, in the order of work, and return how many customs stood after each step."""
    standing = {module.key[1] for module in listed} - {RESERVED_MODULE_NAME}
    swaps = {planned.frees_slot_for: planned for planned in made.deletes if planned.frees_slot_for}
    counts = []
    creates = [planned.change.wanted for planned in made.creates if planned.withheld is None]
    deletes = [planned for planned in made.deletes if planned.withheld is None and not planned.frees_slot_for]
    for wanted in creates:
        if wanted.module_name not in swaps:
            standing.add(wanted.key[1])
            counts.append(len(standing))
    for planned in deletes:
        standing.discard(planned.change.wanted.key[1])
        counts.append(len(standing))
    for wanted in creates:
        if wanted.module_name in swaps:
            standing.discard(swaps[wanted.module_name].change.wanted.key[1])
            standing.add(wanted.key[1])
            counts.append(len(standing))
    return counts


@given(products())
def test_every_row_is_decided_once_and_nothing_protected_is_deleted(
    product: tuple[list[Row], list[OtaModule], list[Owned], Terms],
) -> None:
    rows, listed, owned, terms = product

    made = reconcile(rows, listed, owned, terms)

    decided = [each.row.line for each in made.settled] + [row.line for row, _ in made.adopted]
    decided += [planned.change.line for planned in (*made.updates, *made.creates) if planned.change.line]
    assert sorted(decided) == [row.line for row in rows]
    wanted = {row.module.key[1] for row in rows}
    written = {one.module_name: (one.alias_name, one.desc) for one in owned}
    for planned in made.deletes:
        module = planned.change.wanted
        assert module in listed
        assert module.module_name != RESERVED_MODULE_NAME
        assert module.key[1] not in wanted
        assert written[module.module_name] == (module.alias_name, module.desc)
        assert terms.prune
        assert terms.keep_all is None
        assert terms.packages is not None
        assert module.module_name not in terms.packages
    touched = {planned.change.wanted.key[1] for planned in made.updates}
    assert touched <= wanted


@given(products())
def test_the_product_never_holds_more_than_ten_nor_none_by_our_hand(
    product: tuple[list[Row], list[OtaModule], list[Owned], Terms],
) -> None:
    rows, listed, owned, terms = product
    before = len([module for module in listed if module.module_name != RESERVED_MODULE_NAME])

    made = reconcile(rows, listed, owned, terms)

    for count in carried_out(listed, made):
        assert count <= max(before, MAX_CUSTOM_MODULES)
        assert count > 0


@given(products())
def test_what_was_carried_out_is_not_decided_again(
    product: tuple[list[Row], list[OtaModule], list[Owned], Terms],
) -> None:
    rows, listed, owned, terms = product
    made = reconcile(rows, listed, owned, terms)
    changed = {planned.change.wanted.key[1]: planned.change.wanted for planned in made.updates}
    created = [planned.change.wanted for planned in made.creates if planned.withheld is None]
    gone = {planned.change.wanted.key for planned in made.deletes if planned.withheld is None}
    after = [changed.get(module.key[1], module) for module in listed if module.key not in gone]
    after += [OtaModule("a1", one.module_name, one.alias_name or "", one.desc or "") for one in created]
    written = [Owned(one.module_name, one.alias_name or "", one.desc or "") for one in created]
    kept = [one for one in owned if one.module_name not in {new.module_name for new in written}]

    again = reconcile(rows, after, [*kept, *written], terms)

    assert again.updates == ()
    assert [planned for planned in again.deletes if planned.withheld is None] == []
    over_budget = {each.row.line for each in made.settled if each.outcome is Outcome.OVER_BUDGET}
    assert all(planned.withheld or planned.change.line in over_budget for planned in again.creates)
