from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.model import Dialect
from bulk.sandbox.accounts.account import Account
from bulk.sandbox.readings import Omitted
from bulk.sandbox.results import Done, Refusal, Refused
from bulk.sandbox.worlds.stored import StoredPackage

if TYPE_CHECKING:
    from bulk.sandbox.results import Result
    from tests.unit.sandbox.conftest import Platform, PlatformMaker


def test_created_module_is_listed_as_it_was_asked_for(platform: Platform) -> None:
    platform.create("Mcu", AliasName="主控", Desc="Main controller")

    (module,) = platform.modules()
    assert (module.module_name, module.alias_name, module.desc) == ("Mcu", "主控", "Main controller")
    assert module.created_at == "2024-11-19T09:47Z"
    assert platform.ask("ListOTAModuleByProduct") == Done((module,))


def test_name_is_taken_in_every_letter_case(platform: Platform) -> None:
    platform.create("mcu")

    assert platform.code("CreateOTAModule", ModuleName="MCU") == "iot.ota.CreateOTAModuleNameExist"
    assert len(platform.modules()) == 1


def test_eleventh_custom_module_is_refused(platform: Platform) -> None:
    for number in range(10):
        platform.create(f"m{number}")

    assert platform.code("CreateOTAModule", ModuleName="m10") == "iot.ota.CreateOTAModuleExceedLimit"
    assert len(platform.modules()) == 10


def test_default_takes_no_slot(make_platform: PlatformMaker) -> None:
    platform = make_platform(with_demo=True)
    for number in range(9):
        platform.create(f"m{number}", ProductKey="a1Demo00001")

    assert len(platform.modules("a1Demo00001")) == 11
    assert platform.code("CreateOTAModule", ProductKey="a1Demo00001", ModuleName="more").endswith("ExceedLimit")


@pytest.mark.parametrize("name", ["default", "DEFAULT"])
def test_reserved_name_is_refused(name: str, platform: Platform) -> None:
    assert platform.code("CreateOTAModule", ModuleName=name) == "iot.firmware.ModuleNameReserved"


@pytest.mark.parametrize(
    "params",
    [
        {"ModuleName": ""},
        {"ModuleName": "a" * 65},
        {"ModuleName": "a b"},
        {"ModuleName": "主控"},
        {"ModuleName": "m\n"},
        {"ModuleName": "m", "AliasName": ""},
        {"ModuleName": "m", "AliasName": "two words"},
        {"ModuleName": "m", "AliasName": "カナ"},
        {"ModuleName": "m", "AliasName": "主" * 65},
        {"ModuleName": "m", "Desc": "d" * 101},
    ],
)
def test_parameter_beyond_the_documented_set_is_refused(params: dict[str, str], platform: Platform) -> None:
    assert platform.code("CreateOTAModule", **params) == "iot.ota.CreateOTAModuleParamError"
    assert platform.modules() == ()


@pytest.mark.parametrize(
    "params", [{"ModuleName": "a" * 64}, {"ModuleName": "A.b_-9", "AliasName": "主" * 64, "Desc": "说" * 100}]
)
def test_parameter_at_its_limit_is_taken(params: dict[str, str], platform: Platform) -> None:
    assert platform.ask("CreateOTAModule", **params) == Done()


def test_lenient_alias_takes_what_can_be_printed(make_platform: PlatformMaker) -> None:
    platform = make_platform(lenient_alias=True)

    assert platform.create("m", AliasName="カナ 1") == Done()
    assert platform.code("CreateOTAModule", ModuleName="n", AliasName="\x07") == "iot.ota.CreateOTAModuleParamError"


def test_unknown_and_empty_products_are_told_apart(make_platform: PlatformMaker) -> None:
    platform = make_platform(products=frozenset({"p"}))

    for action in ("CreateOTAModule", "ListOTAModuleByProduct", "UpdateOTAModule", "DeleteOTAModule", "QueryProduct"):
        assert platform.code(action, ProductKey="q", ModuleName="m") == "iot.prod.NotExistedProduct"
    assert platform.code("ListOTAModuleByProduct", ProductKey="") == "iot.prod.NullProductKey"
    assert platform.ask("ListOTAModuleByProduct") == Done(())


def test_instance_is_looked_at_in_the_alibaba_dialect_where_there_is_one(make_platform: PlatformMaker) -> None:
    platform = make_platform(instance_id="iot-1")

    def ask(**params: str) -> Result:
        return platform.ask("ListOTAModuleByProduct", Version="2018-01-20", **params)

    assert ask(IotInstanceId="iot-1") == Done(())
    assert ask() == Refused("iot.system.InstanceNotFound", "The instance does not exist.")
    assert ask(IotInstanceId="iot-2") == ask()
    assert platform.ask("ListOTAModuleByProduct") == Done(())


