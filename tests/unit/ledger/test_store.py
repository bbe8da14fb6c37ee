from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import LedgerError, LedgerHeldError, LedgerTargetError
from bulk.ledger.lanes import LaneReader
from bulk.ledger.sql import SCHEMA_VERSION, schema
from bulk.ledger.storage.database import open_for_writing
from bulk.ledger.store import Ledger, check_ledger
from bulk.ledger.views.reading import open_for_reading, read_input, read_results
from bulk.ledger.views.status import read_status
from bulk.model import PROVISIONED_OUTCOMES, ROW_OUTCOMES, Action, Dialect, Outcome, ReadRows, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.model import Lane, ValidRow

TARGET = Target(Dialect.TUYA, "https://example.tuyacloud.com:8686")


def outcomes(ledger: Ledger) -> dict[int, tuple[str, str | None]]:
    query = "SELECT line, outcome, message FROM standing ORDER BY line"
    return {line: (outcome, message) for line, outcome, message in ledger.connection.execute(query)}


def settle(ledger: Ledger, key: str, name: str, outcome: str, **content: str | None) -> None:
    ledger.connection.execute(
        'INSERT OR REPLACE INTO modules (product_key, module_name, alias_name, "desc", outcome, settled_at, run_id) '
        "VALUES (?, ?, ?, ?, ?, '', 'r')",
        (key, name, content.get("alias"), content.get("desc"), outcome),
    )


def walked(ledger: Ledger, *, products: int, only: list[str] | None = None) -> list[Lane]:
    reader = LaneReader(ledger.path, only)
    lanes = [lane for batch in iter(lambda: reader.next_lanes(products), []) for lane in batch]
    reader.close()
    return lanes


def test_rows_are_pending_until_they_are_settled(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"), valid(3, "p1", "b"))
    settle(ledger, "p1", "A", "created")

    assert ledger.outcomes()["pending"] == 2  # 'A' is not as the row has it: looked at again
    settle(ledger, "p1", "a", "created")
    assert ledger.outcomes()["created"] == 1
    assert ledger.outcomes()["pending"] == 1


def test_every_outcome_is_counted(ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]) -> None:
    settled = [outcome for outcome in ROW_OUTCOMES if outcome not in {Outcome.DUPLICATE, Outcome.INVALID}]
    read_in(
        *(valid(line, "p1", f"m{line}") for line in range(2, 2 + len(settled))),
        valid(50, "p1", "m2"),
        invalid=(51, "[]", "module_name.missing", "ModuleName is empty", ""),
    )
    for line, outcome in enumerate(settled, 2):
        settle(ledger, "p1", f"m{line}", outcome)

    assert list(ledger.outcomes().items()) == [(outcome.value, 1) for outcome in ROW_OUTCOMES]


