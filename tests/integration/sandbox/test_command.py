"""`bulk sandbox` as a process: what a shell and a signal see."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bulk.cli.commands.sandbox import sandbox as command
from bulk.errors import SettingsError
from bulk.sandbox import Credentials, read_arrivals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.sandbox.conftest import Client

COMMAND = [sys.executable, "-c", "from bulk.cli.commands.sandbox import sandbox; sandbox()"]


@contextmanager
def serving(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([*COMMAND, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            yield process, first.strip().removeprefix("export BULK_ENDPOINT=")
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prints_lines_for_a_shell_and_stops_cleanly_on(number: signal.Signals) -> None:
    with serving() as (process, endpoint):
        assert process.stdout is not None
        rest = [process.stdout.readline() for _ in range(2)]
        process.send_signal(number)

        assert process.wait(timeout=10) == 0
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", endpoint)
        assert rest == [
            "export ALIBABA_CLOUD_ACCESS_KEY_ID=sandbox-access-key-id\n",
            "export ALIBABA_CLOUD_ACCESS_KEY_SECRET=sandbox-access-key-secret\n",
        ]


async def test_what_was_made_outlives_a_kill(client: Client, tmp_path: Path) -> None:
    flags = ("--state", str(tmp_path / "cloud.jsonl"), "--empty")
    with serving(*flags) as (process, endpoint):
        await client.create(endpoint, "mcu")
        process.kill()
        process.wait(timeout=10)
    with serving(*flags) as (_, endpoint):
        assert await client.names(endpoint) == ["mcu"]


async def test_flags_reach_the_platform(client: Client, tmp_path: Path) -> None:
    products = tmp_path / "products.txt"
    products.write_text("p\n\nq\n", encoding="utf-8")
    with serving("--products", str(products), "--faults", "create:throttle=1x", "--qps", "0") as (_, endpoint):
        throttled = await client.create(endpoint, "mcu")
        created = await client.create(endpoint, "mcu", product="q")
        unknown = await client.create(endpoint, "mcu", product="r")

    assert throttled.json["code"] == "Throttling.User"
    assert created.json["success"] is True
    assert unknown.json["code"] == "iot.prod.NotExistedProduct"


async def test_accounts_are_announced_and_each_finds_its_own(client: Client, tmp_path: Path) -> None:
    accounts, arrivals = tmp_path / "accounts.toml", tmp_path / "arrivals.jsonl"
    accounts.write_text('[accounts.cn-1]\nuid = "1"\ndeny = ["delete"]\n[accounts.eu]\nuid = "2"\n', encoding="utf-8")
    with serving("--accounts", str(accounts), "--arrivals", str(arrivals)) as (process, endpoint):
        assert process.stdout is not None
        rest = [process.stdout.readline().strip() for _ in range(4)]
        cn, eu = (
            client.signing_as(Credentials(f"sandbox-{name}", f"sandbox-{name}-secret")) for name in ("cn-1", "eu")
        )
        await cn.create(endpoint, "mcu")
        denied = await cn.get(endpoint, Action="DeleteOTAModule", ProductKey="p", ModuleName="mcu")
        foreign = await eu.get(endpoint, Action="ListOTAModuleByProduct", ProductKey="p")

    assert rest == [
        "export CN_1_ACCESS_KEY_ID=sandbox-cn-1",
        "export CN_1_ACCESS_KEY_SECRET=sandbox-cn-1-secret",
        "export EU_ACCESS_KEY_ID=sandbox-eu",
        "export EU_ACCESS_KEY_SECRET=sandbox-eu-secret",
    ]
    assert (denied.status, denied.json["code"]) == (403, "Forbidden.RAM")
    assert foreign.json["code"] == "iot.common.AuthActionPermissionDeny"
    assert [(seen.account, seen.uid, seen.action, seen.code, seen.carried_out) for seen in read_arrivals(arrivals)] == [
        ("cn-1", "1", "CreateOTAModule", "", True),
        ("cn-1", "1", "DeleteOTAModule", "Forbidden.RAM", False),
        ("eu", "2", "ListOTAModuleByProduct", "iot.common.AuthActionPermissionDeny", False),
    ]


async def test_cloud_outlives_a_kill_with_packages_and_can_be_printed(client: Client, tmp_path: Path) -> None:
    world, state = tmp_path / "world.toml", tmp_path / "cloud.jsonl"
    world.write_text(
        'modules = [{product_key = "p", module_name = "mcu"}, {product_key = "p", module_name = "wifi"}]\n'
        'packages = [{product_key = "p", module_name = "mcu"}]\n',
        encoding="utf-8",
    )
    flags = ("--state", str(state), "--world", str(world), "--update-omitted", "clears", "--seed", "3")
    with serving(*flags, "--rival", "create=1x") as (process, endpoint):
        await client.names(endpoint)
        await client.get(endpoint, Action="UpdateOTAModule", ProductKey="p", ModuleName="mcu", Desc="new")
        await client.get(endpoint, Action="DeleteOTAModule", ProductKey="p", ModuleName="wifi")
        process.kill()
        process.wait(timeout=10)

    with serving(*flags) as (_, endpoint):
        held = await client.get(endpoint, Action="DeleteOTAModule", ProductKey="p", ModuleName="mcu")
    printed = CliRunner().invoke(command, [*flags, "--dump"])

    assert held.json["code"] == "iot.ota.DeleteOTAModulePackageExist"
    modules = {module["module_name"]: module["desc"] for module in json.loads(printed.stdout)["modules"]}
    (rival,) = modules.keys() - {"mcu"}
    assert modules == {"mcu": "new", rival: "Made by a rival"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rate", "coffee=5"], "--rate coffee=5: 'coffee' is no action"),
        (["--rate", "packages"], "--rate packages: .*; write --rate packages=5"),
        (["--deny", "coffee"], "--deny: 'coffee' is no action"),
        (["--rival", "creat=5%"], "the nearest is create"),
        (["--accounts", "no/such/file"], "--accounts no/such/file can't be read"),
        (["--world", "no/such/file"], "the world no/such/file can't be read"),
        (["--dump"], "name the file of a sandbox with --state"),
    ],
)
def test_mistaken_flag_of_the_cloud_is_a_settings_error(flags: list[str], message: str) -> None:
    result = CliRunner().invoke(command, flags)

    assert isinstance(result.exception, SettingsError)
    assert re.search(message, str(result.exception))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--faults", "throtle=5%"], "the nearest is throttle"),
        (["--host", "0.0.0.0"], "--expose"),
        (["--products", "no/such/file"], "--products no/such/file can't be read"),
    ],
)
def test_mistaken_flag_is_a_settings_error(flags: list[str], message: str) -> None:
    result = CliRunner().invoke(command, flags)

    assert isinstance(result.exception, SettingsError)
    assert message in str(result.exception)


def test_help_shows_the_grammar_of_faults_as_it_is_read() -> None:
    result = CliRunner().invoke(command, ["--help"])

    assert result.exit_code == 0
    assert "[ACTION:]FAULT[-before|-after]=RATE" in result.output
    assert "reset                                connection reset (after, unless" in result.output
    assert "create update delete     a module of the product" in result.output
    assert "[accounts.cn]" in result.output


def test_help_of_the_whole_program_need_not_wait_for_aiohttp() -> None:
    code = "import sys, bulk.cli.commands.sandbox; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
