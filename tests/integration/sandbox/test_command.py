"""`bulk sandbox` as a process: what a shell and a signal see."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bulk.cli.sandbox import sandbox as command
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.sandbox.conftest import Client

COMMAND = [sys.executable, "-c", "from bulk.cli.sandbox import sandbox; sandbox()"]


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
    assert "reset                                connection reset (after, unless -before)" in result.output


def test_help_of_the_whole_program_need_not_wait_for_aiohttp() -> None:
    code = "import sys, bulk.cli.sandbox; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
