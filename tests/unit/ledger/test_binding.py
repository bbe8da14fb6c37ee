from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bulk.errors import LedgerTargetError
from bulk.ledger.binding import Takeover, read_targets
from bulk.ledger.sql import query
from bulk.ledger.storage.database import open_for_writing
from bulk.ledger.store import Ledger, check_ledger
from bulk.model import Dialect, ReadRows, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CN = Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com")
SG = Target(Dialect.ALIBABA, "https://iot.ap-southeast-1.aliyuncs.com")
US = Target(Dialect.ALIBABA, "https://iot.us-west-1.aliyuncs.com", "iot-us")


def open_once(path: Path, targets: Mapping[str, Target]) -> tuple[Takeover, ...]:
    with closing(Ledger.open(path, targets=targets)) as ledger:
        return ledger.takeovers


def accept(path: Path, account: str, product_key: str = "p") -> None:
    """Let the ledger know of a request that the platform accepted for an account."""
    with closing(open_for_writing(path)) as connection:
        connection.execute(
            "INSERT INTO attempts (run_id, at, action, account, product_key, latency_ms) "
            "VALUES ('r', 't', 'l', ?, ?, 1)",
            (account, product_key),
        )


def record(path: Path, account: str, name: str, *, product_key: str = "p", **columns: object) -> None:
    values = {"outcome": "created", "settled_at": "2026-01-01", "run_id": "r", **columns}
    names = ["account", "product_key", "module_name", *values]
    with closing(open_for_writing(path)) as connection:
        connection.execute(
            f"INSERT INTO modules ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            (account, product_key, name, *values.values()),
        )


def records(path: Path, *columns: str) -> dict[tuple[str, str], tuple[object, ...]]:
    """Return what is recorded of each module, by account and name."""
    asked = f"SELECT account, module_name, {', '.join(columns)} FROM modules"
    with closing(sqlite3.connect(path)) as connection:
        return {(account, name): tuple(rest) for account, name, *rest in connection.execute(asked)}


def noted(path: Path) -> dict[str, Target]:
    with closing(open_for_writing(path)) as connection:
        return read_targets(connection)


def read_in(ledger: Ledger, *rows: tuple[str, str, str]) -> None:
    """Replace the rows: ``(account, ProductKey, ModuleName)``, from line 2 on."""
    read = ReadRows([(line, key, name, "", "", "[]") for line, (_, key, name) in enumerate(rows, 2)])
    read.accounts.extend(account for account, _, _ in rows)
    with ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
        intake.add(read)


def problems(ledger: Ledger) -> list[tuple[int, str, str]]:
    found = ledger.connection.execute(
        "SELECT line, problem_code, message FROM rows WHERE outcome = 'invalid' ORDER BY line"
    )
    return found.fetchall()


# Each account is bound on its own.


def test_each_account_has_a_target_of_its_own(path: Path) -> None:
    targets = {"cn": CN, "sg": SG}

    open_once(path, targets)

    assert noted(path) == targets


def test_an_account_that_accepted_no_request_may_be_corrected_while_another_is_bound(path: Path) -> None:
    open_once(path, {"cn": CN, "sg": SG})
    accept(path, "cn")

    open_once(path, {"cn": CN, "sg": US})

    assert noted(path) == {"cn": CN, "sg": US}


@pytest.mark.parametrize("opening", [Ledger.open, Ledger.scratch, check_ledger])
def test_a_bound_account_refuses_another_target_and_is_named(path: Path, opening: object) -> None:
    open_once(path, {"cn": CN, "sg": SG})
    accept(path, "sg")

    with pytest.raises(LedgerTargetError, match=r"account 'sg' of this ledger belongs to .*ap-southeast-1.*us-west-1"):
        opening(path, targets={"cn": CN, "sg": US})  # type: ignore[operator]

    assert noted(path) == {"cn": CN, "sg": SG}


