from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox.accounts.account import Account
from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.results import Done
from bulk.sandbox.worlds.cloud import Cloud, dumped
from bulk.sandbox.worlds.seeds import WorldSeed
from bulk.sandbox.worlds.stored import StoredModule, StoredPackage, StoredProduct

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.sandbox.conftest import Platform, PlatformMaker

CN = Account(name="cn", access_key_id="cn-key", access_key_secret="cn-secret", uid="1", instance_id="iot-cn")
EU = replace(CN, name="eu", access_key_id="eu-key", uid="2", instance_id="iot-eu")
CN_TOO = replace(CN, name="cn-too", access_key_id="cn-key-2")
CN_OLD = replace(CN, name="cn-old", access_key_id="cn-key-3", instance_id=None)
MCU = StoredModule(product_key="p", module_name="mcu")


def create(platform: Platform, account: Account, product_key: str = "p", instance_id: str | None = "") -> str:
    platform.keys = account
    named = account.instance_id if instance_id == "" else instance_id
    told = {"IotInstanceId": named} if named else {}
    result = platform.ask("CreateOTAModule", ProductKey=product_key, ModuleName="mcu", **told)
    return "" if isinstance(result, Done) else result.code


@pytest.fixture
def platform(make_platform: PlatformMaker) -> Platform:
    platform = make_platform(accounts=(CN, EU, CN_TOO, CN_OLD))
    platform.dialect = Dialect.ALIBABA
    return platform


def test_product_belongs_to_the_account_that_uses_it_first(platform: Platform) -> None:
    assert create(platform, CN) == ""
    assert create(platform, EU) == "iot.common.AuthActionPermissionDeny"
    assert create(platform, EU, "q") == ""
    assert create(platform, CN, "q") == "iot.common.AuthActionPermissionDeny"


def test_code_for_the_product_of_another_can_be_chosen(make_platform: PlatformMaker) -> None:
    platform = make_platform(
        accounts=(replace(CN, products=frozenset({"p"})), EU), foreign_code="iot.Prod.NotProductOwner"
    )

    assert create(platform, EU) == "iot.Prod.NotProductOwner"


def test_keys_of_one_uid_and_instance_share_a_world(platform: Platform) -> None:
    create(platform, CN)

    assert create(platform, CN_TOO) == "iot.ota.CreateOTAModuleNameExist"
    assert platform.cloud.world_of(CN) is platform.cloud.world_of(CN_TOO)


def test_product_of_another_instance_of_the_same_uid_does_not_exist(platform: Platform) -> None:
    create(platform, CN)

    assert create(platform, CN_OLD, instance_id=None) == "iot.prod.NotExistedProduct"
    assert create(platform, CN_OLD, instance_id="iot-cn") == "iot.ota.CreateOTAModuleNameExist"


@pytest.mark.parametrize("instance_id", ["iot-eu", "iot-xx"])
def test_instance_of_another_uid_is_not_found(instance_id: str, platform: Platform) -> None:
    assert create(platform, CN, instance_id=instance_id) == "iot.system.InstanceNotFound"


def test_tuya_knows_no_instances(platform: Platform) -> None:
    platform.dialect = Dialect.TUYA

    assert create(platform, CN, instance_id=None) == ""
    assert platform.cloud.world_of(CN).modules("p")


def test_product_that_two_uids_name_is_refused_unless_it_is_distributed() -> None:
    named, shared = replace(CN, products=frozenset({"p"})), replace(EU, products=frozenset({"p"}))

    with pytest.raises(SettingsError, match="product p is named by account cn and by account eu"):
        Cloud(None, (named, shared), with_demo=False)

    cloud = Cloud(None, (named, replace(shared, distributed=frozenset({"p"}))), with_demo=False)
    assert not cloud.world_of(EU).product("p").is_owned


def test_worlds_share_a_journal_and_are_met_again_each_on_its_own(tmp_path: Path) -> None:
    state = tmp_path / "cloud.jsonl"
    first = Cloud(state, (CN, EU), with_demo=True)
    first.world_of(CN).put(MCU, StoredPackage(package_id="1", product_key="p", module_name="mcu"))
    first.world_of(EU).put(StoredProduct(product_key="q", product_name="Lamp"))
    first.world_of(EU).drop_product("q")
    first.close()

    second = Cloud(state, (CN, EU), with_demo=True)
    second.close()

    assert second.world_of(CN).modules("p") == (MCU,)
    assert second.world_of(CN).packages() == first.world_of(CN).packages()
    assert second.world_of(EU).products() == ()
    assert not second.world_of(EU).has_product("q")
    assert [json.loads(line)["op"] for line in state.read_text(encoding="utf-8").splitlines()] == [
        "put",
        "package",
        "product",
        "drop_product",
    ]


def test_world_starts_as_its_account_says_and_only_once(tmp_path: Path) -> None:
    state = tmp_path / "cloud.jsonl"
    seeded = replace(CN, world=WorldSeed(modules=(MCU,)))
    first = Cloud(state, (seeded, EU), with_demo=True)
    first.world_of(CN).delete(MCU)
    first.close()

    second = Cloud(state, (seeded, replace(EU, world=WorldSeed(modules=(MCU,)))), with_demo=True)
    second.close()

    assert second.world_of(CN).modules("p") == ()
    assert second.world_of(EU).modules("p") == (MCU,)


def test_dump_is_a_world_or_one_for_each_account(tmp_path: Path) -> None:
    state = tmp_path / "cloud.jsonl"
    cloud = Cloud(state, (CN, EU), with_demo=False)
    cloud.world_of(CN).put(MCU)
    cloud.close()

    several = json.loads(dumped(SandboxConfig(state=state, accounts=(CN, EU))))
    single = json.loads(dumped(SandboxConfig(state=state)))

    assert [module["module_name"] for module in several["cn"]["modules"]] == ["mcu"]
    assert several["eu"] == {"products": [], "modules": [], "packages": []}
    assert len(single["modules"]) == 11


def test_dump_of_no_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no state to print"):
        dumped(SandboxConfig(state=tmp_path / "none.jsonl"))
