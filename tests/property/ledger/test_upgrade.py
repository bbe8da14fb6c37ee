"""Whatever is in a ledger of layout 1, an upgrade keeps every fact, and adds only what follows from them."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk.ledger.sql import migrations
from bulk.ledger.store import Ledger
from bulk.model import ROW_OUTCOMES, Action, Dialect, Outcome, Target

TARGET = Target(Dialect.TUYA, "sandbox")
STORED = sorted(
    set(ROW_OUTCOMES) - {Outcome.DUPLICATE, Outcome.INVALID, Outcome.UPDATED, Outcome.MOVED, Outcome.WITHHELD}
)
"""Outcomes that layout 1 has of modules."""

products = st.sampled_from(["p1", "p2", "P1"])
names = st.sampled_from(["a", "A", "b", "x-1", "X-1"])
texts = st.none() | st.sampled_from(["", "x", "模块", "it's"])
flags = st.integers(0, 1)
modules = st.lists(
    st.tuples(
        products, names, texts, texts, st.sampled_from(STORED), texts, texts, texts, st.integers(0, 9), flags, flags
    ),
    unique_by=lambda module: (module[0], module[1].lower()),
)
attempts = st.lists(
    st.tuples(
        st.sampled_from(Action), products, st.none() | names, st.none() | st.sampled_from([200, 500]), texts, texts
    )
)
rows = st.lists(
    st.tuples(products, names, texts, texts, st.sampled_from([None, None, None, "invalid", "duplicate"]), texts)
)

STANDING = (
    'line, product_key, module_name, alias_name, "desc", record, outcome_when_read, outcome, message, request_id, '
    "attempts, recovered, in_doubt, settled_at"
)
OF_MODULES = (
    'product_key, module_name, alias_name, "desc", outcome, code, message, request_id, attempts, recovered, in_doubt, '
    "settled_at, run_id"
)
OF_ATTEMPTS = "id, run_id, at, action, product_key, module_name, http_status, code, request_id, latency_ms"
FACTS = (
    f"SELECT {STANDING} FROM standing ORDER BY line",
    f"SELECT {OF_MODULES} FROM modules ORDER BY product_key, module_name",
    f"SELECT {OF_ATTEMPTS} FROM attempts ORDER BY id",
    "SELECT line, outcome, message FROM rows ORDER BY line",
    (
        "SELECT run_id, started_at, ended_at, pid, host, version, input, {rates}, exit_code, stopped, summary "
        "FROM runs ORDER BY run_id"
    ),
    "SELECT name, shape, rows, read_at FROM input",
    "SELECT dialect, endpoint, instance_id FROM target",
)


def facts(connection: sqlite3.Connection) -> list[list[Any]]:
    """Return what both layouts say; the first one kept two rates in columns of their own."""
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    rates = "create_per_s, list_per_s"
    if layout > 1:
        rates = "json_extract(rates, '$.create'), json_extract(rates, '$.list')"
    return [connection.execute(question.replace("{rates}", rates)).fetchall() for question in FACTS]


def write(path: Path, of_modules: list[Any], of_attempts: list[Any], of_rows: list[Any]) -> list[list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{migrations()[1]} PRAGMA user_version = 1; PRAGMA journal_mode = WAL;")
        connection.execute("INSERT INTO target VALUES ('tuya', 'sandbox', NULL)")
        connection.execute("INSERT INTO input VALUES ('m.csv', '{}', ?, '2026')", (len(of_rows),))
        connection.execute(
            "INSERT INTO runs VALUES ('r1', '2026', '2026', 1, 'h', '0.1.0', 'm.csv', 1, 1, 0, NULL, NULL)"
        )
        connection.executemany(
            f"INSERT INTO modules ({OF_MODULES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '2026', 'r1')", of_modules
        )
        connection.executemany(
            "INSERT INTO attempts (action, product_key, module_name, http_status, code, request_id, run_id, at, "
            "latency_ms) VALUES (?, ?, ?, ?, ?, ?, 'r1', '2026', 1.5)",
            of_attempts,
        )
        connection.executemany(
            'INSERT INTO rows (product_key, module_name, alias_name, "desc", outcome, message, record) '
            "VALUES (?, ?, ?, ?, ?, ?, '[]')",
            of_rows,
        )
        connection.commit()
        return facts(connection)


@settings(max_examples=60, deadline=None)
@given(modules, attempts, rows)
def test_an_upgrade_keeps_every_fact(of_modules: list[Any], of_attempts: list[Any], of_rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "it.db"
        written = write(path, of_modules, of_attempts, of_rows)

        with closing(Ledger.open(path, targets={"": TARGET})) as ledger:
            assert facts(ledger.connection) == written
            owned = ledger.connection.execute(
                "SELECT product_key, module_name, written_alias, written_desc FROM modules WHERE owned"
            ).fetchall()
            (accounts,) = ledger.connection.execute(
                "SELECT count(*) FROM (SELECT account FROM modules UNION ALL SELECT account FROM rows UNION ALL "
                "SELECT account FROM attempts UNION ALL SELECT account FROM target) WHERE account <> ''"
            ).fetchone()

    assert accounts == 0
    made = {
        (key, name.lower())
        for action, key, name, http_status, code, _ in of_attempts
        if action is Action.CREATE and name and http_status and code is None
    }
    written_texts = {module[:2]: (module[2] or "", module[3] or "") for module in of_modules if module[4] == "created"}
    assert sorted(owned, key=repr) == sorted(
        (
            (*module[:2], *written_texts.get(module[:2], (None, None)))
            for module in of_modules
            if module[4] == "created" or (module[0], module[1].lower()) in made
        ),
        key=repr,
    )
