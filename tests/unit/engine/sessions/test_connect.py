"""Where a run keeps its ledger and its rehearsal, and what a rehearsal is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.run import run
from bulk.engine.sessions.connect import credentials_for, ledger_path, sandbox_states
from bulk.errors import SettingsError
from bulk.events import CredentialsFound, Event
from bulk.model import Dialect
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[str, str], str]

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"


@pytest.mark.parametrize(
    ("name", "settings", "path"),
    [
        ("m.csv", Settings(region="r"), "m.csv.ledger.db"),
        ("m.csv", Settings(sandbox=True), "m.csv.sandbox.db"),
        ("-", Settings(region="r", ledger="l.db"), "l.db"),
    ],
)
def test_ledger_is_beside_its_input_unless_it_is_named(name: str, settings: Settings, path: str) -> None:
    assert ledger_path(name, settings) == Path(path)


@pytest.mark.parametrize(("name", "said"), [("-", "stdin"), ("/dev/fd/63", "/dev/fd/63")])
def test_input_without_a_place_needs_a_named_ledger(name: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"the input is {said}, which has no path .*: name one with --ledger"):
        ledger_path(name, Settings(region="r"))


def test_each_account_rehearses_in_a_file_of_its_own_whatever_its_name() -> None:
    names = ["", "cn", "a/b", "華" * 30]

    states = sandbox_states(Path("f/l.db"), names)

    assert [states[name].name for name in names[:3]] == [
        "l.db.cloud.jsonl",
        "l.db.cn.cloud.jsonl",
        "l.db.a%2Fb.cloud.jsonl",
    ]
    assert len({*states.values()}) == 4
    assert all(path.parent == Path("f") and len(path.name) < 100 for path in states.values())


async def test_keys_of_a_profile_or_a_variable_are_found_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHT_ACCESS_KEY_ID", "LTAI5tNight")
    monkeypatch.setenv("NIGHT_ACCESS_KEY_SECRET", "s3cr3tS3cr3tS3cr3t")
    told: list[Event] = []

    provider = await credentials_for(Settings(region="cn-shanghai", key_env="NIGHT"), listener=told.append)

    assert (await provider.current()).access_key_id == "LTAI5tNight"
    assert any(isinstance(event, CredentialsFound) for event in told)


async def test_rehearsal_creates_in_a_world_of_its_own_and_goes_on_with_it(
    write: Write, rehearsals: list[Any], tmp_path: Path
) -> None:
    source = write("m.csv", f"{HEADER}a1A,m,x,\n")
    settings = Settings(sandbox=True, qps=0, list_qps=0, dialect=Dialect.TUYA, sandbox_seed=7)
    first = await run(source, settings)
    write("m.csv", f"{HEADER}a1A,m,x,\na1A,n,,\n")

    second = await run(source, settings)

    assert [first.outcomes["created"], second.outcomes["created"]] == [1, 2]
    assert [box.actions()["CreateOTAModule"] for box in rehearsals] == [1, 1]
    assert (tmp_path / "m.csv.sandbox.db.cloud.jsonl").exists()
    assert not (tmp_path / "m.csv.ledger.db").exists()


async def test_faults_of_a_rehearsal_are_met_and_faults_that_can_not_be_read_are_refused(
    write: Write, rehearsals: list[Any]
) -> None:
    source = write("m.csv", f"{HEADER}a1A,m,,\n")

    summary = await run(
        source,
        Settings(sandbox=True, qps=0, list_qps=0, sandbox_faults="list:code:iot.prod.NotExistedProduct-before=1x"),
    )
    with pytest.raises(SettingsError, match="--faults"):
        await run(source, Settings(sandbox=True, qps=0, list_qps=0, sandbox_faults="nonsense", ledger=f"{source}.l"))

    assert summary.outcomes["failed"] == 1
    assert len(rehearsals) == 1


async def test_accounts_of_a_rehearsal_have_worlds_of_their_own(
    write: Write, rehearsals: list[Any], tmp_path: Path
) -> None:
    accounts = {name: AccountSettings(region="cn-shanghai", profile=name) for name in ("cn", "eu")}
    settings = Settings(sandbox=True, qps=0, list_qps=0, accounts=accounts)

    summary = await run(write("m.csv", "Account,ProductKey,ModuleName\ncn,a1A,m\neu,a1A,m\n"), settings)

    assert (summary.exit_code, summary.outcomes["created"], len(rehearsals)) == (0, 2, 2)
    for name in accounts:
        assert (tmp_path / f"m.csv.sandbox.db.{name}.cloud.jsonl").exists()
