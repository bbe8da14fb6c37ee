"""Several accounts, temporary keys and a rival on one sandbox: each request over a real connection, signed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bulk.model import Dialect, OtaModule
from bulk.sandbox import Account, Credentials, FaultPlan, RivalPlan, Sandbox, SandboxConfig, busiest_windows

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.sandbox import Console, Seen
    from tests.integration.sandbox.conftest import Client

CN = Account(name="cn", access_key_id="cn-key", access_key_secret="cn-secret", uid="1", qps=2)
EU = replace(CN, name="eu", access_key_id="eu-key", uid="2")
CN_TOO = replace(CN, name="cn-too", access_key_id="cn-key-2")


def as_account(client: Client, account: Account) -> Client:
    return client.signing_as(Credentials(account.access_key_id, account.access_key_secret))


async def test_each_account_has_its_own_products_and_rate(client: Client) -> None:
    async with Sandbox(SandboxConfig(accounts=(CN, EU, CN_TOO))) as sandbox:
        cn, eu, cn_too = (as_account(client, account) for account in (CN, EU, CN_TOO))
        answers = [await cn.create(sandbox.endpoint, "a"), await cn_too.create(sandbox.endpoint, "b")]
        answers += [await cn_too.create(sandbox.endpoint, "c"), await eu.create(sandbox.endpoint, "a", "q")]

        assert [answer.json["code"] for answer in answers] == ["", "", "Throttling.User", ""]
        assert (
            sandbox.modules("p", "cn") == sandbox.modules("p", "cn-too") == (OtaModule("p", "a"), OtaModule("p", "b"))
        )
        assert sandbox.modules("q", "eu") == (OtaModule("q", "a"),)
        assert [(change.account, change.module_name) for change in sandbox.changes] == [
            ("cn", "a"),
            ("cn-too", "b"),
            ("eu", "a"),
        ]
        assert busiest_windows(sandbox.seen) == {("1", "CreateOTAModule"): 3, ("2", "CreateOTAModule"): 1}


async def test_faults_of_one_account_leave_the_others_alone(client: Client) -> None:
    broken = replace(CN, faults=FaultPlan.parse("code:Iot.system.BillIsOverDue=100%"))
    async with Sandbox(SandboxConfig(accounts=(broken, EU), faults=FaultPlan.parse("list:throttle=1x"))) as sandbox:
        overdue = await as_account(client, broken).create(sandbox.endpoint, "a")
        fine = await as_account(client, EU).create(sandbox.endpoint, "a", "q")
        shared = await as_account(client, EU).get(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="q")

        assert overdue.json["code"] == "Iot.system.BillIsOverDue"
        assert fine.json["success"] is True
        assert shared.json["code"] == "Throttling.User"
        assert [(seen.account, bool(seen.fault)) for seen in sandbox.seen] == [
            ("cn", True),
            ("eu", False),
            ("eu", True),
        ]


async def test_unknown_key_and_wrong_secret_are_refused_as_ever(client: Client) -> None:
    async with Sandbox(SandboxConfig(accounts=(CN, EU))) as sandbox:
        stranger = await client.create(sandbox.endpoint, "a")
        impostor = await client.signing_as(Credentials("cn-key", "wrong")).create(sandbox.endpoint, "a")

        assert (stranger.status, stranger.json["code"]) == (404, "InvalidAccessKeyId.NotFound")
        assert (impostor.status, impostor.json["code"]) == (400, "SignatureDoesNotMatch")
        assert [(seen.account, seen.uid) for seen in sandbox.seen] == [("", ""), ("cn", "1")]


async def test_role_is_assumed_and_its_keys_outlive_the_sandbox(client: Client, tmp_path: Path) -> None:
    config = SandboxConfig(accounts=(CN, EU), state=tmp_path / "cloud.jsonl")
    async with Sandbox(config) as sandbox:
        ops = as_account(client, EU)
        told = {"RoleArn": "acs:ram::1:role/bulk", "RoleSessionName": "night", "DurationSeconds": "900"}
        given = (await ops.sts(sandbox.endpoint, Action="AssumeRole", **told)).json["Credentials"]
        keys = Credentials(given["AccessKeyId"], given["AccessKeySecret"])
        night = client.signing_as(keys, given["SecurityToken"])
        created = await night.create(sandbox.endpoint, "a")
        without = await client.signing_as(keys).create(sandbox.endpoint, "b")
    async with Sandbox(config) as sandbox:
        who = await night.sts(sandbox.endpoint, Action="GetCallerIdentity")
        names = await night.names(sandbox.endpoint)

    assert created.json["success"] is True
    assert without.json["code"] == "MissingSecurityToken"
    assert (who.json["AccountId"], who.json["Arn"]) == ("1", "acs:ram::1:assumed-role/bulk/night")
    assert "Success" not in who.json
    assert names == ["a"]
    assert given["AccessKeySecret"] not in config.state.read_text(encoding="utf-8") if config.state else False


async def test_rival_of_a_test_acts_between_listing_and_write(client: Client) -> None:
    def delete_at_once(seen: Seen, console: Console) -> None:
        if seen.action == "ListOTAModuleByProduct":
            console.delete(seen.product_key, "mcu")

    async with Sandbox(SandboxConfig(starting_world=False)) as sandbox:
        await client.create(sandbox.endpoint, "mcu")
        sandbox.let_in(delete_at_once)
        listed = await client.names(sandbox.endpoint)
        update = await client.get(
            sandbox.endpoint, Action="UpdateOTAModule", ProductKey="p", ModuleName="mcu", Desc="x"
        )

        assert listed == ["mcu"]
        assert update.json["code"] == "iot.ota.OTAModuleNotExist"
        assert [change.action for change in sandbox.changes] == ["CreateOTAModule"]


async def test_rival_of_a_plan_shifts_pages_and_holds_modules(client: Client) -> None:
    config = SandboxConfig(rival=RivalPlan.parse("product=1x,package=1x"))
    async with Sandbox(config) as sandbox:
        pages = [
            await client.get(sandbox.endpoint, Action="QueryProductList", CurrentPage=str(page), PageSize="2")
            for page in (1, 2)
        ]
        await client.names(sandbox.endpoint, "a1Demo00003")
        held = await client.get(sandbox.endpoint, Action="DeleteOTAModule", ProductKey="a1Demo00003", ModuleName="wifi")

        shown = [[info["productKey"] for info in page.json["data"]["list"]["productInfo"]] for page in pages]
        assert shown == [["a1Demo00001", "a1Demo00002"], ["a1Demo00002", "a1Demo00003"]]
        assert [page.json["data"]["total"] for page in pages] == [3, 4]
        assert held.json["code"] == "iot.ota.DeleteOTAModulePackageExist"
        assert sandbox.rival is not None
        assert [act.kind for act in sandbox.rival.done] == ["product", "package"]


async def test_lost_reply_of_each_change_is_carried_out_and_noted(client: Client) -> None:
    plan = FaultPlan.parse("update:http500-after=1x,delete:http500-after=1x,packages:http503=1x,products:throttle=1x")
    async with Sandbox(SandboxConfig(faults=plan, starting_world=False)) as sandbox:
        await client.create(sandbox.endpoint, "mcu")
        about = {"ProductKey": "p", "ModuleName": "mcu"}
        answers = [
            await client.get(sandbox.endpoint, Action="UpdateOTAModule", Desc="new", **about),
            await client.get(sandbox.endpoint, Action="DeleteOTAModule", **about),
            await client.get(sandbox.endpoint, Action="DeleteOTAModule", **about),
            await client.get(sandbox.endpoint, Action="ListOTAFirmware", CurrentPage="1", PageSize="9"),
            await client.get(sandbox.endpoint, Action="QueryProductList", CurrentPage="1", PageSize="9"),
        ]

        assert [answer.json["code"] for answer in answers] == [
            "InternalError",
            "InternalError",
            "iot.ota.OTAModuleNotExist",
            "ServiceUnavailable",
            "Throttling.User",
        ]
        assert [change.action for change in sandbox.changes] == [
            "CreateOTAModule",
            "UpdateOTAModule",
            "DeleteOTAModule",
        ]
        assert [seen.carried_out for seen in sandbox.seen] == [True, True, True, False, False, False]


async def test_account_speaks_its_own_dialect_and_sts_but_one(client: Client) -> None:
    tuya = replace(CN, dialect=Dialect.TUYA)
    async with Sandbox(SandboxConfig(accounts=(tuya, EU))) as sandbox:
        posted = await as_account(client, tuya).post(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="p")
        other = await as_account(client, EU).post(sandbox.endpoint, Action="ListOTAModuleByProduct", ProductKey="p")
        who = await as_account(client, tuya).sts(sandbox.endpoint, Action="GetCallerIdentity")

    assert posted.json["code"] == "UnsupportedHTTPMethod"
    assert other.json["Success"] is True
    assert who.json["AccountId"] == "1"
