from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.sandbox.actions import Done, Refused, perform
from bulk.sandbox.config import SandboxConfig
from bulk.sandbox.gateway import Refusal
from bulk.sandbox.world import World

if TYPE_CHECKING:
    from bulk.sandbox.actions import Result
    from bulk.sandbox.world import StoredModule
    from tests.unit.sandbox.conftest import CallMaker

NOW = 1_732_009_663.0  # 2024-11-19T09:47:43Z
STRICT = SandboxConfig()


class Platform:
    """One world, asked without a wire."""

    def __init__(self, make_call: CallMaker, world: World, config: SandboxConfig = STRICT) -> None:
        self._make_call = make_call
        self._world = world
        self._config = config

    def ask(self, action: str, **params: str) -> Result:
        call = self._make_call({"Action": action, "ProductKey": "p"} | params)
        return perform(call, world=self._world, now=NOW, config=self._config)

    def create(self, name: str, **params: str) -> Result:
        return self.ask("CreateOTAModule", ModuleName=name, **params)

    def code(self, action: str, **params: str) -> str:
        result = self.ask(action, **params)
        assert not isinstance(result, Done)
        return result.code

    def modules(self, product_key: str = "p") -> tuple[StoredModule, ...]:
        return self._world.modules(product_key)


@pytest.fixture
def platform(make_call: CallMaker, world: World) -> Platform:
    return Platform(make_call, world)


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


def test_default_takes_no_slot(platform: Platform, world: World) -> None:
    world.populate()
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


def test_lenient_alias_takes_what_can_be_printed(make_call: CallMaker, world: World) -> None:
    platform = Platform(make_call, world, SandboxConfig(lenient_alias=True))

    assert platform.create("m", AliasName="カナ 1") == Done()
    assert platform.code("CreateOTAModule", ModuleName="n", AliasName="\x07") == "iot.ota.CreateOTAModuleParamError"


def test_unknown_and_empty_products_are_told_apart(make_call: CallMaker) -> None:
    platform = Platform(make_call, World(None, products=frozenset({"p"})))

    for action in ("CreateOTAModule", "ListOTAModuleByProduct", "UpdateOTAModule", "DeleteOTAModule", "QueryProduct"):
        assert platform.code(action, ProductKey="q", ModuleName="m") == "iot.prod.NotExistedProduct"
    assert platform.code("ListOTAModuleByProduct", ProductKey="") == "iot.prod.NullProductKey"
    assert platform.ask("ListOTAModuleByProduct") == Done(())


def test_instance_is_looked_at_in_the_alibaba_dialect_where_there_is_one(make_call: CallMaker, world: World) -> None:
    config = SandboxConfig(instance_id="iot-1")
    asked = {"ProductKey": "p", "Version": "2018-01-20"}

    def ask(**params: str) -> Result:
        return perform(make_call(asked | params), world=world, now=NOW, config=config)

    assert ask(IotInstanceId="iot-1") == Done(())
    assert ask() == Refused("iot.system.InstanceNotFound", "The instance does not exist.")
    assert ask(IotInstanceId="iot-2") == ask()


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


def test_default_cannot_be_deleted(platform: Platform, world: World) -> None:
    world.populate()
    code = platform.code("DeleteOTAModule", ProductKey="a1Demo00001", ModuleName="default")

    assert code == "iot.ota.DeleteOtaDefaultModule"


def test_products_are_listed_by_page(platform: Platform, world: World) -> None:
    world.populate()
    result = platform.ask("QueryProductList", CurrentPage="2", PageSize="2")

    assert isinstance(result, Done)
    assert isinstance(result.data, dict)
    assert (result.data["Total"], result.data["PageCount"]) == (3, 2)
    assert [info["ProductKey"] for info in result.data["List"]["ProductInfo"]] == ["a1Demo00003"]


@pytest.mark.parametrize(("page", "size"), [("0", "10"), ("1", "201"), ("one", "10"), ("1", "")])
def test_page_out_of_bounds_is_refused(page: str, size: str, platform: Platform) -> None:
    assert platform.code("QueryProductList", CurrentPage=page, PageSize=size) == "iot.common.InvalidPageParams"


def test_product_can_be_queried(platform: Platform) -> None:
    result = platform.ask("QueryProduct")

    assert isinstance(result, Done)
    assert isinstance(result.data, dict)
    assert result.data["ProductKey"] == "p"


def test_unknown_action_is_a_gateway_error(platform: Platform) -> None:
    result = platform.ask("MakeCoffee")

    assert isinstance(result, Refusal)
    assert (result.status, result.code) == (404, "InvalidAction.NotFound")
