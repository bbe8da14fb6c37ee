"""What the doctor says of a job as a whole: its settings, its accounts together, its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.checks import platform
from bulk.engine.checks.diagnosis import Check, Verdict, exit_code
from bulk.engine.checks.doctor import Examination, examine, examine_accounts
from bulk.engine.run import run
from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox import Account, FaultPlan
from bulk.settings import Settings
from bulk.settings.account import AccountSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("endpoints")

OF_AN_ACCOUNT = ["settings", "endpoint", "keys", "listing", "clock", "speed"]


@pytest.fixture
def settings_of(keys_of: Make) -> Callable[..., Settings]:
    """Return the settings of accounts with these platforms: ``settings_of({"cn": box}, cn={…}, **changes)``."""

    def make(boxes: dict[str, Any], *, own: dict[str, dict[str, Any]] | None = None, **changes: Any) -> Settings:
        accounts = {}
        for name, box in boxes.items():
            said = {"endpoint": box.endpoint, "key_env": keys_of(box, name.upper()), "rate_group": name}
            accounts[name] = AccountSettings(**(said | (own or {}).get(name, {})))
        settings: Settings = next(iter(boxes.values())).settings(endpoint=None, accounts=accounts, **changes)
        return settings

    return make


def named(checks: tuple[Check, ...]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def failed(made: Examination) -> dict[str, list[str]]:
    return {
        name: [check.name for check in checks if check.verdict is Verdict.FAILED]
        for name, checks in made.accounts.items()
    }


async def test_accounts_that_are_well_pass_everything(make_box: Make, settings_of: Make) -> None:
    made = await examine_accounts(settings_of({"cn": make_box(), "eu": make_box()}))

    assert [check.name for check in made.checks] == ["settings", "accounts", "rates", "ledger", "disk"]
    assert {name: [check.name for check in checks] for name, checks in made.accounts.items()} == {
        "cn": OF_AN_ACCOUNT,
        "eu": OF_AN_ACCOUNT,
    }
    assert exit_code(made.all_checks) == 0
    assert named(made.checks)["settings"].detail == "2 accounts"


async def test_account_in_trouble_fails_alone(make_box: Make, settings_of: Make) -> None:
    denied = make_box(faults=FaultPlan.parse("code:Forbidden.RAM-before=100%"))
    boxes = {"cn": make_box(), "eu": denied, "us": make_box()}

    made = await examine_accounts(settings_of(boxes, own={"cn": {"key_env": "NOBODY"}}))

    assert failed(made) == {"cn": ["keys"], "eu": ["listing"], "us": []}
    assert exit_code(made.all_checks) == 3


async def test_only_the_chosen_account_is_tried_and_may_be_asked_for_a_product(
    make_box: Make, settings_of: Make
) -> None:
    cn, eu = make_box(), make_box()

    made = await examine_accounts(settings_of({"cn": cn, "eu": eu}, only_accounts=("eu",)), product_key="a1Mine")

    assert list(made.accounts) == ["eu"]
    assert named(made.checks)["settings"].detail == "1 of 2 accounts, as --account says"
    assert {seen.product_key for seen in eu.seen} == {"a1Mine"}
    assert len(cn.seen) == 0


async def test_only_account_is_called_one_account(make_box: Make, settings_of: Make) -> None:
    made = await examine_accounts(settings_of({"cn": make_box()}))

    assert named(made.checks)["settings"].detail == "one account"


async def test_product_of_nobody_knows_which_account_is_refused(make_box: Make, settings_of: Make) -> None:
    box = make_box()

    with pytest.raises(SettingsError, match="--product is a product of one account: add --account NAME"):
        await examine_accounts(settings_of({"cn": box, "eu": make_box()}), product_key="a1Mine")

    assert len(box.seen) == 0


async def test_accounts_with_one_key_and_one_target_fail_together(make_box: Make, settings_of: Make) -> None:
    box = make_box()

    made = await examine_accounts(settings_of({"cn": box, "eu": box}))

    assert named(made.checks)["accounts"].verdict is Verdict.FAILED
    assert "are the same" in named(made.checks)["accounts"].detail


async def test_accounts_of_one_rate_group_share_its_gate(
    make_box: Make, settings_of: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sessions.shared_window.shared_folder", lambda: tmp_path / "shared")
    boxes, own = {"cn": make_box(), "eu": make_box()}, {"cn": {"rate_group": "g"}, "eu": {"rate_group": "g"}}

    made = await examine_accounts(settings_of(boxes, own=own, list_qps=10_000.0))

    assert exit_code(made.all_checks) == 0
    # One file for listings: the group is one also for other processes.
    assert len(list((tmp_path / "shared").iterdir())) == 1


async def test_settings_that_can_not_be_used_fail_without_any_request(make_box: Make, settings_of: Make) -> None:
    box = make_box()
    own = {"cn": {"rate_group": "g", "qps": 5}, "eu": {"rate_group": "g"}}

    made = await examine_accounts(settings_of({"cn": box, "eu": make_box()}, own=own))
    alone = named(await examine(Settings()))

    assert (named(made.checks)["settings"].verdict, made.accounts) == (Verdict.FAILED, {})
    assert named(made.checks)["disk"].verdict is Verdict.PASSED
    assert [name for name, check in alone.items() if check.verdict is Verdict.FAILED] == ["settings"]
    assert [name for name, check in alone.items() if check.verdict is Verdict.SKIPPED] == OF_AN_ACCOUNT[1:]
    assert len(box.seen) == 0


async def test_ledger_that_a_run_would_refuse_fails_and_its_disk_is_not_looked_at(
    make_box: Make, keys_of: Make, tmp_path: Path
) -> None:
    box, other = make_box(), make_box()
    (tmp_path / "m.csv").write_text("ProductKey,ModuleName\na1A,m\n")
    await run("m.csv", box.settings(ledger="l.db"), credentials=box.keys())

    right = named(await examine(box.settings(key_env=keys_of(box), ledger="l.db")))
    wrong = named(await examine(other.settings(key_env=keys_of(other), ledger="l.db")))
    nowhere = named(await examine(box.settings(key_env=keys_of(box), ledger="no/l.db")))

    assert (right["ledger"].verdict, right["disk"].verdict) == (Verdict.PASSED, Verdict.PASSED)
    assert (wrong["ledger"].verdict, wrong["disk"].verdict) == (Verdict.FAILED, Verdict.SKIPPED)
    assert (nowhere["ledger"].verdict, nowhere["disk"].detail) == (Verdict.FAILED, "no folder to look at")
    assert nowhere["ledger"].remedy == "Name a ledger in a folder that can be written with --ledger."


class TestIdentity:
    """Whose the keys are is asked only of a token service that knows them."""

    @pytest.fixture
    def box(self, make_box: Make) -> Any:
        served = (("a", "1"), ("b", "1"), ("c", "2"))
        return make_box(
            accounts=tuple(
                Account(name=name, access_key_id=f"{name}-key", access_key_secret=f"{name}-secret", uid=uid)
                for name, uid in served
            )
        )

    @pytest.fixture
    def settings(self, box: Any, keys_of: Make) -> Callable[..., Settings]:
        def make(*names: str, own: dict[str, Any] | None = None, **changes: Any) -> Settings:
            accounts = {
                name: AccountSettings(key_env=keys_of(box, name.upper(), account=name), **(own or {})) for name in names
            }
            made: Settings = box.settings(accounts=accounts, **({"sts_endpoint": box.endpoint} | changes))
            return made

        return make

    async def test_two_rate_groups_of_one_uid_are_warned_of(self, settings: Make) -> None:
        made = await examine_accounts(settings("a", "b", "c"))

        assert named(made.checks)["rates"].verdict is Verdict.WARNED
        assert "UID 1" in named(made.checks)["rates"].detail
        assert named(made.accounts["c"])["identity"].detail.startswith("UID 2, acs:ram::2:")

    async def test_key_of_tuya_and_of_a_private_platform_is_shown_to_no_token_service(
        self, box: Any, settings: Make
    ) -> None:
        tuya = await examine_accounts(settings("a", dialect=Dialect.TUYA))
        private = await examine_accounts(settings("a", sts_endpoint=None))

        assert "identity" not in named(tuya.accounts["a"])
        assert "identity" not in named(private.accounts["a"])
        assert {*box.actions()} == {"ListOTAModuleByProduct"}

    async def test_service_that_can_not_be_asked_is_no_failure(self, settings: Make) -> None:
        made = await examine_accounts(settings("a", sts_endpoint="https://nowhere.example"))

        assert named(made.accounts["a"])["identity"].verdict is Verdict.SKIPPED
        assert exit_code(made.all_checks) == 0

    async def test_service_whose_name_can_not_be_a_host_is_not_asked(
        self, box: Any, settings: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        official = "https://iot.cn-shanghai.aliyuncs.com"
        vars(platform)["HttpTransport"].args[0][official] = box
        monkeypatch.setenv("ALIBABA_CLOUD_STS_REGION", "no host")

        made = await examine_accounts(settings("a", endpoint=None, region="cn-shanghai", sts_endpoint=None))

        identity = named(made.accounts["a"])["identity"]
        assert identity.verdict is Verdict.SKIPPED
        assert "sts_endpoint" in identity.detail

    async def test_rehearsal_asks_nobody(self, rehearsals: list[Any]) -> None:
        accounts = {"a": AccountSettings(region="cn-shanghai")}

        made = await examine_accounts(Settings(sandbox=True, list_qps=0, accounts=accounts))

        assert [check.name for check in made.accounts["a"]] == OF_AN_ACCOUNT
        assert named(made.checks)["rates"].verdict is Verdict.SKIPPED
        assert len(rehearsals) == 1