def test_names_that_were_exchanged_between_two_targets_are_refused(path: Path) -> None:
    open_once(path, {"a": CN, "b": SG})
    accept(path, "a")
    accept(path, "b")

    with pytest.raises(LedgerTargetError, match="or another name if it is another account"):
        open_once(path, {"a": SG, "b": CN})

    # As advised: under new names.
    assert set(open_once(path, {"c": SG, "d": CN})) == {Takeover("a", "d", 0), Takeover("b", "c", 0)}


def test_a_ledger_none_of_whose_targets_the_job_has_is_refused(path: Path) -> None:
    open_once(path, {"a": CN, "b": SG})
    accept(path, "a")

    with pytest.raises(LedgerTargetError, match=r"belongs to accounts 'a' .*no account of this run has a target"):
        open_once(path, {"c": US})
    with pytest.raises(LedgerTargetError, match=r"this ledger belongs to .*shanghai.*, and this run is for .*us-west"):
        open_once(path, {"": US})


def test_a_run_that_forgot_the_sandbox_is_told_so(path: Path) -> None:
    open_once(path, {"": Target(CN.dialect, "sandbox")})
    accept(path, "")

    with pytest.raises(LedgerTargetError, match=r"belongs to sandbox .*name another ledger with --ledger, or add --sa"):
        open_once(path, {"": US})


def test_a_run_of_another_sandbox_is_told_how_to_reach_the_ledgers_own(path: Path) -> None:
    open_once(path, {"": Target(Dialect.ALIBABA, "sandbox")})
    accept(path, "")

    with pytest.raises(LedgerTargetError, match=r"or add --sandbox --dialect alibaba$"):
        open_once(path, {"": Target(Dialect.TUYA, "sandbox")})


# A name that left the settings.


def test_a_name_that_left_keeps_its_records_where_nobody_has_its_target(path: Path) -> None:
    open_once(path, {"cn": CN, "sg": SG})
    accept(path, "cn")
    record(path, "sg", "a", owned=1)

    assert open_once(path, {"cn": CN}) == ()

    assert records(path, "owned") == {("sg", "a"): (1,)}
    assert noted(path) == {"cn": CN, "sg": SG}


def test_a_name_that_left_keeps_its_records_where_another_account_had_its_target_before(path: Path) -> None:
    open_once(path, {"one": CN, "two": CN})
    record(path, "two", "a")

    assert open_once(path, {"one": CN}) == ()

    assert records(path, "outcome") == {("two", "a"): ("created",)}


def test_a_new_name_takes_over_what_the_unnamed_account_had(path: Path) -> None:
    open_once(path, {"": CN})
    with closing(Ledger.open(path, targets={"": CN})) as ledger:
        with ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
            intake.add(ReadRows([(2, "p", "a", "", "", "[]"), (3, "p", "b", "", "", "[]")]))
        ledger.connection.execute(
            "INSERT INTO claims (product_key, module_name, kind, run_id, at) VALUES ('p', 'a', 'update', 'r', 't')"
        )
    record(path, "", "a", owned=1, written_alias="x", in_doubt=1)
    accept(path, "")

    assert open_once(path, {"cn": CN, "sg": SG}) == (Takeover("", "cn", 1),)

    assert noted(path) == {"cn": CN, "sg": SG}
    assert records(path, "owned", "written_alias", "in_doubt") == {("cn", "a"): (1, "x", 1)}
    with closing(sqlite3.connect(path)) as connection:
        for table in ("claims", "attempts", "rows"):
            assert connection.execute(f"SELECT DISTINCT account FROM {table}").fetchall() == [("cn",)]
    assert open_once(path, {"cn": CN, "sg": SG}) == ()