def test_a_repeated_row_is_a_duplicate_and_names_its_line(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a", "x"), valid(3, "p2", "a", "x"), valid(4, "p1", "a", "x"), valid(5, "p1", "a", "x"))

    assert outcomes(ledger) == {
        2: ("pending", None),
        3: ("pending", None),
        4: ("duplicate", "same as line 2"),
        5: ("duplicate", "same as line 2"),
    }


@pytest.mark.parametrize(
    ("name", "alias", "desc", "words"),
    [
        ("A", "x", "y", "another letter case: keep one"),
        ("a", "z", "y", "another AliasName: keep one"),
        ("a", None, "y", "another AliasName: keep one"),
        ("a", "x", None, "another Desc: keep one"),
        ("A", "q", "r", "another letter case, AliasName, Desc: keep one"),
    ],
)
def test_a_row_that_contradicts_an_earlier_one_is_invalid_and_says_how(
    ledger: Ledger,
    read_in: Callable[..., None],
    valid: Callable[..., ValidRow],
    name: str,
    alias: str | None,
    desc: str | None,
    words: str,
) -> None:
    read_in(valid(2, "p1", "a", "x", "y"), valid(7, "p1", name, alias, desc))

    outcome, message = outcomes(ledger)[7]
    assert outcome == "invalid"
    assert message is not None
    assert message.startswith("contradicts line 2")
    assert words in message


def test_a_row_that_fails_validation_keeps_its_reason(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(3, "p1", "a"), invalid=(2, "[]", "module_name.missing", "ModuleName is empty", ""))

    assert outcomes(ledger) == {2: ("invalid", "ModuleName is empty"), 3: ("pending", None)}


def test_invalid_rows_are_grouped_by_the_kind_of_their_problem(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(
        *(valid(line, "p1", name) for line, name in ((2, "a"), (3, "A"), (4, "A"))),
        invalid=(5, "[]", "module_name.missing", "ModuleName is missing", ""),
    )
    ledger.connection.execute("INSERT INTO rows (line, record, outcome) VALUES (6, '', 'invalid')")  # as of layout 1

    reasons = [(reason.outcome, reason.code, reason.rows, reason.example_line) for reason in ledger.reasons()]

    assert reasons == [
        ("invalid", "record.contradicts", 2, 3),
        ("invalid", "module_name.missing", 1, 5),
        ("invalid", None, 1, 6),
    ]
    shown = ledger.connection.execute("SELECT line, code FROM standing WHERE outcome = 'invalid' ORDER BY line")
    assert shown.fetchall() == [
        (3, "record.contradicts"),
        (4, "record.contradicts"),
        (5, "module_name.missing"),
        (6, None),
    ]


def test_a_changed_file_meets_its_modules_again_by_key(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a", "x"), valid(3, "p1", "b"), valid(4, "p2", "c"))
    settle(ledger, "p1", "a", "created", alias="x")
    settle(ledger, "p1", "b", "created")
    settle(ledger, "p2", "c", "exists")

    read_in(valid(2, "p2", "c"), valid(3, "p1", "a", "changed"), valid(4, "p3", "new"))

    assert outcomes(ledger) == {2: ("exists", None), 3: ("pending", None), 4: ("pending", None)}
    assert ledger.absent() == 1


def test_a_reading_that_fails_leaves_the_rows_as_they_were(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"))

    def break_off() -> None:
        with ledger.intake(name="other.csv", shape="{}", at=0.0) as intake:
            intake.add(ReadRows([valid(9, "p9", "z")]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()

    assert outcomes(ledger) == {2: ("pending", None)}
    read_in(valid(3, "p1", "b"))
    assert outcomes(ledger) == {3: ("pending", None)}


def test_lanes_come_in_the_order_of_their_products_first_lines(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p9", "a"), valid(3, "p1", "b"), valid(4, "p9", "c"), valid(5, "p5", "d"))

    lanes = walked(ledger, products=2)

    assert [(lane.product_key, [row.line for row in lane.rows]) for lane in lanes] == [
        ("p9", [2, 4]),
        ("p1", [3]),
        ("p5", [5]),
    ]


def test_lanes_of_some_products_come_in_the_order_that_is_asked_for(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(*(valid(line, f"p{line}", "a") for line in range(2, 7)))
    settle(ledger, "p3", "a", "created")

    lanes = walked(ledger, products=1, only=["p5", "p3", "p2"])

    assert [lane.product_key for lane in lanes] == ["p5", "p2"]


def test_open_products_are_in_the_order_of_their_first_lines_whatever_became_of_these(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p9", "a"), valid(3, "p1", "b"), valid(4, "p9", "c"), valid(5, "p5", "d"))
    settle(ledger, "p9", "a", "created")
    settle(ledger, "p5", "d", "exists")

    assert ledger.open_products([""]) == [("", "p9", 1), ("", "p1", 1)]
    with closing(LaneReader(ledger.path)) as reader:
        assert reader.products == 2


def test_products_of_which_all_rows_have_failed_before_come_last(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p9", "a"), valid(3, "p1", "b"), valid(4, "p5", "c"), valid(5, "p5", "d"), valid(6, "p2", "e"))
    for product_key, name in (("p9", "a"), ("p5", "d"), ("p1", "b")):
        settle(ledger, product_key, name, "failed")

    assert [key for _, key, _ in ledger.open_products([""])] == ["p5", "p2", "p9", "p1"]


def test_rows_that_are_all_settled_leave_nothing_to_try(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"), valid(3, "p1", "a"))
    settle(ledger, "p1", "a", "created")

    assert walked(ledger, products=64) == []


def test_only_open_rows_are_in_lanes(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(
        *(valid(line, "p1", f"m{line}") for line in range(2, 2 + len(Outcome))),
        valid(20, "p1", "m2"),
        valid(21, "p2", "done"),
    )
    for line, outcome in enumerate(Outcome, 2):
        settle(ledger, "p1", f"m{line}", outcome)
    settle(ledger, "p2", "done", "created")

    (lane,) = walked(ledger, products=64)

    stored = {outcome: line for line, outcome in enumerate(Outcome, 2)}
    assert [row.line for row in lane.rows] == sorted(
        line for outcome, line in stored.items() if outcome not in PROVISIONED_OUTCOMES - {Outcome.DUPLICATE}
    )
    # Nothing of this `unknown` row may have been carried out: its record would say that it is in doubt.
    assert {row.line for row in lane.rows if row.in_doubt} == {stored[Outcome.SENDING]}


def test_a_commit_that_returned_is_on_disk_on_every_system(ledger: Ledger) -> None:
    settings = ("journal_mode", "synchronous", "fullfsync")

    assert [ledger.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings] == ["wal", 2, 1]


def test_a_ledger_is_held_by_one_run_and_names_it(path: Path, ledger: Ledger) -> None:
    ledger.begin_run(
        "cafe0001",
        at=1_800_000_000.0,
        version="1",
        input_name="modules.csv",
        rates={Action.CREATE: 10.0, Action.LIST: 10.0},
    )

    with pytest.raises(
        LedgerHeldError, match=r"held by run cafe0001 \(process \d+ on .*since 2027-01-15T08:00:00.000Z"
    ):
        Ledger.open(path, targets={"": TARGET})


def test_a_ledger_is_held_under_each_of_its_names(path: Path, ledger: Ledger, tmp_path: Path) -> None:
    ledger.begin_run(
        "cafe0004",
        at=1_800_000_000.0,
        version="1",
        input_name="modules.csv",
        rates={Action.CREATE: 10.0, Action.LIST: 10.0},
    )
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)

    with pytest.raises(LedgerHeldError, match=r"link\.db: held by run cafe0004"):
        Ledger.open(link, targets={"": TARGET})

    seen = read_status(link).holder
    assert seen is not None
    assert seen.run_id == "cafe0004"
    assert not (link.parent / "link.db.lock").exists()


def test_a_ledger_whose_end_is_still_in_its_log_is_whole_under_each_of_its_names(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow], tmp_path: Path
) -> None:
    read_in(valid(2, "p1", "a"))
    settle(ledger, "p1", "a", "created")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with path.open("ab") as file:
        file.write(b"half a page")

    with closing(open_for_writing(link)) as connection:
        assert connection.execute("SELECT count(*) FROM modules").fetchone() == (1,)


def test_a_ledger_that_was_let_go_can_be_held_again(path: Path, ledger: Ledger) -> None:
    ledger.close()

    again = Ledger.open(path, targets={"": TARGET})

    assert again.outcomes()["pending"] == 0
    again.close()


def note_attempt(path: Path, code: str | None) -> None:
    """Let a ledger know of a listing; ``None``: one that the platform accepted."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO attempts (run_id, at, action, product_key, code, latency_ms) "
            "VALUES ('r', 't', 'l', 'p', ?, 1)",
            (code,),
        )
        connection.commit()


def note_outcome(path: Path, outcome: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "INSERT INTO modules (product_key, module_name, outcome, settled_at, run_id) "
            "VALUES ('p', 'm', ?, 't', 'r')",
            (outcome,),
        )
        connection.commit()


def test_a_target_that_never_accepted_a_request_may_be_corrected(path: Path, ledger: Ledger) -> None:
    ledger.close()
    note_attempt(path, "iot.system.InstanceNotFound")
    note_outcome(path, "failed")
    corrected = Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com", "iot-1")

    check_ledger(path, targets={"": corrected})
    Ledger.scratch(path, targets={"": corrected}).close()
    Ledger.open(path, targets={"": corrected}).close()

    assert read_status(path).target == corrected


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {"pending", "failed", "invalid", "duplicate"}))
def test_an_outcome_that_a_listing_told_binds_a_ledger_whose_attempts_are_gone(
    outcome: str, path: Path, ledger: Ledger
) -> None:
    ledger.close()
    note_outcome(path, outcome)

    with pytest.raises(LedgerTargetError):
        Ledger.open(path, targets={"": Target(Dialect.ALIBABA, "https://elsewhere.aliyuncs.com")})


def test_a_ledger_refuses_another_target(path: Path, ledger: Ledger) -> None:
    ledger.close()
    note_attempt(path, None)
    other = Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com", "iot-1")

    with pytest.raises(LedgerTargetError, match=r"belongs to https://example.tuyacloud.com:8686 \(tuya\)") as caught:
        Ledger.open(path, targets={"": other})

    assert "instance iot-1" in str(caught.value)
    Ledger.open(path, targets={"": TARGET}).close()


def test_an_empty_instance_id_is_none(path: Path, ledger: Ledger) -> None:
    ledger.close()

    Ledger.open(path, targets={"": Target(TARGET.dialect, TARGET.endpoint, "")}).close()

    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE target SET instance_id = ''")  # as earlier versions bound it
        connection.commit()
    Ledger.open(path, targets={"": TARGET}).close()


@pytest.mark.parametrize("content", [b"hello, I am no database at all" * 100, b"\0" * 8192])
def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)

    with pytest.raises(LedgerError, match=r"not a ledger of bulk; name another with --ledger"):
        Ledger.open(path, targets={"": TARGET})

    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE things (a)",
        "CREATE TABLE things (a); PRAGMA user_version = 1",
        "CREATE TABLE runs (a); PRAGMA user_version = 1",
        "CREATE TABLE target (a); CREATE TABLE runs (a); PRAGMA user_version = 1; PRAGMA application_id = 7",
        "PRAGMA application_id = 7",
    ],
)
@pytest.mark.parametrize("opening", [Ledger.open, Ledger.scratch])
def test_another_programs_database_is_left_as_it_is(
    script: str, opening: Callable[..., Ledger], tmp_path: Path
) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    before = path.read_bytes()

    with pytest.raises(LedgerError, match="this file is not a ledger of bulk"):
        opening(path, targets={"": TARGET})

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "done", ["", "PRAGMA journal_mode = WAL", f"{schema()} PRAGMA user_version = {SCHEMA_VERSION}"]
)
def test_a_ledger_whose_maker_died_before_it_was_bound_is_as_good_as_none(done: str, path: Path) -> None:
    path.touch()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(done)

    with pytest.raises(LedgerError, match=r"modules\.csv\.ledger\.db: no run has used this ledger yet"):
        read_status(path)
    with closing(Ledger.scratch(path, targets={"": TARGET})) as scratch:
        assert sum(scratch.outcomes().values()) == 0
    with closing(Ledger.open(path, targets={"": TARGET})):
        assert read_status(path).target == TARGET


def test_only_the_last_run_can_hold_a_ledger_or_ask_for_it_to_be_checked(
    path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.begin_run(
        "died", at=0.0, version="1", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
    )
    ledger.begin_run(
        "ended", at=1.0, version="1", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
    )
    ledger.end_run("ended", at=2.0, exit_code=0, stopped=None, summary=None)

    with pytest.raises(LedgerHeldError, match="held by another run"):
        Ledger.open(path, targets={"": TARGET})
    ledger.close()

    executed: list[str] = []
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(executed.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    Ledger.open(path, targets={"": TARGET}).close()
    assert "PRAGMA synchronous = FULL" in executed
    assert not [statement for statement in executed if "quick_check" in statement]


def test_a_ledger_of_another_version_is_refused(path: Path, ledger: Ledger) -> None:
    ledger.connection.execute("PRAGMA user_version = 99")
    ledger.close()

    with pytest.raises(LedgerError, match="version 99"):
        Ledger.open(path, targets={"": TARGET})


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LedgerError, match="check that the folder exists"):
        Ledger.open(tmp_path / "file" / "x.db", targets={"": TARGET})


def test_a_damaged_ledger_is_noticed_after_a_run_that_died(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(*(valid(line, f"p{line}", "m") for line in range(2, 3_000)))
    ledger.begin_run(
        "cafe0002", at=0.0, version="1", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 10.0}
    )
    ledger.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(LedgerError, match="the ledger is damaged"):
        Ledger.open(path, targets={"": TARGET})


def test_a_scratch_copy_leaves_the_ledger_alone(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p1", "a"), valid(3, "p1", "b"))
    settle(ledger, "p1", "a", "created")

    scratch = Ledger.scratch(path, targets={"": TARGET})
    with scratch.intake(name="x", shape="{}", at=0.0) as intake:
        intake.add(ReadRows([valid(2, "p1", "a")]))

    assert scratch.outcomes()["created"] == 1
    scratch.close()
    assert ledger.outcomes()["pending"] == 1
    assert not scratch.path.parent.exists()


def test_a_scratch_copy_is_for_the_same_target(path: Path, ledger: Ledger) -> None:
    ledger.close()
    note_attempt(path, None)

    with pytest.raises(LedgerTargetError):
        Ledger.scratch(path, targets={"": Target(Dialect.ALIBABA, "https://elsewhere.aliyuncs.com")})


def test_a_scratch_ledger_needs_none_before_it(tmp_path: Path) -> None:
    scratch = Ledger.scratch(tmp_path / "none.db", targets={"": TARGET})

    assert sum(scratch.outcomes().values()) == 0
    assert not (tmp_path / "none.db").exists()
    scratch.close()


def test_crowded_lanes_are_those_of_products_that_ask_for_more_than_ten(
    ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(
        *(valid(line, "p1", f"m{line}") for line in range(2, 13)),
        *(valid(line, "p2", f"m{line}") for line in range(20, 30)),
    )
    settle(ledger, "p1", "m2", "created")

    crowded = [(lane.product_key, len(lane.rows), made) for lane, made in ledger.crowded_lanes()]

    assert crowded == [("p1", 10, 1)]
    assert ledger.count_open_products() == 2


def test_status_tells_how_a_ledger_stands(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(
        valid(2, "p1", "a"), valid(3, "p1", "b"), invalid=(4, "[]", "module_name.missing", "ModuleName is empty", "")
    )
    ledger.begin_run(
        "cafe0003", at=0.0, version="1.2", input_name="modules.csv", rates={Action.CREATE: 10.0, Action.LIST: 5.0}
    )
    settle(ledger, "p1", "a", "failed")

    held = read_status(path)
    ledger.end_run("cafe0003", at=60.0, exit_code=1, stopped=None, summary=json.dumps({"rows": 3}))
    ledger.close()
    free = read_status(path)

    assert held.holder is not None
    assert held.holder.run_id == "cafe0003"
    assert free.holder is None
    assert (free.rows, free.input, free.target) == (3, "modules.csv", TARGET)
    assert {outcome: rows for outcome, rows in free.outcomes.items() if rows} == {
        "failed": 1,
        "pending": 1,
        "invalid": 1,
    }
    assert [(reason.outcome, reason.example_line) for reason in free.reasons] == [("failed", 2), ("invalid", 4)]
    (run,) = free.runs
    assert (run.exit_code, run.ended_at, run.list_per_s) == (1, "1970-01-01T00:01:00.000Z", 5.0)


def test_status_of_an_input_says_where_its_ledger_is(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"ProductKey,ModuleName\n" * 100)

    with pytest.raises(LedgerError, match=r"not a ledger of bulk; a run writes it beside its input, as INPUT\.ledger"):
        read_status(tmp_path / "m.csv")


def test_status_of_no_ledger_says_where_ledgers_are(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no such ledger; .*with --sandbox: INPUT\.sandbox\.db"):
        read_status(tmp_path / "none.db")


def test_results_come_in_file_order_and_can_be_narrowed(
    path: Path, ledger: Ledger, read_in: Callable[..., None], valid: Callable[..., ValidRow]
) -> None:
    read_in(valid(2, "p9", "a"), valid(3, "p1", "b"), valid(4, "p1", "b"))
    settle(ledger, "p9", "a", "created")

    with closing(open_for_reading(path)) as connection:
        everything = [(result.line, result.outcome) for result in read_results(connection, path)]
        some = [result.line for result in read_results(connection, path, outcomes=[Outcome.PENDING])]
        shape = read_input(connection, path)

    assert everything == [(2, "created"), (3, "pending"), (4, "duplicate")]
    assert some == [3]
    assert shape == "{}"
