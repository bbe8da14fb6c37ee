"""docs/migration.md from end to end: two sandboxes of different dialect, and the source sees no write."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.test_uses import MIGRATE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.docs.conftest import Fence

PRODUCTS = 12
EXITS = {"map": 1, "plan": 1, "run": 1, "check": 1}
"""The page's own story: one product is not on the target, and its row is named by each command."""


def world(prefix: str, *, modules: bool) -> dict[str, Any]:
    products = [{"product_key": f"{prefix}{at:08}", "product_name": f"Lamp {at}"} for at in range(PRODUCTS)]
    made = [
        {"product_key": f"{prefix}{at:08}", "module_name": f"m{number}", "alias_name": "主控", "desc": 'a, "b"\nc'}
        for at in range(PRODUCTS)
        for number in range(at % 3)
    ]
    if modules:
        products.append({"product_key": "a1Gone00001", "product_name": "Gone"})
        made.append({"product_key": "a1Gone00001", "module_name": "mcu"})
    return {"products": products, "modules": made if modules else []}


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve both sides, write their settings, and yield the environment that has their keys."""
    keys: dict[str, str] = {}
    with ExitStack() as stack:
        for name, dialect, prefix in (("source", "alibaba", "a1S"), ("target", "tuya", "a1T")):
            (tmp_path / f"{name}.json").write_text(
                json.dumps(world(prefix, modules=name == "source")), encoding="utf-8"
            )
            command = ["sandbox", "--qps", "0", "--list-qps", "0", "--dialect", dialect, "--world", f"{name}.json"]
            serving = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "bulk", *command, "--arrivals", f"{name}.arrivals"],
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    encoding="utf-8",
                )
            )
            stack.callback(serving.terminate)
            assert serving.stdout is not None
            lines = [serving.stdout.readline() for _ in range(3)]
            told = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
            (tmp_path / f"{name}.toml").write_text(
                f'endpoint = "{told["BULK_ENDPOINT"]}"\ndialect = "{dialect}"\nkey_env = "{name.upper()}"\n'
                "qps = 0\nlist_qps = 0\n"
            )
            for part in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET"):
                keys[f"{name.upper()}_{part}"] = told[f"ALIBABA_CLOUD_{part}"]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULK_", "ALIBABA_CLOUD_"))}
        yield kept | keys


def run_on_both_sides(command: str, keys: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of a page where both settings files are."""
    words = [sys.executable, "-m", *command.split()]
    return subprocess.run(words, cwd=folder, env=keys, capture_output=True, text=True, check=False)


def complete(path: Path) -> None:
    """Take out the lines that are open, as the page says."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["TargetProductKey"])


def test_the_page_moves_every_module_and_the_source_sees_no_write(
    fences: list[Fence], sides: dict[str, str], tmp_path: Path
) -> None:
    commands = [
        line
        for fence in fences
        if fence.page == "migration.md" and fence.language == "bash"
        for line in fence.text.splitlines()
    ]
    ends = []
    for command in commands:
        words = command.split()
        done = run_on_both_sides(command, sides, tmp_path)
        ends.append((words[1], done.returncode))
        assert done.returncode in {0, EXITS.get(words[1], 0)}, (command, done.stdout, done.stderr)
        if words[1] == "map":
            complete(tmp_path / "map.csv")

    assert ("check", 0) in ends
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PRODUCTS + 1
    for row in rows:
        if row["ProductKey"] == "a1Gone00001":
            assert row["outcome"] == "invalid"
        else:
            assert row["outcome"] == "created"
            assert row["target_product_key"] == row["ProductKey"].replace("a1S", "a1T")
    with (tmp_path / "open.csv").open(encoding="utf-8", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["unread"]
    arrivals = [json.loads(line) for line in (tmp_path / "source.arrivals").read_text().splitlines()]
    assert {each["action"] for each in arrivals} == {"QueryProductList", "QueryProduct", "ListOTAModuleByProduct"}


def test_the_three_commands_of_the_readme_do_the_same(sides: dict[str, str], tmp_path: Path) -> None:
    ends = []
    for command in MIGRATE:
        done = run_on_both_sides(command, sides, tmp_path)
        ends.append(done.returncode)
        if command.startswith("bulk map "):
            complete(tmp_path / "map.csv")

    assert ends == [0, EXITS["map"], EXITS["run"]]
    assert f"{PRODUCTS} of {PRODUCTS + 1} rows provisioned" in done.stdout