def test_a_renamed_account_takes_over_beside_others_of_the_same_target(path: Path) -> None:
    open_once(path, {"one": CN, "two": CN})
    record(path, "one", "a")
    record(path, "two", "b")

    assert open_once(path, {"one": CN, "zwei": CN}) == (Takeover("two", "zwei", 1),)

    assert set(records(path, "outcome")) == {("one", "a"), ("zwei", "b")}


def test_a_slip_is_no_name_that_could_hand_on(path: Path) -> None:
    open_once(path, {"one": CN, "slip": CN})
    record(path, "one", "a")

    assert open_once(path, {"uno": CN}) == (Takeover("one", "uno", 1),)


def test_settings_without_accounts_take_back_what_the_only_account_had(path: Path) -> None:
    open_once(path, {"cn": CN})
    record(path, "cn", "a")

    assert open_once(path, {"": CN}) == (Takeover("cn", "", 1),)

    assert noted(path) == {"": CN}


def test_settings_without_accounts_are_refused_where_the_ledger_has_several(path: Path) -> None:
    open_once(path, {"a": CN, "b": CN, "c": SG, "d": SG})
    for account in "abcd":
        accept(path, account)

    with pytest.raises(LedgerTargetError, match=r"records of accounts 'a', 'b', 'c' and 1 more, .* names no accounts"):
        open_once(path, {"": CN})


def test_a_takeover_is_told_to_a_plan_and_changes_only_its_copy(path: Path) -> None:
    open_once(path, {"": CN})
    record(path, "", "a")

    with closing(Ledger.scratch(path, targets={"cn": CN})) as scratch:
        assert scratch.takeovers == (Takeover("", "cn", 1),)

    assert noted(path) == {"": CN}


# Both have a record of the same module.


def test_of_two_records_the_later_one_stays_and_knows_what_the_other_knew(path: Path) -> None:
    open_once(path, {"": CN})
    record(path, "", "a", owned=1, written_alias="x", written_desc="", attempts=2, settled_at="2026-01-01")
    record(path, "cn", "A", outcome="failed", in_doubt=1, attempts=1, settled_at="2026-01-02")

    open_once(path, {"cn": CN})

    columns = ("outcome", "owned", "written_alias", "written_desc", "in_doubt", "attempts")
    assert records(path, *columns) == {("cn", "A"): ("failed", 1, "x", "", 1, 3)}


@pytest.mark.parametrize("claimed_by", ["", "cn"])
def test_of_two_records_a_claim_stays_whatever_was_said_later(path: Path, claimed_by: str) -> None:
    settled_by = "cn" if claimed_by == "" else ""
    open_once(path, {"": CN})
    record(path, claimed_by, "a", outcome="sending", claimed="update", run_id="claimed", settled_at="2026-01-01")
    record(path, settled_by, "a", outcome="created", owned=1, run_id="later", settled_at="2026-01-02")
    with closing(open_for_writing(path)) as connection:
        for account, run, found in ((claimed_by, "claimed", "before"), (settled_by, "later", "other")):
            connection.execute(
                "INSERT INTO claims (account, product_key, module_name, kind, found_alias, run_id, at) "
                "VALUES (?, 'p', 'a', 'update', ?, ?, 't')",
                (account, found, run),
            )

    open_once(path, {"cn": CN})

    assert records(path, "outcome", "claimed", "owned") == {("cn", "a"): ("sending", "update", 1)}
    with closing(open_for_writing(path)) as connection:
        doubts = connection.execute(query("claims_in_doubt")).fetchall()
    assert [(doubt[0], doubt[7]) for doubt in doubts] == [("cn", "before")]


# Where several could take over, the rows of the input say whose each product is.


