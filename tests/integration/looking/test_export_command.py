"""`bulk export` as a process: what it says, what it exits with, and that a signal leaves no file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.forked import BULK, Forked
from tests.integration.looking.conftest import box_of, fill, names_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from bulk.sandbox import Sandbox
    from tests.forked import ForkHost

    Bulk = Callable[..., Coroutine[Any, Any, tuple[int, bytes, bytes]]]


def environment(box: Sandbox) -> dict[str, str]:
    return os.environ | {
        "BULK_ENDPOINT": box.endpoint,
        "BULK_DIALECT": "alibaba",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": box.credentials.access_key_id,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": box.credentials.access_key_secret,
    }


@pytest.fixture
def bulk(fork_host: ForkHost) -> Bulk:
    async def run(folder: Path, box: Sandbox, *arguments: str) -> tuple[int, bytes, bytes]:
        process = await Forked.start(fork_host, BULK, arguments, environ=environment(box), folder=folder)
        out, err = await process.communicate()
        return await process.wait(), out, err

    return run


async def test_command_tells_what_it_wrote_and_names_what_it_left_out(tmp_path: Path, bulk: Bulk) -> None:
    async with box_of() as box:
        fill(box, [("a1Own000001", "m")])
        box.console().add_product("a1Dist00002", is_owned=False)
        code, out, err = await bulk(tmp_path, box, "export", "-o", "o.csv", "--list-qps", "0", "--json")

    said = json.loads(out)
    assert (code, said["exit_code"], said["rows"], said["products"]) == (0, 0, 1, 1)
    assert "a1Dist00002" in err.decode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "o.csv", "--excel-safe"), "leave it out"),
        (("-o", "o.txt"), "end it in .csv, .jsonl or .ndjson"),
        (("-o", "-"), "end it in .csv, .jsonl or .ndjson"),
        (("-o", "p.csv", "--products", "p.csv"), "p.csv is an input"),
        (("-o", "o.csv", "--products", "gone.csv"), "there is no such file"),
        (("-o", "no/o.csv"), "it can't be written"),
    ],
)
async def test_what_can_not_be_is_refused_before_anything_is_asked(
    tmp_path: Path, bulk: Bulk, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "p.csv").write_text("ProductKey\na1\n")
    async with box_of() as box:
        code, _, err = await bulk(tmp_path, box, "export", *arguments)

        assert not box.seen
    assert code == 2
    assert said in err.decode()
    assert names_in(tmp_path) == ["p.csv"]


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_signal_leaves_no_file(
    tmp_path: Path, fork_host: ForkHost, number: signal.Signals, exit_code: int
) -> None:
    asked = asyncio.Event()
    async with box_of() as box:
        fill(box, [(f"a1P{index:08}", "m") for index in range(50)])
        box.let_in(lambda seen, _: asked.set() if seen.product_key else None)
        words = ("export", "-o", "o.csv", "--list-qps", "1")
        process = await Forked.start(fork_host, BULK, words, environ=environment(box), folder=tmp_path)
        await asked.wait()
        process.send_signal(number)
        _, err = await process.communicate()

    assert process.returncode == exit_code
    assert "nothing was written" in err.decode()
    assert names_in(tmp_path) == []
