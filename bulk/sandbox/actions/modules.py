"""The actions on modules: create, list, update, delete; and when the platform refuses each."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Dialect
from bulk.sandbox.actions.desk import ApiAction, always, check_product
from bulk.sandbox.readings import Omitted
from bulk.sandbox.results import Done, Refused
from bulk.sandbox.worlds.stored import StoredModule

if TYPE_CHECKING:
    from bulk.sandbox.actions.desk import Desk
    from bulk.sandbox.results import Result

__all__ = ["CREATE", "DELETE", "LIST", "UPDATE"]

_MODULE_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ALIAS_NAME: Final = re.compile(rf"[A-Za-z0-9._{_HAN}-]{{1,64}}")
"""Characters are counted one by one, Chinese or not: an assumption, the documents don't say."""

_MAX_ALIAS_CHARACTERS: Final = 64
_MAX_DESC_CHARACTERS: Final = 100


def _create(desk: Desk) -> Result:
    name = desk.params.get("ModuleName", "")
    refused = check_product(desk) or _check_owned(desk) or _check_name(name) or _check_texts(desk, "Create")
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


def _list(desk: Desk) -> Result:
    return check_product(desk) or Done(desk.world.modules(desk.product_key))


def _update(desk: Desk) -> Result:
    """Change the texts. No page says what happens to a text that is left out: the configuration decides.

    That ``default`` can't be changed is an assumption too, and can be turned off.
    """
    refused = check_product(desk) or _check_owned(desk) or _check_texts(desk, "Update")
    if refused:
        return refused
    module = desk.world.module(desk.product_key, desk.params.get("ModuleName", ""))
    if module is None:
        return _module_missing()
    if not module.is_custom and desk.config.default_is_fixed:
        return _bad_param("Update", "The default module cannot be changed.")
    keeps = desk.config.update_omitted is Omitted.KEEPS
    desk.world.put(
        replace(
            module,
            alias_name=desk.params.get("AliasName", module.alias_name if keeps else None),
            desc=desk.params.get("Desc", module.desc if keeps else None),
            modified_at=desk.stamp,
        )
    )
    return Done()


def _delete(desk: Desk) -> Result:
    """Remove a module. Tuya's page names neither of the two guards: the configuration decides whether they exist."""
    refused = check_product(desk) or _check_owned(desk)
    if refused:
        return refused
    module = desk.world.module(desk.product_key, desk.params.get("ModuleName", ""))
    if module is None:
        return _module_missing()
    is_guarded = desk.dialect is Dialect.ALIBABA or not desk.config.unguarded_tuya_deletes
    if is_guarded and not module.is_custom:
        return Refused("iot.ota.DeleteOtaDefaultModule", "The default module cannot be deleted.")
    if is_guarded and desk.world.packages(desk.product_key, module.module_name):
        return Refused("iot.ota.DeleteOTAModulePackageExist", "The OTA module has update packages.")
    desk.world.delete(module)
    return Done()


CREATE: Final = ApiAction(
    name="CreateOTAModule", prefix="create", window=always("create", lambda account: account.qps), perform=_create
)
LIST: Final = ApiAction(
    name="ListOTAModuleByProduct", prefix="list", window=always("list", lambda account: account.list_qps), perform=_list
)
UPDATE: Final = ApiAction(
    name="UpdateOTAModule", prefix="update", window=always("update", lambda account: account.qps), perform=_update
)
DELETE: Final = ApiAction(
    name="DeleteOTAModule", prefix="delete", window=always("delete", lambda account: account.qps), perform=_delete
)


def _check_owned(desk: Desk) -> Refused | None:
    # Whether a product that was distributed takes modules from its recipient is not documented.
    if desk.config.distributed_is_fixed and not desk.world.product(desk.product_key).is_owned:
        return Refused("iot.Prod.NotProductOwner", "The product was distributed by another account.")
    return None


def _check_name(name: str) -> Refused | None:
    if not _MODULE_NAME.fullmatch(name):
        return _bad_param("Create", "ModuleName takes 1 to 64 of letters, digits, periods, underscores and hyphens.")
    if name.casefold() == RESERVED_MODULE_NAME:
        return Refused("iot.firmware.ModuleNameReserved", "The module name is reserved.")
    return None


def _check_texts(desk: Desk, verb: str) -> Refused | None:
    alias = desk.params.get("AliasName")
    if alias is not None and not _is_alias(alias, lenient=desk.config.lenient_alias):
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
