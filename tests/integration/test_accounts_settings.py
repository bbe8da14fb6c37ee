"""A real bulk.toml, real processes, one platform with several accounts: exit codes, and what is shown."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bulk.sandbox import Account, FaultPlan, Sandbox, SandboxConfig
from tests.forked import BULK, Forked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.forked import ForkHost

NAMES = ("cn", "eu", "us")
ROWS = "".join(f"{name},a1Product{name},m{row}\n" for row in range(2) for name in NAMES)
INPUT = f"Account,ProductKey,ModuleName\n{ROWS}"


def secret_of(name: str) -> str:
    return f"{name}-s3cr3t/of+thirty=letters"


@dataclass
class Desk:
    """A folder with a settings file and an input, and the accounts' keys in the environment."""

    folder: Path
    box: Sandbox
    host: ForkHost
    environ: dict[str, str] = field(default_factory=dict)

    def settings(self, text: str = "", **of_accounts: str) -> None:
        """Write ``bulk.toml``: every account at the platform with its own keys, and what is added for each."""
        tables = [
            f'[accounts.{name}]\nkey_env = "{name.upper()}"\n{of_accounts.get(name, "")}\n'
            for name in NAMES
            if of_accounts.get(name) != "none"
        ]
        head = f'endpoint = "{self.box.endpoint}"\ndialect = "alibaba"\nqps = 0\nlist_qps = 0\n{text}\n'
        (self.folder / "bulk.toml").write_text(head + "".join(tables), encoding="utf-8")

    async def bulk(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """Run a command; return its exit code and what it printed on stdout and stderr."""
        environ = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "COLUMNS": "300"} | self.environ | environ
        process = await Forked.start(self.host, BULK, arguments, environ=environ, folder=self.folder)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    def everything_written(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


@asynccontextmanager
async def desk_with(folder: Path, fork_host: ForkHost, faults: str = "") -> AsyncIterator[Desk]:
    accounts = tuple(
        Account(
            name=name,
            access_key_id=f"LTAI5t{name}",
            access_key_secret=secret_of(name),
            uid=str(number),
            qps=0,
            list_qps=0,
            products=frozenset({f"a1Product{name}"}),
            faults=FaultPlan.parse(faults) if name == "eu" else None,
        )
        for number, name in enumerate(NAMES)
    )
    async with Sandbox(SandboxConfig(accounts=accounts)) as box:
        desk = Desk(folder, box, fork_host)
        for account in accounts:
            desk.environ[f"{account.name.upper()}_ACCESS_KEY_ID"] = account.access_key_id
            desk.environ[f"{account.name.upper()}_ACCESS_KEY_SECRET"] = account.access_key_secret
        (folder / "in.csv").write_text(INPUT, encoding="utf-8")
        desk.settings()
        yield desk


@pytest.fixture
async def desk(tmp_path: Path, fork_host: ForkHost) -> AsyncIterator[Desk]:
    async with desk_with(tmp_path, fork_host) as desk:
        yield desk


async def test_accounts_of_the_file_are_all_worked_off(desk: Desk) -> None:
    code, out, err = await desk.bulk("run", "in.csv", "--json")

    assert (code, err.count("Error")) == (0, 0), err
    summary = json.loads(out)
    assert summary["outcomes"]["created"] == 6
    assert {name: one["outcomes"]["created"] for name, one in summary["accounts"].items()} == dict.fromkeys(NAMES, 2)


async def test_only_the_chosen_accounts_are_tried(desk: Desk) -> None:
    code, out, _ = await desk.bulk("run", "in.csv", "--json", "--account", "eu", "--account", "cn")

    summary = json.loads(out)
    assert (code, summary["outcomes"]["created"], summary["outcomes"]["pending"]) == (1, 4, 2)
    assert summary["resume"].endswith(" run in.csv --json")
    assert (await desk.bulk("run", "in.csv"))[0] == 0


async def test_input_without_the_column_goes_on_with_its_account(desk: Desk) -> None:
    (desk.folder / "in.csv").write_text("ProductKey,ModuleName\na1Producteu,m\na1Productcn,m\n", encoding="utf-8")

    code, out, _ = await desk.bulk("run", "in.csv", "--json", "--account", "eu")

    assert (code, json.loads(out)["outcomes"]["created"]) == (1, 1)
    assert json.loads(out)["resume"].endswith(" run in.csv --json --account eu")
    assert (await desk.bulk("run", "in.csv"))[0] == 2


@pytest.mark.parametrize("command", ["run", "plan"])
async def test_what_cannot_be_meant_is_exit_2_before_the_first_request(desk: Desk, command: str) -> None:
    refusals = {
        ("--account", "EU"): "--account 'EU': there is no such account; did you mean 'eu'?",
        ("--endpoint", "https://h"): "--endpoint is for a run without accounts, and ./bulk.toml has 3: leave it out",
        ("--profile", "p"): "--profile is for a run without accounts",
    }
    for flags, says in refusals.items():
        code, _, err = await desk.bulk(command, "in.csv", *flags)
        assert (code, says in err) == (2, True), err
    code, _, err = await desk.bulk(command, "in.csv", BULK_ENDPOINT=desk.box.endpoint)
    assert (code, "unset BULK_ENDPOINT" in err) == (2, True), err
    assert not desk.box.codes
    assert not list(desk.folder.glob("*.db*"))


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize(
    ("of_eu", "says"),
    [
        ('key_env = "CN"', "accounts 'cn' and 'eu' are the same: same endpoint, instance and key"),
        ('rate_group = "0"\nqps = 5', "share the rate group '0' and have different rates"),
        ('region = "cn-shanghai"\nendpoint = "https://h"', "./bulk.toml, line 9, account 'eu': endpoint and region"),
        ('access_key_secret = "hushhushhush"', "line 11, account 'eu': access_key_secret is not allowed in a settings"),
    ],
)
async def test_accounts_that_do_not_go_together_are_exit_2_before_the_first_request(
    desk: Desk, command: str, of_eu: str, says: str
) -> None:
    desk.settings(cn='rate_group = "0"' if "rate_group" in of_eu else "", eu=of_eu)
    toml = desk.folder / "bulk.toml"
    if "key_env" in of_eu:
        toml.write_text(toml.read_text(encoding="utf-8").replace('key_env = "EU"\n', ""), encoding="utf-8")

    code, _, err = await desk.bulk(command, "in.csv")

    assert (code, says in err) == (2, True), err
    assert "hush" not in err
    assert not desk.box.codes


async def test_one_key_under_two_prefixes_is_found_out_before_the_first_request(desk: Desk) -> None:
    same = {name: desk.environ[name.replace("EU", "CN")] for name in ("EU_ACCESS_KEY_ID", "EU_ACCESS_KEY_SECRET")}

    code, _, err = await desk.bulk("run", "in.csv", **same)

    assert (code, "accounts 'cn' and 'eu' are the same" in err) == (2, True), err
    assert not desk.box.codes


async def test_account_without_keys_stops_alone_and_the_run_exits_with_3(desk: Desk) -> None:
    for name in ("EU_ACCESS_KEY_ID", "EU_ACCESS_KEY_SECRET"):
        del desk.environ[name]

    code, out, _ = await desk.bulk("run", "in.csv", "--json")

    summary = json.loads(out)
    assert (code, summary["exit_code"], summary["outcomes"]["created"]) == (3, 3, 4)
    assert {name: one["exit_code"] for name, one in summary["accounts"].items()} == {"cn": 0, "eu": 3, "us": 0}
    assert "EU_ACCESS_KEY_ID and EU_ACCESS_KEY_SECRET are not set" in summary["accounts"]["eu"]["stopped"]


async def test_sample_product_of_another_account_stops_it_before_anything_is_written(desk: Desk) -> None:
    desk.settings(eu='sample_product = "a1Productcn"', cn='sample_product = "a1Productcn"')

    code, out, _ = await desk.bulk("run", "in.csv", "--json")

    summary = json.loads(out)
    assert (code, summary["outcomes"]["created"]) == (3, 4)
    assert "a1Productcn" in summary["accounts"]["eu"]["stopped"]


async def test_no_secret_of_any_account_is_written_or_shown(tmp_path: Path, fork_host: ForkHost) -> None:
    async with desk_with(tmp_path, fork_host, "code:SignatureDoesNotMatch=100%") as desk:
        shown = []
        for arguments in (
            ("run", "in.csv", "-vv", "--log-file", "bulk.log"),
            ("plan", "in.csv"),
            ("doctor",),
            ("settings",),
        ):
            _, out, err = await desk.bulk(*arguments)
            shown += [out, err]
        (tmp_path / "in.csv").write_text(INPUT + "eu,a1Producteu\n", encoding="utf-8")
        shown += (await desk.bulk("run", "in.csv", "-vv", "--json"))[1:]

    everything = desk.everything_written() + "".join(shown).encode()
    assert b"SignatureDoesNotMatch" in everything
    for name in NAMES:
        assert secret_of(name).encode() not in everything
        assert b"thirty" not in everything


async def test_rehearsal_has_a_platform_for_each_account(desk: Desk) -> None:
    code, out, err = await desk.bulk("run", "in.csv", "--sandbox", "--json")

    assert code == 0, err
    assert json.loads(out)["outcomes"]["created"] == 6
    assert not desk.box.codes
    assert (await desk.bulk("run", "in.csv", "--sandbox", "--json"))[0] == 0
