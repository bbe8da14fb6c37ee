"""What the platform does for each action, and when it refuses: parameters in, a result out. No wire format here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Dialect
from bulk.sandbox.gateway import Refusal
from bulk.sandbox.world import StoredModule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk.sandbox.call import Call
    from bulk.sandbox.config import SandboxConfig
    from bulk.sandbox.world import World

__all__ = ["Done", "Refused", "Result", "perform"]

_MODULE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ALIAS_NAME: Final = re.compile(rf"[A-Za-z0-9._{_HAN}-]{{1,64}}")
"""Characters are counted one by one, Chinese or not: an assumption, the documents don't say."""

_MAX_ALIAS_CHARACTERS: Final = 64
_MAX_DESC_CHARACTERS: Final = 100
_MAX_PAGE_SIZE: Final = 200


@dataclass(frozen=True, slots=True)
class Done:
    """It was carried out."""

    data: tuple[StoredModule, ...] | Mapping[str, Any] | None = None
    """Modules, or fields that are shown as they are; ``None``: the reply has no Data."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A business error."""

    code: str
    message: str


Result = Done | Refused | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What an action works with."""

    world: World
    params: Mapping[str, str]
    now: float
    lenient_alias: bool

    @property
    def product_key(self) -> str:
        """The product that it is about."""
        return self.params.get("ProductKey", "")

    @property
    def stamp(self) -> str:
        """The time as listings show it."""
        return datetime.fromtimestamp(self.now, UTC).replace(tzinfo=None).isoformat(timespec="minutes") + "Z"


def perform(call: Call, *, world: World, now: float, config: SandboxConfig) -> Result:
    """Carry out what a request asks for, which the gateway has let through.

    Args:
        call: The request.
        world: What it reads and changes.
        now: The platform's time, in seconds since the epoch.
        config: Which instance there is, and how strict AliasName is.

    Raises:
        OSError: The change could not be written to the journal, and was not made.
    """
    handler = _HANDLERS.get(call.action)
    if handler is None:
        return Refusal(404, "InvalidAction.NotFound", f"Specified api is not found: {call.action}")
    instance_id = call.params.get("IotInstanceId")
    if config.instance_id and call.dialect is Dialect.ALIBABA and instance_id != config.instance_id:
        return Refused("iot.system.InstanceNotFound", "The instance does not exist.")
    return handler(_Desk(world=world, params=call.params, now=now, lenient_alias=config.lenient_alias))


def _create(desk: _Desk) -> Result:
    name = desk.params.get("ModuleName", "")
    refused = _check_product(desk) or _check_name(name) or _check_texts(desk, "Create")
    if refused:
        return refused
    if desk.world.module(desk.product_key, name):
        return Refused("iot.ota.CreateOTAModuleNameExist", "The module name already exists under the product.")
    custom = [module for module in desk.world.modules(desk.product_key) if module.is_custom]
    if len(custom) >= MAX_CUSTOM_MODULES:
        message = f"A product can have at most {MAX_CUSTOM_MODULES} custom modules."
        return Refused("iot.ota.CreateOTAModuleExceedLimit", message)
    desk.world.put(
        StoredModule(
            product_key=desk.product_key,
            module_name=name,
            alias_name=desk.params.get("AliasName"),
            desc=desk.params.get("Desc"),
            created_at=desk.stamp,
        )
    )
    return Done()


def _list(desk: _Desk) -> Result:
    return _check_product(desk) or Done(desk.world.modules(desk.product_key))


def _update(desk: _Desk) -> Result:
    refused = _check_product(desk) or _check_texts(desk, "Update")
    if refused:
        return refused
    module = desk.world.module(desk.product_key, desk.params.get("ModuleName", ""))
    if module is None:
        return _module_missing()
    texts = {"alias_name": desk.params.get("AliasName"), "desc": desk.params.get("Desc")}
    desk.world.update(module, **texts, at=desk.stamp)
    return Done()


def _delete(desk: _Desk) -> Result:
    refused = _check_product(desk)
    if refused:
        return refused
    module = desk.world.module(desk.product_key, desk.params.get("ModuleName", ""))
    if module is None:
        return _module_missing()
    if not module.is_custom:
        return Refused("iot.ota.DeleteOtaDefaultModule", "The default module cannot be deleted.")
    desk.world.delete(module)
    return Done()


def _query_product(desk: _Desk) -> Result:
    return _check_product(desk) or Done(_product_info(desk.product_key))


def _query_product_list(desk: _Desk) -> Result:
    page, size = (_whole(desk.params.get(name, "")) for name in ("CurrentPage", "PageSize"))
    if page < 1 or not 1 <= size <= _MAX_PAGE_SIZE:
        return Refused("iot.common.InvalidPageParams", "CurrentPage starts at 1 and PageSize is 1 to 200.")
    products = desk.world.products()
    shown = products[(page - 1) * size : page * size]
    counts = {"CurrentPage": page, "PageSize": size, "PageCount": -(-len(products) // size), "Total": len(products)}
    return Done({**counts, "List": {"ProductInfo": [_product_info(product_key) for product_key in shown]}})


_HANDLERS: Final[Mapping[str, Callable[[_Desk], Result]]] = {
    "CreateOTAModule": _create,
    "ListOTAModuleByProduct": _list,
    "UpdateOTAModule": _update,
    "DeleteOTAModule": _delete,
    "QueryProduct": _query_product,
    "QueryProductList": _query_product_list,
}


def _check_product(desk: _Desk) -> Refused | None:
    if not desk.product_key:
        return Refused("iot.prod.NullProductKey", "The product key is empty.")
    if not desk.world.has_product(desk.product_key):
        return Refused("iot.prod.NotExistedProduct", "The product does not exist.")
    return None


def _check_name(name: str) -> Refused | None:
    if not _MODULE_NAME.fullmatch(name):
        return _bad_param("Create", "ModuleName takes 1 to 64 of letters, digits, periods, underscores and hyphens.")
    if name.casefold() == RESERVED_MODULE_NAME:
        return Refused("iot.firmware.ModuleNameReserved", "The module name is reserved.")
    return None


def _check_texts(desk: _Desk, verb: str) -> Refused | None:
    alias = desk.params.get("AliasName")
    if alias is not None and not _is_alias(alias, lenient=desk.lenient_alias):
        characters = "Chinese characters, letters, digits, periods, underscores and hyphens"
        return _bad_param(verb, f"AliasName takes 1 to 64 of {characters}.")
    if len(desk.params.get("Desc", "")) > _MAX_DESC_CHARACTERS:
        return _bad_param(verb, f"Desc takes up to {_MAX_DESC_CHARACTERS} characters.")
    return None


def _is_alias(text: str, *, lenient: bool) -> bool:
    if lenient:
        return 1 <= len(text) <= _MAX_ALIAS_CHARACTERS and text.isprintable()
    return _ALIAS_NAME.fullmatch(text) is not None


def _bad_param(verb: str, message: str) -> Refused:
    return Refused(f"iot.ota.{verb}OTAModuleParamError", message)


def _module_missing() -> Refused:
    return Refused("iot.ota.OTAModuleNotExist", "The OTA module does not exist.")


def _product_info(product_key: str) -> dict[str, Any]:
    return {"ProductKey": product_key, "ProductName": f"Product {product_key}", "NodeType": 0, "DeviceCount": 0}


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
