"""`bulk fleet split`, as it is typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bulk.cli import main
from bulk.fleet.manifest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.fleet.conftest import MemoryStore

ACCOUNTS = 6
ROWS = 60


@pytest.fixture(autouse=True)
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tables = [
        f'[accounts.a{number}]\nendpoint = "https://platform{number}"\n'
        f'key_env = "KEY{number}"\nrate_group = "g{number % 3}"'
        for number in range(ACCOUNTS)
    ]
    (tmp_path / "bulk.toml").write_text("\n".join([*tables, ""]))
    lines = [f"a{row % ACCOUNTS},pk{row % ACCOUNTS},m{row}" for row in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["Account,ProductKey,ModuleName", *lines, ""]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_shards_are_stored_and_named_with_the_next_step(capsys: pytest.CaptureFixture[str], job: Path) -> None:
    assert main(["fleet", "split", "in.csv", "--store", "store", "--shards", "3"]) == 0

    out = capsys.readouterr().out
    assert out.splitlines() == [
        "60 rows of 6 accounts in 3 shards, in store",
        *(f"  shard {number}: 2 accounts, 20 rows" for number in range(3)),
        "Next, on each machine, with N from 0 on:",
        "  bulk fleet work store --shard N",
    ]
    assert (job / "store" / MANIFEST).is_file()


def test_as_json(capsys: pytest.CaptureFixture[str], store: MemoryStore) -> None:
    assert main(["fleet", "split", "in.csv", "--store", "store", "--json"]) == 0

    assert MANIFEST in store.objects
    assert json.loads(capsys.readouterr().out) == {
        "store": "store",
        "input": "in.csv",
        "rows": ROWS,
        "shards": [{"number": 0, "accounts": ["a0", "a3", "a1", "a4", "a2", "a5"], "rows": ROWS}],
        "exit_code": 0,
    }


@pytest.mark.parametrize("setting", ["other rows", "other shards", "other rate"])
def test_second_split_of_anything_else_is_refused(capsys: pytest.CaptureFixture[str], job: Path, setting: str) -> None:
    main(["fleet", "split", "in.csv", "--store", "store"])
    before = (job / "store" / MANIFEST).read_bytes()
    flags = {"other shards": ["--shards", "2"], "other rate": ["--qps", "5"]}.get(setting, [])
    if setting == "other rows":
        with (job / "in.csv").open("a") as file:
            file.write("a0,pk0,another\n")

    assert main(["fleet", "split", "in.csv", "--store", "store", *flags]) == 2

    assert "the store has a fleet already" in capsys.readouterr().err
    assert (job / "store" / MANIFEST).read_bytes() == before


def test_same_split_once_more_is_done_and_changes_nothing(capsys: pytest.CaptureFixture[str], job: Path) -> None:
    main(["fleet", "split", "in.csv", "--store", "store", "--shards", "2"])
    first, before = capsys.readouterr().out, sorted((job / "store").rglob("*"))

    assert main(["fleet", "split", "in.csv", "--store", "store", "--shards", "2"]) == 0

    assert capsys.readouterr().out == first
    assert sorted((job / "store").rglob("*")) == before


def test_account_without_group_is_refused_before_anything_is_stored(
    capsys: pytest.CaptureFixture[str], job: Path
) -> None:
    with (job / "bulk.toml").open("a") as file:
        file.write('[accounts.other]\nendpoint = "https://other"\nkey_env = "OTHER"\n')

    assert main(["fleet", "split", "in.csv", "--store", "store"]) == 2

    assert "'other' has neither rate_group nor role_arn" in capsys.readouterr().err
    assert list((job / "store").iterdir()) == []


def test_only_the_first_shards_are_named(
    capsys: pytest.CaptureFixture[str], job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.cli.commands.fleet.split._SHOWN_SHARDS", 2)

    assert main(["fleet", "split", "in.csv", "--store", "store", "--shards", "3"]) == 0

    assert capsys.readouterr().out.splitlines()[1:4] == [
        "  shard 0: 2 accounts, 20 rows",
        "  shard 1: 2 accounts, 20 rows",
        "  and 1 shard more",
    ]
    assert job.is_dir()