def test_update_changes_what_it_names_and_nothing_else(platform: Platform) -> None:
    platform.create("mcu", AliasName="old", Desc="kept")
    platform.ask("UpdateOTAModule", ModuleName="MCU", AliasName="new")

    (module,) = platform.modules()
    assert (module.module_name, module.alias_name, module.desc) == ("mcu", "new", "kept")
    assert module.modified_at == "2024-11-19T09:47Z"


def test_deleted_module_frees_its_slot(platform: Platform) -> None:
    platform.create("mcu")

    assert platform.ask("DeleteOTAModule", ModuleName="mcu") == Done()
    assert platform.modules() == ()


@pytest.mark.parametrize("action", ["UpdateOTAModule", "DeleteOTAModule"])
def test_missing_module_can_be_neither_changed_nor_deleted(action: str, platform: Platform) -> None:
    assert platform.code(action, ModuleName="mcu") == "iot.ota.OTAModuleNotExist"


def test_default_cannot_be_deleted(make_platform: PlatformMaker) -> None:
    code = make_platform(with_demo=True).code("DeleteOTAModule", ProductKey="a1Demo00001", ModuleName="default")

    assert code == "iot.ota.DeleteOtaDefaultModule"


def test_unknown_action_is_a_gateway_error(platform: Platform) -> None:
    result = platform.ask("MakeCoffee")

    assert isinstance(result, Refusal)
    assert (result.status, result.code) == (404, "InvalidAction.NotFound")


def test_text_that_an_update_leaves_out_is_cleared_where_the_page_is_read_so(make_platform: PlatformMaker) -> None:
    platform = make_platform(update_omitted=Omitted.CLEARS)
    platform.create("mcu", AliasName="old", Desc="gone")
    platform.ask("UpdateOTAModule", ModuleName="mcu", AliasName="new")

    (module,) = platform.modules()
    assert (module.alias_name, module.desc) == ("new", None)


def test_default_cannot_be_updated_unless_told(make_platform: PlatformMaker) -> None:
    changed = {"ProductKey": "a1Demo00001", "ModuleName": "default", "Desc": "x"}

    refused = make_platform(with_demo=True).code("UpdateOTAModule", **changed)
    taken = make_platform(with_demo=True, default_is_fixed=False).ask("UpdateOTAModule", **changed)

    assert (refused, taken) == ("iot.ota.UpdateOTAModuleParamError", Done())


@pytest.mark.parametrize("dialect", Dialect)
def test_module_with_a_package_stays_until_the_package_is_gone(dialect: Dialect, platform: Platform) -> None:
    platform.dialect = dialect
    platform.create("Mcu")
    platform.world.put(StoredPackage(package_id="1", product_key="p", module_name="mcu"))

    assert platform.code("DeleteOTAModule", ModuleName="mcu") == "iot.ota.DeleteOTAModulePackageExist"
    platform.world.drop_package("1")
    assert platform.ask("DeleteOTAModule", ModuleName="mcu") == Done()


def test_package_of_another_module_or_product_holds_nothing_back(platform: Platform) -> None:
    platform.create("mcu")
    platform.world.put(
        StoredPackage(package_id="1", product_key="p", module_name="wifi"),
        StoredPackage(package_id="2", product_key="q", module_name="mcu"),
    )

    assert platform.ask("DeleteOTAModule", ModuleName="mcu") == Done()


def test_tuya_without_guards_deletes_what_its_page_does_not_protect(make_platform: PlatformMaker) -> None:
    platform = make_platform(with_demo=True, unguarded_tuya_deletes=True)
    platform.world.put(StoredPackage(package_id="1", product_key="a1Demo00001", module_name="mcu"))
    about = {"ProductKey": "a1Demo00001"}

    platform.dialect = Dialect.ALIBABA
    kept = [platform.code("DeleteOTAModule", ModuleName=name, **about) for name in ("default", "mcu")]
    platform.dialect = Dialect.TUYA
    gone = [platform.ask("DeleteOTAModule", ModuleName=name, **about) for name in ("default", "mcu")]

    assert kept == ["iot.ota.DeleteOtaDefaultModule", "iot.ota.DeleteOTAModulePackageExist"]
    assert gone == [Done(), Done()]
    assert platform.world.packages() == ()


@pytest.mark.parametrize("action", ["CreateOTAModule", "UpdateOTAModule", "DeleteOTAModule"])
def test_distributed_product_is_listed_and_not_changed(action: str, make_platform: PlatformMaker) -> None:
    account = Account(access_key_id="k", access_key_secret="s", distributed=frozenset({"shared"}))
    platform = make_platform(accounts=(account,))

    assert platform.code(action, ProductKey="shared", ModuleName="mcu") == "iot.Prod.NotProductOwner"
    assert platform.ask("ListOTAModuleByProduct", ProductKey="shared") == Done(())
