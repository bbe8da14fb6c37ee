"""The action on update packages: they are listed here, and made elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bulk.sandbox.actions.desk import ApiAction, Page, always, check_product, read_page
from bulk.sandbox.readings import PackageShape
from bulk.sandbox.results import Done

if TYPE_CHECKING:
    from bulk.sandbox.actions.desk import Desk
    from bulk.sandbox.results import Result
    from bulk.sandbox.worlds.stored import StoredPackage

__all__ = ["PACKAGES"]

_MAX_PAGE_SIZE: Final = 100


def _list(desk: Desk) -> Result:
    """Show a page of packages, the newest first. The order is an assumption: no document gives one.

    Without a ProductKey it shows the packages of the whole account, which is taken to mean the instance.
    """
    page = read_page(desk.params, max_size=_MAX_PAGE_SIZE)
    refused = check_product(desk) if desk.product_key else None
    if not isinstance(page, Page):
        return page
    if refused:
        return refused
    version = desk.params.get("DestVersion")
    packages = tuple(
        package
        for package in reversed(desk.world.packages(desk.product_key or None))
        if not version or package.version == version
    )
    shown = [_package_info(desk, package) for package in page.cut(packages)]
    is_wrapped = desk.config.package_shape is PackageShape.WRAPPED
    info = {"SimpleFirmwareInfo": shown} if is_wrapped else shown
    return Done(fields={**page.counts(len(packages)), "FirmwareInfo": info})


PACKAGES: Final = ApiAction(
    name="ListOTAFirmware",
    prefix="packages",
    window=always("packages", lambda account: account.list_qps),
    perform=_list,
)


def _package_info(desk: Desk, package: StoredPackage) -> dict[str, Any]:
    return {
        "FirmwareId": package.package_id,
        "FirmwareName": package.name or f"Package {package.package_id}",
        "ProductKey": package.product_key,
        "ProductName": desk.world.product(package.product_key).shown_name,
        "ModuleName": package.module_name,
        "DestVersion": package.version,
        "SrcVersion": package.source_version,
        "Type": package.kind,
        "Status": package.status,
        "UtcCreate": package.created_at,
        "UtcModified": package.created_at,
    }
