from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.model import Dialect
from bulk.sandbox.accounts import file
from bulk.sandbox.accounts.account import Role
from bulk.sandbox.accounts.file import read_accounts
from bulk.sandbox.faults import FaultPlan
from bulk.sandbox.worlds.stored import StoredModule

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.sandbox.accounts.account import Account


def read(tmp_path: Path, text: str) -> tuple[Account, ...]:
    path = tmp_path / "accounts.toml"
    path.write_text(text, encoding="utf-8")
    return read_accounts(path, defaults={"qps": 4.0})


def test_account_is_as_its_table_says(tmp_path: Path) -> None:
    (tmp_path / "cn.toml").write_text('[[modules]]\nproduct_key = "a1"\nmodule_name = "mcu"\n', encoding="utf-8")
    (cn,) = read(
        tmp_path,
        """
        [accounts.cn]
        access_key_id = "key"
        access_key_secret = "secret"
        uid = "1001"
        instance_id = "iot-1"
        dialect = "alibaba"
        products = ["a1"]
        distributed = ["b1"]
        qps = 5
        list_qps = 2.5
        rates = {packages = 1, products-deep = 1}
        faults = "throttle=5%"
        seed = 7
        deny = ["delete", "packages"]
        world = "cn.toml"
        roles.nightly = {external_id = "x", trusts = ["cn"], deny = ["update"]}
        """,
    )

    assert (cn.name, cn.access_key_id, cn.access_key_secret, cn.uid) == ("cn", "key", "secret", "1001")
    assert (cn.instance_id, cn.dialect) == ("iot-1", Dialect.ALIBABA)
    assert (cn.products, cn.distributed) == (frozenset({"a1"}), frozenset({"b1"}))
    assert (cn.qps, cn.list_qps, cn.rates) == (5, 2.5, {"packages": 1, "products-deep": 1})
    assert (cn.faults, cn.seed, cn.denied) == (
        FaultPlan.parse("throttle=5%"),
        7,
        frozenset({"DeleteOTAModule", "ListOTAFirmware"}),
    )
    assert cn.world is not None
    assert cn.world.modules == (StoredModule(product_key="a1", module_name="mcu"),)
    assert cn.roles == {
        "nightly": Role(
            name="nightly", external_id="x", trusts=frozenset({"cn"}), denied=frozenset({"UpdateOTAModule"})
        )
    }


def test_what_an_account_leaves_out_is_told_at_the_top_or_by_flags(tmp_path: Path) -> None:
    (tmp_path / "keys.txt").write_text("a1\n\nb1\n", encoding="utf-8")
    cn, eu = read(
        tmp_path, 'list_qps = 3\n[accounts.cn]\nqps = 9\nproducts = "any"\n[accounts.eu]\nproducts = "keys.txt"'
    )

    assert (cn.qps, eu.qps) == (9, 4)
    assert (cn.list_qps, eu.list_qps) == (3, 3)
    assert (cn.products, eu.products) == (None, frozenset({"a1", "b1"}))
    assert (cn.access_key_id, cn.access_key_secret) == ("sandbox-cn", "sandbox-cn-secret")
    assert cn.uid != eu.uid


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no account: write one as"),
        ("accounts = 5", "names no account"),
        ("accounts.cn = 5", "accounts.cn is no table"),
        ("[accounts.cn]\nqsp = 5", "account cn: qsp is no key of an account; did you mean qps?"),
        ("[accounts.cn]\nzzz = 5", "zzz is no key of an account; it takes access_key_id"),
        ('[accounts.cn]\nqps = "5"', "account cn: qps: '5' is no number"),
        ("[accounts.cn]\nqps = true", "True is no number"),
        ("[accounts.cn]\nqps = -1", "take 0"),
        ("[accounts.cn]\nseed = 1.5", "1.5 is no whole number"),
        ("[accounts.cn]\nuid = 1001", "uid: 1001 is no text in quotes"),
        ('[accounts.cn]\ndialect = "aws"', "account cn: dialect"),
        ('[accounts.cn]\nproducts = "no-such-file"', "products: .*no-such-file can't be read"),
        ("[accounts.cn]\ndistributed = [1]", "is no list of texts"),
        ("[accounts.cn]\nrates = {coffee = 1}", "rates: 'coffee' is no action; it takes create, list"),
        ("[accounts.cn]\nrates = 5", "rates: write it as"),
        ('[accounts.cn]\ndeny = ["coffee"]', "deny: 'coffee' is no action"),
        ('[accounts.cn]\nfaults = "throtle=5%"', "account cn: faults: .*the nearest is throttle"),
        ('[accounts.cn]\nworld = "no.toml"', "account cn: world: .*can't be read"),
        ("[accounts.cn]\nroles = 5", "roles: write it as"),
        ("[accounts.cn.roles.nightly]\nexternal = 5", "role nightly takes deny, external_id, trusts"),
        ("[accounts.cn", "can't be read"),
    ],
)
def test_mistake_is_named_with_its_account_and_key(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, text)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--accounts .*none\.toml can't be read"):
        read_accounts(tmp_path / "none.toml", defaults={})


def test_example_that_help_shows_can_be_read(tmp_path: Path) -> None:
    _, _, example = (file.__doc__ or "").partition("\n\n")
    (tmp_path / "cn.toml").write_text("", encoding="utf-8")

    (cn,) = read(tmp_path, example.rpartition("Names of files")[0])

    assert cn.role("nightly") is not None
