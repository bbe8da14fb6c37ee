"""The doctor with accounts, each on a platform of its own."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main
from bulk.engine.checks.diagnosis import Verdict, exit_code
from bulk.engine.checks.doctor import Examination, examine_accounts
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox import Account, FaultPlan, Sandbox, SandboxConfig
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from bulk.engine.checks.diagnosis import Check

OF_AN_ACCOUNT = ["settings", "endpoint", "keys", "listing", "clock", "speed"]
OF_ALL = ["settings", "accounts", "rates", "ledger", "disk"]


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "BULK_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


async def examined(
    monkeypatch: pytest.MonkeyPatch, boxes: dict[str, dict[str, Any]], **changes: Any
) -> tuple[Examination, dict[str, Sandbox]]:
    """Return what is found of accounts, each with a box of its own, and those boxes."""
    async with AsyncExitStack() as stack:
        served, accounts = {}, {}
        for name, told in boxes.items():
            faults, account = FaultPlan.parse(told.pop("faults", "")), told.pop("account", {})
            config = SandboxConfig(qps=0, list_qps=0, faults=faults, **told)
            served[name] = box = await stack.enter_async_context(Sandbox(config))
            monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_ID", box.credentials.access_key_id)
            monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_SECRET", box.credentials.access_key_secret)
            said = {"endpoint": box.endpoint, "key_env": name.upper()} | account
            accounts[name] = AccountSettings(**said)
        settings = Settings(dialect=Dialect.ALIBABA, list_qps=0, accounts=accounts, **changes)
        return await examine_accounts(settings), served


def found(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


async def test_accounts_that_are_well_pass_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    made, boxes = await examined(monkeypatch, {"cn": {}, "eu": {}})

    assert [check.name for check in made.checks] == OF_ALL
    assert {name: [check.name for check in checks] for name, checks in made.accounts.items()} == {
        "cn": OF_AN_ACCOUNT,
        "eu": OF_AN_ACCOUNT,
    }
    assert {check.verdict for check in made.all_checks} == {Verdict.PASSED}
    assert found(made.checks)["settings"].detail == "2 accounts"
    assert not any(box.carried_out for box in boxes.values())


async def test_account_in_trouble_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"account": {"key_env": "NOBODY"}}
    denied = {"faults": "code:Forbidden.RAM=100%"}

    made, _ = await examined(monkeypatch, {"cn": wrong, "eu": denied, "us": {}})

    failed = {name: [c.name for c in checks if c.verdict is Verdict.FAILED] for name, checks in made.accounts.items()}
    assert failed == {"cn": ["keys"], "eu": ["listing"], "us": []}
    assert "NOBODY_ACCESS_KEY_ID" in found(made.accounts["cn"])["keys"].detail
    assert exit_code(made.all_checks) == 3


async def test_only_chosen_accounts_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    made, boxes = await examined(monkeypatch, {"cn": {}, "eu": {}}, only_accounts=("eu",))

    assert list(made.accounts) == ["eu"]
    assert found(made.checks)["settings"].detail == "1 of 2 accounts, as --account says"
    assert not boxes["cn"].codes


async def test_sample_product_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"products": frozenset({"a1Mine00001"}), "account": {"sample_product": "a1Theirs001"}}
    right = {"products": frozenset({"a1Mine00001"}), "account": {"sample_product": "a1Mine00001"}}

    made, _ = await examined(monkeypatch, {"wrong": wrong, "right": right})

    assert found(made.accounts["wrong"])["listing"].verdict is Verdict.FAILED
    assert found(made.accounts["right"])["listing"].detail.startswith("0 modules in a1Mine00001")


async def test_product_of_nobody_knows_which_account_is_refused() -> None:
    accounts = {name: AccountSettings(region=f"cn-{name}", key_env=name) for name in ("a", "b")}

    with pytest.raises(SettingsError, match="--product is a product of one account: add --account NAME"):
        await examine_accounts(Settings(accounts=accounts), product_key="a1")


async def test_accounts_that_cannot_be_sent_to_together_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = await examined(monkeypatch, {"cn": {"account": {"qps": 5}}, "eu": {}})

    check = found(made.checks)["accounts"]
    assert check.verdict is Verdict.FAILED
    assert "share the rate group of the key sand… and have different rates" in check.detail


async def test_settings_that_contradict_each_other_fail_without_any_request(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"account": {"rate_group": "g", "qps": 5}}, {"account": {"rate_group": "g"}}

    made, boxes = await examined(monkeypatch, dict(zip(("cn", "eu"), groups, strict=True)))

    assert found(made.checks)["settings"].verdict is Verdict.FAILED
    assert made.accounts == {}
    assert not any(box.codes for box in boxes.values())


async def of_one_platform(
    monkeypatch: pytest.MonkeyPatch, served: dict[str, dict[str, Any]], **said: Any
) -> tuple[Examination, dict[str, Any]]:
    """Return what is found of accounts that one platform serves, which also tells whose keys are, and their keys."""
    accounts = {
        name: Account(name=name, access_key_id=f"{name}-key", access_key_secret=f"{name}-secret", **told)
        for name, told in served.items()
    }
    async with Sandbox(SandboxConfig(accounts=tuple(accounts.values()))) as box:
        for name, account in accounts.items():
            monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_ID", account.access_key_id)
            monkeypatch.setenv(f"{name.upper()}_ACCESS_KEY_SECRET", account.access_key_secret)
        settings = Settings(
            endpoint=box.endpoint,
            dialect=Dialect.ALIBABA,
            sts_endpoint=box.endpoint,
            accounts={name: AccountSettings(**({"key_env": name.upper()} | said.get(name, {}))) for name in served},
        )
        return await examine_accounts(settings), accounts


async def test_two_rate_groups_of_one_uid_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = await of_one_platform(monkeypatch, {"a": {"uid": "1"}, "b": {"uid": "1"}, "c": {"uid": "2"}})

    check = found(made.checks)["rates"]
    assert check.verdict is Verdict.WARNED
    assert check.detail.startswith("a and b are one account for the platform, UID 1, but are in different rate groups")
    assert exit_code(made.all_checks) == 0
    assert found(made.accounts["c"])["identity"].detail.startswith("UID 2, acs:ram::2:")


async def test_rate_group_named_as_advised_is_the_end_of_the_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    advised = {name: {"rate_group": "1"} for name in ("a", "b")}

    made, _ = await of_one_platform(monkeypatch, {"a": {"uid": "1"}, "b": {"uid": "1"}}, **advised)

    assert found(made.checks)["rates"].detail == "1 rate group; the UIDs of 2 of 2 accounts are known"
    assert not any(one.verdict is Verdict.WARNED for one in found(made.accounts["a"]).values())


async def test_key_of_tuya_is_shown_to_no_token_service(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = await of_one_platform(monkeypatch, {"a": {}, "b": {"uid": "2"}}, a={"dialect": Dialect.TUYA})

    assert "identity" not in found(made.accounts["a"])
    assert "identity" in found(made.accounts["b"])


async def test_role_is_asked_for_its_own_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    role = {"role_arn": "acs:ram::2:role/nightly", "key_env": "A"}

    made, _ = await of_one_platform(monkeypatch, {"a": {"uid": "1"}, "b": {"uid": "2"}}, b=role)

    assert found(made.accounts["b"])["keys"].verdict is Verdict.PASSED
    assert "assumed with the keys from environment variables A_…" in found(made.accounts["b"])["keys"].detail
    assert found(made.accounts["b"])["identity"].detail.startswith("UID 2, ")
    assert found(made.checks)["rates"].detail == "2 rate groups; the UIDs of 2 of 2 accounts are known"


async def test_rehearsal_of_accounts_passes() -> None:
    accounts = {"cn": AccountSettings(region="cn-shanghai"), "tuya": AccountSettings(endpoint="https://h:8686")}

    made = await examine_accounts(Settings(sandbox=True, list_qps=0, accounts=accounts))

    assert exit_code(made.all_checks) == 0
    assert list(made.accounts) == ["cn", "tuya"]


@pytest.mark.usefixtures("_two_accounts")
def test_command_shows_few_accounts_whole(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 3
    assert [line for line in lines if line.startswith("account ")] == ["account eu", "account cn"]
    assert [line.split()[1] for line in lines if line.startswith("FAILED")] == ["endpoint", "keys", "endpoint"]
    assert lines[lines.index("", len(lines) // 2) + 1] == "ok     settings 2 accounts"


@pytest.mark.usefixtures("_two_accounts")
def test_command_adds_accounts_to_its_object(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json", "--account", "eu"])

    printed = json.loads(capsys.readouterr().out)
    assert (code, printed["exit_code"]) == (3, 3)
    assert [check["name"] for check in printed["checks"]] == OF_ALL
    assert list(printed["accounts"]) == ["eu"]
    assert set(printed["accounts"]["eu"]["checks"][0]) == {"name", "verdict", "detail", "remedy"}


@pytest.fixture
def _two_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a settings file with two accounts at ports that nobody listens on, one of them without keys."""
    monkeypatch.setenv("CN_ACCESS_KEY_ID", "LTAI5tCn")
    monkeypatch.setenv("CN_ACCESS_KEY_SECRET", "s3cr3tS3cr3tS3cr3t")
    Path("bulk.toml").write_text(
        "[accounts.eu]\nendpoint = 'http://127.0.0.1:1'\nkey_env = 'EU'\n"
        "[accounts.cn]\nendpoint = 'http://127.0.0.1:9'\nkey_env = 'CN'\n",
        encoding="utf-8",
    )
