"""What a platform holds, whose each module is, and a jury that looks at every request of a sync as it is done."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Action

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from bulk.model import OtaModule
    from bulk.sandbox import Sandbox, Seen
    from bulk.sandbox.worlds.console import Console

Key = tuple[str, str]
Texts = tuple[str, str]
WRITES = {Action.CREATE, Action.UPDATE, Action.DELETE}
FULL, OTHER = "a1Full000001", "a1Other00001"
_SURELY_NOTHING_DONE = ("Throttling", "InvalidTimeStamp")


def customs(box: Sandbox, product_key: str) -> dict[str, OtaModule]:
    return {
        module.module_name: module for module in box.modules(product_key) if module.module_name != RESERVED_MODULE_NAME
    }


def never_blindly_repeated(box: Sandbox) -> None:
    in_doubt: set[tuple[str, str]] = set()
    for seen in box.seen:
        if seen.action == Action.LIST:
            in_doubt = {key for key in in_doubt if key[0] != seen.product_key}
        elif seen.action in WRITES:
            key = seen.product_key, seen.module_name
            assert key not in in_doubt, f"sent again, and nobody listed: {seen}"
            in_doubt.add(key)


@dataclass
class Held:
    """A module on the platform."""

    texts: Texts
    written: Texts | None
    """As `bulk` wrote it on its own account; ``None``: somebody else made it."""

    packed: bool = False
    shown: Texts | None = None
    """As the last listing of its product showed it: nobody can see what somebody changes between that and a write."""

    @property
    def may_go(self) -> bool:
        return self.written == self.texts and not self.packed

    @property
    def seemed(self) -> Texts:
        return self.shown or self.texts


@dataclass
class File:
    """The input: key → texts, where an empty one is not compared."""

    path: Path
    rows: dict[Key, Texts] = field(default_factory=dict)

    @property
    def ledger(self) -> Path:
        return self.path.with_name(f"{self.path.name}.ledger.db")

    def write(self) -> None:
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["ProductKey", "ModuleName", "AliasName", "Desc"])
            writer.writerows((*key, *texts) for key, texts in self.rows.items())


class Jury:
    """Follows every change of a platform, and notes each that should not have been."""

    def __init__(self, box: Sandbox, file: File, dice: random.Random) -> None:
        self.box = box
        self.file = file
        self.dice = dice
        self.held: dict[Key, Held] = {}
        self.complaints: list[str] = []
        self.done: Counter[str] = Counter()
        self.rival_share = 0.0
        self._in_doubt: dict[str, set[str]] = defaultdict(set)
        self._deleted: dict[Key, Texts] = {}
        box.let_in(self._follow)

    # What bulk does.

    def _follow(self, seen: Seen, console: Console) -> None:
        key = seen.product_key, seen.module_name
        if seen.action == Action.LIST:
            self._in_doubt[seen.product_key].clear()
            for name in customs(self.box, seen.product_key) if seen.carried_out else ():
                held = self.held[seen.product_key, name]
                held.shown = held.texts
            if seen.carried_out and self.dice.random() < self.rival_share:
                self._rival(seen.product_key, console)
            return
        if seen.action not in WRITES:
            return
        if seen.module_name in self._in_doubt[seen.product_key]:
            self.complaints.append(f"sent again, and nobody listed: {seen}")
        if not seen.code.startswith(_SURELY_NOTHING_DONE):
            self._in_doubt[seen.product_key].add(seen.module_name)
        if seen.carried_out:
            self.done[seen.action] += 1
            {Action.CREATE: self._created, Action.UPDATE: self._updated, Action.DELETE: self._deleted_one}[
                Action(seen.action)
            ](key)
            if self.customs(seen.product_key) > MAX_CUSTOM_MODULES:
                self.complaints.append(f"past ten: {seen}")

    def _created(self, key: Key) -> None:
        if key not in self.file.rows and self._deleted.get(key) != self._texts(key):
            self.complaints.append(f"created, and neither in the file nor made again: {key}")
        self.held[key] = Held(self._texts(key), self._texts(key))

    def _updated(self, key: Key) -> None:
        held, texts = self.held[key], self._texts(key)
        row = self.file.rows.get(key)
        if row is None:
            self.complaints.append(f"updated, and not in the file: {key}")
            return
        kept = zip(held.texts, held.seemed, strict=True)
        if any(now not in ({want} if want else {*known}) for now, want, known in zip(texts, row, kept, strict=True)):
            self.complaints.append(f"updated otherwise than its row says: {key} {held.texts} → {texts}, wanted {row}")
        if held.written is not None:
            alias, desc = (want or known for want, known in zip(row, held.written, strict=True))
            held.written = alias, desc
        held.texts = held.shown = texts

    def _deleted_one(self, key: Key) -> None:
        held = self.held.pop(key)
        self._deleted[key] = held.texts
        if key in self.file.rows or key[1] == RESERVED_MODULE_NAME or held.written != held.seemed or held.packed:
            self.complaints.append(f"deleted, and protected: {key} {held}")
        with closing(sqlite3.connect(self.file.ledger)) as connection:
            planned = connection.execute(
                "SELECT found_alias, found_desc FROM planned WHERE kind = 'delete' AND withheld IS NULL "
                "AND product_key = ? AND module_name = ?",
                key,
            ).fetchone()
        if planned is None or tuple(text or "" for text in planned) != held.seemed:
            self.complaints.append(f"deleted, and not planned so: {key} {held}, {planned}")

    # What others do.

    def _rival(self, product_key: str, console: Console) -> None:
        keys = [key for key in self.held if key[0] == product_key]
        move = self.dice.choice(["create", "update", "update", "delete", "pack"])
        if move == "create" and self.customs(product_key) < MAX_CUSTOM_MODULES - 1:
            self.make_foreign((product_key, f"theirs-{self.dice.randrange(10**6)}"), console)
        elif keys and move != "create":
            key = self.dice.choice(keys)
            {"update": self.change_by_hand, "delete": self.delete_by_hand, "pack": self.pack}[move](key, console)

    def make_foreign(self, key: Key, console: Console) -> None:
        console.create(*key, alias_name="theirs", desc="not of this file")
        self.held[key] = Held(self._texts(key), None)

    def change_by_hand(self, key: Key, console: Console) -> None:
        alias_name = f"hand-{self.dice.randrange(10**6)}"
        console.update(*key, alias_name=alias_name, desc=self.dice.choice(["by hand", self.held[key].texts[1] or None]))
        self.held[key].texts = self._texts(key)

    def delete_by_hand(self, key: Key, console: Console) -> None:
        console.delete(*key)
        del self.held[key]

    def pack(self, key: Key, console: Console) -> None:
        console.add_package(*key)
        self.held[key].packed = True

    # What is there.

    def customs(self, product_key: str) -> int:
        return sum(module.module_name != RESERVED_MODULE_NAME for module in self.box.modules(product_key))

    def _texts(self, key: Key) -> Texts:
        (found,) = [module for module in self.box.modules(key[0]) if module.module_name == key[1]]
        return found.alias_name or "", found.desc or ""

    def module_by_module(self, notes: list[str]) -> list[str]:
        """Compare the platform with the file; return what is not as it should be."""
        wrong = list(self.complaints)
        products = {key[0] for key in (*self.held, *self.file.rows)}
        there = {
            (product_key, module.module_name): (module.alias_name or "", module.desc or "")
            for product_key in products
            for module in self.box.modules(product_key)
            if module.module_name != RESERVED_MODULE_NAME
        }
        wrong += [f"not as it was followed: {key}" for key, held in self.held.items() if there.get(key) != held.texts]
        for key, row in self.file.rows.items():
            found = there.pop(key, None)
            if found is None and self.customs(key[0]) < MAX_CUSTOM_MODULES:
                wrong.append(f"missing: {key}")
            elif found is not None and any(want and want != now for want, now in zip(row, found, strict=True)):
                wrong.append(f"different: {key} {found}, wanted {row}")
        wrong += [f"left over: {key} {self.held[key]}" for key in there if self.held[key].may_go]
        return wrong + self._lost(notes)

    def _lost(self, notes: list[str]) -> list[str]:
        """Name what was deleted for a module that is not there, and is neither there again nor told."""
        with closing(sqlite3.connect(self.file.ledger)) as connection:
            swaps = connection.execute(
                "SELECT product_key, module_name, frees_slot_for FROM claims WHERE awaits_create = 1"
            ).fetchall()
        return [
            f"lost in a swap: {key} {name}, for {create}"
            for key, name, create in swaps
            if (key, name) in self._deleted
            and (key, name) not in self.held
            and (key, create) not in self.held
            and (key, create) in self.file.rows
            and not any(f"{name} of {key} was deleted" in note for note in notes)
        ]
