from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.sandbox.readings import PackageShape
from bulk.sandbox.worlds.stored import StoredPackage

if TYPE_CHECKING:
    from tests.unit.sandbox.conftest import Platform, PlatformMaker


def fill(platform: Platform) -> None:
    for number in range(1, 6):
        product_key = "p" if number < 4 else "q"
        platform.world.put(
            StoredPackage(package_id=str(number), product_key=product_key, module_name="mcu", version=f"{number % 2}.0")
        )


def fields(platform: Platform, **params: str) -> dict[str, Any]:
    return dict(platform.done("ListOTAFirmware", **{"CurrentPage": "1", "PageSize": "100"} | params).fields or {})


def ids(platform: Platform, **params: str) -> list[str]:
    return [info["FirmwareId"] for info in fields(platform, **params)["FirmwareInfo"]["SimpleFirmwareInfo"]]


def test_packages_are_those_of_a_product_or_of_all_newest_first(platform: Platform) -> None:
    fill(platform)

    assert ids(platform) == ["3", "2", "1"]
    assert ids(platform, ProductKey="") == ["5", "4", "3", "2", "1"]
    assert ids(platform, ProductKey="", DestVersion="0.0") == ["4", "2"]


def test_pages_are_cut_and_counted(platform: Platform) -> None:
    fill(platform)
    page = fields(platform, ProductKey="", CurrentPage="3", PageSize="2")

    assert {name: page[name] for name in ("CurrentPage", "PageSize", "PageCount", "Total")} == {
        "CurrentPage": 3,
        "PageSize": 2,
        "PageCount": 3,
        "Total": 5,
    }
    assert ids(platform, ProductKey="", CurrentPage="3", PageSize="2") == ["1"]
    assert ids(platform, ProductKey="", CurrentPage="4", PageSize="2") == []


def test_package_names_product_module_and_version(platform: Platform) -> None:
    fill(platform)
    shown = fields(platform)["FirmwareInfo"]["SimpleFirmwareInfo"][0]

    assert shown.items() >= {("ProductKey", "p"), ("ModuleName", "mcu"), ("DestVersion", "1.0"), ("Status", 0)}


@pytest.mark.parametrize(("page", "size"), [("0", "10"), ("1", "101"), ("", "10"), ("1", "")])
def test_page_out_of_bounds_is_refused(page: str, size: str, platform: Platform) -> None:
    assert platform.code("ListOTAFirmware", CurrentPage=page, PageSize=size) == "iot.common.InvalidPageParams"


def test_unknown_product_is_refused(make_platform: PlatformMaker) -> None:
    platform = make_platform(products=frozenset({"q"}))

    assert platform.code("ListOTAFirmware", CurrentPage="1", PageSize="10") == "iot.prod.NotExistedProduct"


def test_packages_can_be_a_plain_list(make_platform: PlatformMaker) -> None:
    platform = make_platform(package_shape=PackageShape.LIST)
    fill(platform)

    assert [info["FirmwareId"] for info in fields(platform)["FirmwareInfo"]] == ["3", "2", "1"]
