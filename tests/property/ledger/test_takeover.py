"""Whatever names come and go, no record is lost or doubled, what is ours stays ours, and no doubt is forgotten."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.errors import LedgerTargetError
from bulk.ledger.store import Ledger
from bulk.model import Dialect, ReadRows, Target

NAMES = ("", "one", "two", "three")
TARGETS = tuple(Target(Dialect.ALIBABA, f"https://{region}") for region in ("cn", "sg"))
PRODUCTS = ("p1", "p2", "p3")


class Known(NamedTuple):
    """What is known of a module of one target, whichever account has it."""

    owned: bool
    in_doubt: bool
    is_sending: bool
    written: frozenset[str]
    attempts: int


record = st.tuples(
    st.sampled_from(PRODUCTS),
    st.sampled_from(("a", "A", "b")),
    st.sampled_from(("sending", "created", "exists", "failed", "unknown", "drifted")),
    st.booleans(),
    st.booleans(),
    st.sampled_from((None, "", "x", "y")),
    st.integers(0, 3),
    st.integers(1, 9),
)
named = st.dictionaries(st.sampled_from(NAMES[1:]), st.sampled_from(TARGETS), min_size=1)
binding = st.one_of(st.builds(lambda target: {"": target}, st.sampled_from(TARGETS)), named)
"""What the settings of one night say: accounts, or none."""

Night = tuple[dict[str, Target], list[tuple[int, tuple[object, ...]]], list[int]]
"""Settings; what is recorded of which of their accounts; whose each product is in the input."""

night = st.tuples(binding, st.lists(st.tuples(st.integers(0, 2), record), max_size=5), st.lists(st.integers(0, 2)))


def note(connection: sqlite3.Connection, account: str, what: tuple[object, ...]) -> None:
    product_key, name, outcome, owned, in_doubt, written, attempts, at = what
    connection.execute(
        "INSERT OR IGNORE INTO modules (account, product_key, module_name, outcome, claimed, owned, in_doubt, "
        "written_alias, attempts, settled_at, run_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'r')",
        (
            account,
            product_key,
            name,
            outcome,
            "create" if outcome == "sending" else None,
            owned,
            in_doubt,
            written,
            attempts,
            f"2026-01-0{at}",
        ),
    )


def accept(connection: sqlite3.Connection, accounts: list[str]) -> None:
    """Bind the accounts for good: a slip that is corrected takes its failed records along to another target."""
    for account in accounts:
        connection.execute(
            "INSERT INTO attempts (run_id, at, action, account, product_key, latency_ms) "
            "VALUES ('r', 't', 'l', ?, 'none', 1)",
            (account,),
        )


def known(connection: sqlite3.Connection, targets: dict[str, Target]) -> dict[tuple[Target, str, str], Known]:
    """Return what the ledger knows of each module of each target, over all accounts."""
    found: dict[tuple[Target, str, str], Known] = {}
    for account, key, name, outcome, owned, in_doubt, written, attempts in connection.execute(
        "SELECT account, product_key, module_name, outcome, owned, in_doubt, written_alias, attempts FROM modules"
    ):
        module = (targets[account], key, name.casefold())
        before = found.get(module, Known(False, False, False, frozenset(), 0))
        found[module] = Known(
            before.owned or bool(owned),
            before.in_doubt or bool(in_doubt),
            before.is_sending or outcome == "sending",
            before.written | ({written} - {None}),
            before.attempts + attempts,
        )
    return found


def noted(connection: sqlite3.Connection) -> dict[str, Target]:
    found = connection.execute("SELECT account, dialect, endpoint FROM target")
    return {account: Target(Dialect(dialect), endpoint) for account, dialect, endpoint in found}


def read_in(ledger: Ledger, accounts: list[str], owners: list[int]) -> None:
    rows = ReadRows()
    for line, (key, owner) in enumerate(zip(PRODUCTS, owners, strict=False), 2):
        rows.valid.append((line, key, "a", "", "", "[]"))
        if accounts != [""]:
            rows.accounts.append(accounts[owner % len(accounts)])
    with ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
        intake.add(rows)


def check(before: dict[tuple[Target, str, str], Known], after: dict[tuple[Target, str, str], Known]) -> None:
    assert before.keys() == after.keys()
    for module, was in before.items():
        now = after[module]
        assert (now.owned, now.in_doubt, now.is_sending, now.attempts) == (
            was.owned,
            was.in_doubt,
            was.is_sending,
            was.attempts,
        )
        assert now.written <= was.written
        assert bool(now.written) == bool(was.written)


@settings(max_examples=40, deadline=None)
@given(st.lists(night, min_size=2, max_size=5))
def test_no_record_is_lost_or_doubled_whatever_names_come_and_go(nights: list[Night]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it.db"
        Ledger.open(path, targets={"": TARGETS[0]}).close()
        for targets, recorded, owners in nights:
            with closing(sqlite3.connect(path)) as connection:
                then = noted(connection)
                knew = known(connection, then)
            try:
                ledger = Ledger.open(path, targets=targets)
            except LedgerTargetError:
                with closing(sqlite3.connect(path)) as connection:
                    assert (noted(connection), known(connection, then)) == (then, knew)
                continue
            with closing(ledger):
                check(knew, known(ledger.connection, noted(ledger.connection)))
                accounts = list(targets)
                read_in(ledger, accounts, owners)
                check(knew, known(ledger.connection, noted(ledger.connection)))
                for at, what in recorded:
                    note(ledger.connection, accounts[at % len(accounts)], what)
                accept(ledger.connection, accounts)
