from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from bulk.ledger import sql
from bulk.ledger.sql import insert_many


@pytest.mark.parametrize("records", [1, 3, 8, 13])
def test_numbered_values_stand_in_each_of_their_places_of_each_record(
    records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "query", lambda _: "INSERT INTO t (a, b, c)\nVALUES (?1, nullif(?2, ''), ?1)")
    sql._query_of_many.cache_clear()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")

        insert_many(connection, "numbered", [(number, f"b{number}") for number in range(records)], together=4)

        found = connection.execute("SELECT a, b, c FROM t ORDER BY a").fetchall()
    sql._query_of_many.cache_clear()
    assert found == [(number, f"b{number}", number) for number in range(records)]
