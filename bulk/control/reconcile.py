"""Decide, for one product, what a sync does: from its rows, a fresh listing, and what this ledger owns there. Pure.

The rule behind every line: a module is deleted only if everything says so. If anything is not known, the module stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from bulk.control.budget import RowDecision, judge, who_holds_the_slots
from bulk.control.diff import Field, differences
from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Change, ChangeKind, OtaModule, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bulk.model import Row

__all__ = ["CONTESTED", "Kept", "Owned", "PlannedChange", "Reconciliation", "Surplus", "Terms", "Withheld", "reconcile"]


CONTESTED = "contested"
"""Code of a row whose update someone undoes every night. Stored in the ledger: never rename it."""


class Withheld(StrEnum):
    """Why a change is not sent until a person approves it. Stored in the ledger: never rename one."""

    MAX_UPDATES = "max_updates"  #: more updates than the limit allows in a night
    MAX_DELETES = "max_deletes"  #: more deletes than the limit allows in a night
    FEWER_ROWS = "fewer_rows"  #: the input has lost more than a twentieth of its rows
    FEWER_PRODUCTS = "fewer_products"  #: or of its products
    OTHER_KEYS = "other_keys"  #: an account's part of the input looks like that of another job
    EMPTIES_PRODUCT = "empties_product"  #: the product would be left without a module
    LOOKS_LIKE_RENAME = "looks_like_rename"  #: a delete and a create in one product with the same texts
    NEEDS_DELETE = "needs_delete"  #: a create that needs the slot of a withheld delete
    NO_PERMISSION = "no_permission"  #: the keys lack the right to this action
    OTHERS_CHANGED = "others_changed"  #: the account's first update changed more than the request said


class Kept(StrEnum):
    """Why a surplus module stays. Stored in the ledger: never rename one."""

    NOT_ASKED = "not_asked"  #: the command does not prune
    CHANGED = "changed"  #: its texts are not those that this ledger wrote: someone uses it
    TEXTS_UNKNOWN = "texts_unknown"  #: an old ledger did not keep what it wrote
    PACKAGE = "package"  #: it holds a firmware package
    PACKAGES_UNKNOWN = "packages_unknown"  #: the product's packages could not be listed
    PRODUCT_GONE = "product_gone"  #: neither a row nor `--prune-product` names its product
    CREATE_REFUSED = "create_refused"  #: its slot would go to a row whose create the platform refuses for good
    INVALID_ROW = "invalid_row"  #: a row of its product is invalid, or a row whose product is not known


class Owned(NamedTuple):
    """A module that this ledger owns, as it last wrote or adopted it."""

    module_name: str
    alias_name: str | None
    """Empty: written without one. ``None``: not known."""

    desc: str | None


class PlannedChange(NamedTuple):
    """A change that a sync's look decided on."""

    change: Change
    withheld: Withheld | None = None
    frees_slot_for: str | None = None
    """For a delete: the ModuleName of the create that needs its slot; the two are a swap."""


class Surplus(NamedTuple):
    """A module that this ledger owns, that left the file, and that stays."""

    module: OtaModule
    kept: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What a sync does in a product. Each row is in exactly one of ``settled``, ``adopted`` and the changes."""

    settled: tuple[RowDecision, ...] = ()
    """Rows that need no request: as wanted already, drifted for good, or without a slot."""

    adopted: tuple[tuple[Row, OtaModule], ...] = ()
    """Rows whose modules are as wanted already; this ledger takes ownership of them."""

    updates: tuple[PlannedChange, ...] = ()
    creates: tuple[PlannedChange, ...] = ()
    """In file order; a create that needs a slot first belongs to a delete."""

    deletes: tuple[PlannedChange, ...] = ()
    surplus: tuple[Surplus, ...] = ()
    lost: tuple[str, ...] = ()
    """Names of modules that this ledger owned and that are not listed: a listing without a module ends ownership."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """A sync's options and facts that concern one product."""

    prune: bool = False
    adopt: bool = False
    packages: Collection[str] | None = None
    """Casefolded names of modules that hold a package; ``None``: not known."""

    keep_all: Kept | None = None
    """Why nothing may be deleted here, such as an invalid row."""

    contested: Collection[str] = field(default=())
    """Casefolded names of modules whose update was undone too often."""

    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Casefolded ModuleName → code of the platform's final refusal to create it as its row still wants it."""