def test_records_go_to_the_account_that_the_rows_give_their_product_to(path: Path) -> None:
    open_once(path, {"": CN})
    for key, name in (("p1", "a"), ("p2", "b"), ("p3", "c")):
        record(path, "", name, product_key=key)
        accept(path, "", key)

    with closing(Ledger.open(path, targets={"one": CN, "two": CN, "sg": SG})) as ledger:
        assert ledger.takeovers == ()
        read_in(ledger, ("one", "p1", "a"), ("two", "p2", "b"), ("sg", "p3", "c"))
        assert set(ledger.takeovers) == {Takeover("", "one", 1), Takeover("", "two", 1)}

        assert ledger.outcomes_by_account()["one"]["created"] == 1
        assert ledger.outcomes_by_account()["sg"]["created"] == 0
    assert set(records(path, "outcome")) == {("one", "a"), ("two", "b"), ("", "c")}
    with closing(sqlite3.connect(path)) as connection:
        whose = dict(connection.execute("SELECT product_key, account FROM attempts"))
    assert whose == {"p1": "one", "p2": "two", "p3": ""}


def test_a_product_that_comes_back_later_is_taken_over_then(path: Path) -> None:
    open_once(path, {"": CN})
    record(path, "", "a", product_key="p1")
    targets = {"one": CN, "two": CN}
    with closing(Ledger.open(path, targets=targets)) as ledger:
        read_in(ledger, ("one", "p9", "z"))
        assert ledger.takeovers == ()

    with closing(Ledger.open(path, targets=targets)) as ledger:
        read_in(ledger, ("two", "p1", "a"))
        assert ledger.takeovers == (Takeover("", "two", 1),)


def test_records_of_an_account_that_the_settings_still_name_are_never_taken_over(path: Path) -> None:
    targets = {"one": CN, "two": CN}
    open_once(path, targets)
    record(path, "one", "a", product_key="p1")

    with closing(Ledger.open(path, targets=targets)) as ledger:
        read_in(ledger, ("two", "p1", "a"))

    assert set(records(path, "outcome")) == {("one", "a")}


# One product under two accounts of one target.


def test_a_product_under_two_accounts_of_one_target_is_of_the_first_line(path: Path) -> None:
    with closing(Ledger.open(path, targets={"one": US, "two": US, "sg": SG})) as ledger:
        read_in(
            ledger, ("two", "p1", "a"), ("one", "p1", "b"), ("sg", "p1", "a"), ("one", "p2", "a"), ("one", "p1", "a")
        )

        assert [(line, code) for line, code, _ in problems(ledger)] == [
            (3, "product_key.other_account"),
            (6, "product_key.other_account"),
        ]
        assert "line 2 has this ProductKey under account 'two'" in problems(ledger)[0][2]
        assert ledger.outcomes_by_account()["one"] | {"invalid": 2, "pending": 1} == ledger.outcomes_by_account()["one"]


def test_a_refused_line_makes_no_repeat_of_another(path: Path) -> None:
    with closing(Ledger.open(path, targets={"one": CN, "two": CN})) as ledger:
        read_in(ledger, ("one", "p1", "a"), ("two", "p1", "a"), ("two", "p1", "a"), ("one", "p1", "a"))

        assert [line for line, _, _ in problems(ledger)] == [3, 4]
        assert ledger.outcomes()["duplicate"] == 1


def test_a_product_under_two_accounts_of_two_targets_is_two_products(path: Path) -> None:
    with closing(Ledger.open(path, targets={"one": CN, "two": SG})) as ledger:
        read_in(ledger, ("one", "p1", "a"), ("two", "p1", "a"))

        assert problems(ledger) == []
        assert list(ledger.accounts_with_rows()) == ["one", "two"]


def test_a_row_that_does_not_say_whose_it_is_counts_only_in_the_whole(path: Path) -> None:
    with closing(Ledger.open(path, targets={"one": CN})) as ledger:
        with ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
            intake.add(ReadRows([], [(2, "[]", "account.unknown", "?", None), (3, "[]", "desc.length", "?", "one")]))

        assert ledger.outcomes()["invalid"] == 2
        assert ledger.outcomes_by_account() == {"one": dict.fromkeys(ledger.outcomes(), 0) | {"invalid": 1}}
