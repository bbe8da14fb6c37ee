"""Somebody else who changes the cloud, just after it was listed and before the next request: by a plan and a seed.

A SPEC is a list of parts, separated by commas; each is MOVE=RATE:

    create update delete     a module of the product that was just listed; never ``default``
    package                  a package for a module of a product whose packages were just listed, or modules
    product drop-product     a product, when a page of products was just read: the later pages shift

RATE is 5% of those listings, or 3x: after the first three of them; 100%@50: from the fiftieth on.

Example: create=2%,update=5%,delete=2%,package=1%,product=3x
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bulk.errors import SettingsError
from bulk.model import MAX_CUSTOM_MODULES
from bulk.sandbox.actions import ACTION_NAMES
from bulk.sandbox.faults import read_rate

if TYPE_CHECKING:
    from bulk.sandbox.arrivals import Seen
    from bulk.sandbox.worlds.console import Console

__all__ = ["Move", "PlannedRival", "RivalAct", "RivalMove", "RivalPlan"]


class RivalMove(StrEnum):
    """What a rival does; the values are the names of the grammar."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    PACKAGE = "package"
    PRODUCT = "product"
    DROP_PRODUCT = "drop-product"


_Touched = tuple[str, str] | None
"""Product and module that an act changed; ``None``: there was nothing to change."""

_LIST, _PACKAGES, _PRODUCTS = (ACTION_NAMES[prefix] for prefix in ("list", "packages", "products"))
_TRIGGERS: Final = {
    RivalMove.CREATE: {_LIST},
    RivalMove.UPDATE: {_LIST},
    RivalMove.DELETE: {_LIST},
    RivalMove.PACKAGE: {_LIST, _PACKAGES},
    RivalMove.PRODUCT: {_PRODUCTS},
    RivalMove.DROP_PRODUCT: {_PRODUCTS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One part of a plan."""

    kind: RivalMove
    share: float = 0.0
    """Of the listings that can set it off, in [0, 1]; unused where ``times`` is set."""

    times: int | None = None
    """After so many of them, one after the other; ``None``: as ``share`` says."""

    first: int = 1
    """Number of the first listing that may set it off, starting at 1."""


@dataclass(frozen=True, slots=True)
class RivalAct:
    """One thing that a rival has done."""

    kind: RivalMove
    account: str
    product_key: str
    module_name: str
    """Empty where a product was made or removed."""


@dataclass(frozen=True, slots=True)
class RivalPlan:
    """Everything that a rival will do."""

    moves: tuple[Move, ...] = ()

    @classmethod
    def parse(cls, spec: str) -> RivalPlan:
        """Read a SPEC, in the grammar of this module's docstring.

        Raises:
            SettingsError: A part can't be read; names the part and the nearest name.
        """
        return cls(tuple(_move(part.strip()) for part in spec.split(",") if part.strip()))


class PlannedRival:
    """Plays a plan, the same for the same seed, in whatever order the listings come."""

    def __init__(self, plan: RivalPlan, *, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._asked: Counter[tuple[str, ...]] = Counter()
        self._matched: Counter[int] = Counter()
        self.done: list[RivalAct] = []
        """What it has done, in order."""

    def __call__(self, seen: Seen, console: Console) -> None:
        """Do what the plan says, after a listing was read and before it is answered."""
        if not seen.carried_out or not any(seen.action in triggers for triggers in _TRIGGERS.values()):
            return
        subject = (seen.account, seen.action, seen.product_key)
        self._asked[subject] += 1
        source = random.Random("|".join((str(self._seed), *subject, str(self._asked[subject]))))  # noqa: S311 - repeatable, not secret
        for index, move in enumerate(self._plan.moves):
            due = self._is_due(index, move, seen.action, source.random())
            touched = _DEEDS[move.kind](seen, console, source) if due else None
            if touched:
                self.done.append(RivalAct(move.kind, seen.account, *touched))

    def _is_due(self, index: int, move: Move, action: str, chance: float) -> bool:
        if action not in _TRIGGERS[move.kind]:
            return False
        self._matched[index] += 1
        nth = self._matched[index] - move.first
        return nth >= 0 and (chance < move.share if move.times is None else nth < move.times)


def _move(part: str) -> Move:
    name, _, value = part.partition("=")
    if name not in list(RivalMove):
        nearest = get_close_matches(name, list(RivalMove), n=1, cutoff=0.4)
        hint = f"; the nearest is {nearest[0]}" if nearest else f"; it takes {', '.join(RivalMove)}"
        raise SettingsError(f"--rival: {name!r} is no move{hint}")
    share, times, first = read_rate("--rival", name, value)
    return Move(kind=RivalMove(name), share=share, times=times, first=first)


def _create(seen: Seen, console: Console, source: random.Random) -> _Touched:
    custom = [module for module in console.world.modules(seen.product_key) if module.is_custom]
    name = f"rival-{source.randrange(10**6)}"
    if len(custom) >= MAX_CUSTOM_MODULES or console.world.module(seen.product_key, name):
        return None
    console.create(seen.product_key, name, alias_name="rival", desc="Made by a rival")
    return seen.product_key, name


def _update(seen: Seen, console: Console, source: random.Random) -> _Touched:
    name = _any_module(seen.product_key, console, source)
    if not name:
        return None
    alias_name = f"rival-{source.randrange(10**6)}"
    console.update(seen.product_key, name, alias_name=alias_name, desc="Changed by a rival")
    return seen.product_key, name


def _delete(seen: Seen, console: Console, source: random.Random) -> _Touched:
    name = _any_module(seen.product_key, console, source)
    if not name:
        return None
    console.delete(seen.product_key, name)
    return seen.product_key, name


def _package(seen: Seen, console: Console, source: random.Random) -> _Touched:
    product_key = seen.product_key or _any_product(console, source)
    name = _any_module(product_key, console, source)
    if not name:
        return None
    console.add_package(product_key, name)
    return product_key, name


def _product(_: Seen, console: Console, source: random.Random) -> _Touched:
    product_key = f"rival{source.randrange(10**6):06d}"
    console.add_product(product_key)
    return product_key, ""


def _drop_product(_: Seen, console: Console, source: random.Random) -> _Touched:
    product_key = _any_product(console, source)
    if not product_key:
        return None
    console.drop_product(product_key)
    return product_key, ""


_Deed = Callable[["Seen", "Console", random.Random], _Touched]
_DEEDS: Final[Mapping[RivalMove, _Deed]] = {
    RivalMove.CREATE: _create,
    RivalMove.UPDATE: _update,
    RivalMove.DELETE: _delete,
    RivalMove.PACKAGE: _package,
    RivalMove.PRODUCT: _product,
    RivalMove.DROP_PRODUCT: _drop_product,
}


def _any_module(product_key: str, console: Console, source: random.Random) -> str:
    names = sorted(module.module_name for module in console.world.modules(product_key) if module.is_custom)
    return source.choice(names) if names else ""


def _any_product(console: Console, source: random.Random) -> str:
    keys = sorted(console.world.products())
    return source.choice(keys) if keys else ""
