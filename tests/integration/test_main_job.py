"""The main job as a stranger would judge it: many products in shuffled order against a platform that is not empty."""

from __future__ import annotations

import csv
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import bulk
from bulk.cloud.client import Client
from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.wire.transport import HttpTransport
from bulk.model import Accepted, Change, ChangeKind, Dialect, OtaModule, Target
from bulk.sandbox import Casing, DataShape, Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.model import Summary

PRODUCTS = 150
LIMIT = 10


@dataclass
class World:
    """What a file asks for, what is there already, and what must become of each line."""

    there: list[OtaModule] = field(default_factory=list)
    lines: list[OtaModule] = field(default_factory=list)

    def expected(self) -> list[str]:
        """Play the platform's rules in the file's order, product by product."""
        owned: dict[str, dict[str, OtaModule]] = {}
        for module in self.there:
            owned.setdefault(module.product_key, {})[module.module_name.lower()] = module
        asked: set[tuple[str, str]] = set()
        return [self._becomes(line, owned.setdefault(line.product_key, {}), asked) for line in self.lines]

    @staticmethod
    def _becomes(line: OtaModule, owned: dict[str, OtaModule], asked: set[tuple[str, str]]) -> str:
        name = line.module_name.lower()
        if (line.product_key, name) in asked:
            return "duplicate"
        asked.add((line.product_key, name))
        if name in owned:
            return "exists" if owned[name] == line else "drifted"
        if len([key for key in owned if key != "default"]) >= LIMIT:
            return "over_budget"
        owned[name] = line
        return "created"


def build_world(seed: int) -> World:
    dice = random.Random(seed)
    world = World()
    for number in range(PRODUCTS):
        key = f"a1Prod{number:05d}"
        wanted = [
            OtaModule(key, f"module-{index}.{dice.choice(('a', 'B'))}", f"模块{index}", f"desc {index} {dice.random()}")
            for index in range(dice.randint(1, 12))
        ]
        world.lines += wanted
        if dice.random() < 0.1:
            world.lines.append(wanted[0])
        world.there += [module for module in wanted if dice.random() < 0.1]
        if dice.random() < 0.1:
            there = wanted[-1]
            if there not in world.there:
                changed = OtaModule(key, there.module_name.swapcase(), there.alias_name, there.desc)
                world.there.append(changed)
        if dice.random() < 0.2:
            taken = sum(module.product_key == key for module in world.there)
            fill = range(dice.randint(0, max(0, LIMIT - taken)))
            world.there += [OtaModule(key, f"old-{index}", None, None) for index in fill]
    dice.shuffle(world.lines)
    return world


async def populate(box: Sandbox, world: World) -> None:
    credentials = StaticCredentials(Credentials(box.credentials.access_key_id, box.credentials.access_key_secret))
    async with HttpTransport() as transport:
        client = Client(
            target=Target(Dialect.ALIBABA, box.endpoint),
            endpoint=box.endpoint,
            credentials=credentials,
            transport=transport,
        )
        for module in world.there:
            assert isinstance(await client.apply(Change(ChangeKind.CREATE, module)), Accepted)


def write_csv(path: Path, world: World) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["product_key", "Module Name", "aliasName", "DESC"])
        writer.writerows([m.product_key, m.module_name, m.alias_name, m.desc] for m in world.lines)


def standing(ledger: str) -> list[str]:
    with closing(sqlite3.connect(ledger)) as connection:
        return [outcome for (outcome,) in connection.execute("SELECT outcome FROM standing ORDER BY line")]


async def run(path: Path, box: Sandbox, dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> Summary:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", box.credentials.access_key_id)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", box.credentials.access_key_secret)
    return await bulk.run(str(path), Settings(endpoint=box.endpoint, dialect=dialect, qps=0, list_qps=0))


@pytest.mark.parametrize(
    ("seed", "dialect", "shape", "casing"),
    [
        (1, Dialect.TUYA, DataShape.LIST, None),
        (2, Dialect.TUYA, DataShape.SINGLE, None),
        (3, Dialect.ALIBABA, DataShape.WRAPPED, Casing.MIXED),
        (4, Dialect.ALIBABA, DataShape.NULL_WHEN_EMPTY, None),
    ],
)
async def test_every_row_becomes_what_the_platforms_rules_say(
    seed: int,
    dialect: Dialect,
    shape: DataShape,
    casing: Casing | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = build_world(seed)
    path = tmp_path / "modules.csv"
    write_csv(path, world)
    config = SandboxConfig(qps=0, list_qps=0, data_shape=shape, casing=casing, starting_world=False)
    async with Sandbox(config) as box:
        await populate(box, world)
        box.requests.clear()
        summary = await run(path, box, dialect, monkeypatch)
        seen = dict(box.requests)
        created = {(made.product_key, made.module_name) for made in box.carried_out[len(world.there) :]}
        box.requests.clear()
        again = await run(path, box, dialect, monkeypatch)
        seen_again = dict(box.requests)

    expected = world.expected()
    assert standing(summary.ledger) == expected
    assert summary.outcomes == {outcome: expected.count(outcome) for outcome in summary.outcomes}
    assert summary.requests == {"list": seen["ListOTAModuleByProduct"], "create": seen["CreateOTAModule"]}
    assert created == {
        (line.product_key, line.module_name)
        for line, outcome in zip(world.lines, expected, strict=True)
        if outcome == "created"
    }
    assert summary.retries == summary.throttled == summary.recovered == 0
    assert again.outcomes == summary.outcomes
    assert "CreateOTAModule" not in seen_again
    assert again.requests["create"] == 0