def reconcile(rows: Sequence[Row], listed: Iterable[OtaModule], owned: Iterable[Owned], terms: Terms) -> Reconciliation:
    """Compare a product's rows with its listing.

    Args:
        rows: All rows of the product that ask for a module, in file order.
        listed: Its modules, fresh from the platform and complete.
        owned: What this ledger owns of the product.
        terms: What the command allows.
    """
    there = {module.key[1]: module for module in listed}
    ours = {one.module_name.casefold(): one for one in owned}
    compared = _compare(rows, there, ours, terms)
    wanted = {row.module.key[1] for row in rows}
    surplus, deletable = _judge_surplus(
        [(there[name], one) for name, one in ours.items() if name in there and name not in wanted], terms
    )
    customs = [module.module_name for name, module in there.items() if name != RESERVED_MODULE_NAME]
    slots = _share_slots(compared.missing, deletable, taken=customs, refused=terms.refused)
    return Reconciliation(
        settled=(*compared.settled, *slots.losing),
        adopted=tuple(compared.adopted),
        updates=tuple(compared.updates),
        creates=slots.creates,
        deletes=slots.deletes,
        surplus=(*surplus, *slots.kept),
        lost=tuple(one.module_name for name, one in ours.items() if name not in there),
    )


@dataclass(slots=True)
class _Compared:
    settled: list[RowDecision] = field(default_factory=list)
    adopted: list[tuple[Row, OtaModule]] = field(default_factory=list)
    updates: list[PlannedChange] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)


def _compare(rows: Iterable[Row], there: Mapping[str, OtaModule], ours: Mapping[str, Owned], terms: Terms) -> _Compared:
    compared = _Compared()
    for row in rows:
        name = row.module.key[1]
        found = there.get(name)
        if found is None:
            compared.missing.append(row)
            continue
        fields = {difference.field for difference in differences(row.module, found)}
        if not fields and terms.adopt and not _is_as_written(found, ours.get(name)):
            compared.adopted.append((row, found))
        elif not fields - {Field.MODULE_NAME}:
            compared.settled.append(judge(row, found))
        elif name in terms.contested:
            compared.settled.append(_contested(row, found))
        else:
            compared.updates.append(PlannedChange(_update(row, found)))
    return compared


def _contested(row: Row, found: OtaModule) -> RowDecision:
    message = f"contested: somebody undoes our update every night; {judge(row, found).message}"
    return RowDecision(row, Outcome.DRIFTED, message, code=CONTESTED)


def _update(row: Row, found: OtaModule) -> Change:
    """Send both fields, the unnamed one as it was found: no page says what happens to a field that is left out."""
    wanted = OtaModule(
        row.module.product_key,
        found.module_name,
        found.alias_name if row.module.alias_name is None else row.module.alias_name,
        found.desc if row.module.desc is None else row.module.desc,
    )
    return Change(ChangeKind.UPDATE, wanted, found, row.line)


def _judge_surplus(
    candidates: Iterable[tuple[OtaModule, Owned]], terms: Terms
) -> tuple[tuple[Surplus, ...], list[OtaModule]]:
    """Separate the modules that stay, each with its reason, from those that may be deleted."""
    surplus, deletable = [], []
    for module, owned in candidates:
        if kept := _why_kept(module, owned, terms):
            surplus.append(Surplus(module, kept))
        else:
            deletable.append(module)
    return tuple(surplus), deletable


def _why_kept(module: OtaModule, owned: Owned, terms: Terms) -> Kept | None:
    if not terms.prune or module.key[1] == RESERVED_MODULE_NAME:
        return Kept.NOT_ASKED
    if terms.keep_all:
        return terms.keep_all
    if not _is_as_written(module, owned):
        return Kept.TEXTS_UNKNOWN if owned.alias_name is None or owned.desc is None else Kept.CHANGED
    if terms.packages is None:
        return Kept.PACKAGES_UNKNOWN
    return Kept.PACKAGE if module.key[1] in terms.packages else None


class _Slots(NamedTuple):
    creates: tuple[PlannedChange, ...]
    deletes: tuple[PlannedChange, ...]
    losing: list[RowDecision]
    kept: list[Surplus]


def _share_slots(
    missing: Sequence[Row], deletable: Sequence[OtaModule], *, taken: Sequence[str], refused: Mapping[str, str]
) -> _Slots:
    """Give free slots to creates in file order, then the slots of deletes; return the rows that get none."""
    renamed = {_texts(row.module) for row in missing} & {_texts(module) for module in deletable} - {("", "")}
    going = [module for module in deletable if _texts(module) not in renamed]
    going_later = [module for module in deletable if _texts(module) in renamed]
    wanting = [row for row in missing if _texts(row.module) not in renamed]
    alike = [row for row in missing if _texts(row.module) in renamed]
    free = MAX_CUSTOM_MODULES - len(taken)
    fitting, without = wanting[: max(0, free)], wanting[max(0, free) :]
    # If the create is refused again, the deleted module is made again: this would repeat every night.
    hopeless = [row for row in without if row.module.key[1] in refused]
    behind = [row for row in without if row.module.key[1] not in refused]
    # Others may have put more than ten modules into a product: then the first deletes free no slot.
    beyond = max(0, -free)
    freeing = going[beyond:]
    kept = freeing[len(behind) :][: len(hopeless)]
    swapped, behind = behind[: len(freeing)], behind[len(freeing) :]
    # A withheld delete will free a slot too. The create that looks like its new name gets it first.
    alike_behind = alike[max(0, free - len(fitting)) :]
    later = _pair(going_later[max(0, beyond - len(going)) :], [*alike_behind, *behind])
    lines_later = {row.line for row in later.values()}
    waiting = [row for row in behind if row.line in lines_later]
    losing = [row for row in behind if row.line not in lines_later]

    empties = len(taken) == len(going) and not fitting and not swapped
    frees_slot_for = {name: row.module.module_name for name, row in (_pair(freeing, swapped) | later).items()}
    withheld_rows = {row.line: Withheld.NEEDS_DELETE for row in waiting}
    withheld_rows |= {row.line: Withheld.LOOKS_LIKE_RENAME for row in missing if _texts(row.module) in renamed}
    without_slot = {row.line for row in (*losing, *hopeless)}
    creates = tuple(
        PlannedChange(Change(ChangeKind.CREATE, row.module, line=row.line), withheld_rows.get(row.line))
        for row in missing
        if row.line not in without_slot
    )
    deletes = tuple(
        PlannedChange(
            Change(ChangeKind.DELETE, module, module),
            _why_withheld(module, renamed, empties=empties),
            frees_slot_for.get(module.module_name),
        )
        for module in deletable
        if module not in kept
    )
    message = who_holds_the_slots(taken, (*fitting, *swapped), 0) if losing else ""
    lost = [RowDecision(row, Outcome.OVER_BUDGET, message) for row in losing]
    lost += [_hopeless(row, refused[row.module.key[1]]) for row in hopeless]
    return _Slots(creates, deletes, lost, [Surplus(module, Kept.CREATE_REFUSED) for module in kept])


def _hopeless(row: Row, code: str) -> RowDecision:
    message = (
        f"the platform refused it for good ({code}), so that no module is deleted for it again: correct the row, or "
        "delete a module that is no longer used, and sync again"
    )
    return RowDecision(row, Outcome.FAILED, message, code=code)


def _pair(modules: Iterable[OtaModule], rows: Iterable[Row]) -> dict[str, Row]:
    """Return which create gets the slot of each delete: one with the same texts, else the next in file order."""
    pairs: dict[str, Row] = {}
    others, left = [], list(rows)
    for module in modules:
        alike = next((row for row in left if _texts(row.module) == _texts(module)), None)
        if alike is None:
            others.append(module.module_name)
        else:
            pairs[module.module_name] = alike
            left.remove(alike)
    return pairs | dict(zip(others, left, strict=False))


def _why_withheld(module: OtaModule, renamed: Collection[tuple[str, str]], *, empties: bool) -> Withheld | None:
    if _texts(module) in renamed:
        return Withheld.LOOKS_LIKE_RENAME
    return Withheld.EMPTIES_PRODUCT if empties else None


def _is_as_written(module: OtaModule, owned: Owned | None) -> bool:
    """Say whether this ledger owns a module, and the module still has the texts that it last wrote or adopted."""
    return owned is not None and _texts(module) == (owned.alias_name, owned.desc)


def _texts(module: OtaModule) -> tuple[str, str]:
    return module.alias_name or "", module.desc or ""
