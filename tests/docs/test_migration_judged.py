"""docs/migration.md followed to the letter on two hard platforms: what can be there is there, all else is named.


The source has ambiguous names, texts that the target refuses, products of others, pages that shift and a product that
is deleted while it is read. The target has products that are missing, full, or have modules already. Both lose replies.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sys
from asyncio import to_thread
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Dialect
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from bulk.sandbox import Console, Seen
    from tests.docs.conftest import Fence

READS = {"QueryProductList", "QueryProduct", "ListOTAModuleByProduct"}
FAULTS = "list:throttle=2%,create:throttle=2%,http500=2%,reset=2%"
PAGE = 200
"""Products that a page of QueryProductList shows at most."""

LEFT_OUT = 5
"""Products of the source that the target does not have."""

REFUSED = {
    "AliasName": ("has space", "かな", "semi;colon", "x" * 65, "NULL"),
    "Desc": ("d" * 101, "bell\a", "nan", "\\N"),
}
TRIMMED = " padded "
PLAIN = ("", "主控", "v1.2_a-b")
DESCS = ("", 'two\nlines, "quoted"', "=1+1", "说明")


class Module(NamedTuple):
    product_key: str
    module_name: str
    alias: str
    desc: str


@dataclass
class Way:
    """Both platforms, and a folder in which the page's commands are run."""

    folder: Path
    source: Sandbox
    target: Sandbox
    ends: list[tuple[str, int]] = field(default_factory=list)

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BULK_", "ALIBABA_CLOUD_"))}
        for name, box in (("SOURCE", self.source), ("TARGET", self.target)):
            kept |= {
                f"{name}_ACCESS_KEY_ID": box.credentials.access_key_id,
                f"{name}_ACCESS_KEY_SECRET": box.credentials.access_key_secret,
            }
        return kept

    def write_settings(self) -> None:
        for name, box, dialect in (("source", self.source, "alibaba"), ("target", self.target, "tuya")):
            (self.folder / f"{name}.toml").write_text(
                f'endpoint = "{box.endpoint}"\ndialect = "{dialect}"\nkey_env = "{name.upper()}"\n'
                "qps = 0\nlist_qps = 0\n",
                encoding="utf-8",
            )

    async def run(self, command: str) -> tuple[int, str]:
        """Run a command of the page; return its exit code and all that it said."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command.split(),
            cwd=self.folder,
            env=self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        self.ends.append((command.split()[1], process.returncode))
        return process.returncode, said.decode()

    def rows(self, name: str) -> list[dict[str, str]]:
        with (self.folder / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def of_source(self, key: str) -> str:
        """Return the product of the target that a product of the source is, by their names."""
        return key.replace("a1S", "T")


def texts_of(at: int, number: int) -> tuple[str, str]:
    """Return the texts of a module; every seventh product has one that the target, or its reader, refuses."""
    alias, desc = PLAIN[(at + number) % len(PLAIN)], DESCS[(at + number) % len(DESCS)]
    if at % 7 == 3 and number == 0:
        return REFUSED["AliasName"][at % len(REFUSED["AliasName"])], desc
    if at % 7 == 5 and number == 0:
        return alias, REFUSED["Desc"][at % len(REFUSED["Desc"])]
    if at % 7 == 6 and number == 0:
        return TRIMMED, desc
    return alias, desc


def fill_source(console: Console, products: int) -> None:
    """Make products of 0 to 10 modules; every tenth shares its name with the next one."""
    for at in range(products):
        key = f"a1S{at:08}"
        console.add_product(key, product_name=f"Lamp {at - 1 if at % 10 == 1 else at}")
        for number in range(at % 11):
            alias, desc = texts_of(at, number)
            console.create(key, f"m{number}", alias_name=alias or None, desc=desc or None)
    console.add_product("a1Zapped001", product_name="Zapped")
    console.create("a1Zapped001", "gone")
    console.add_product("a1Theirs001", product_name="Theirs", is_owned=False)
    console.create("a1Theirs001", "theirs")


def fill_target(console: Console, products: int) -> None:
    """Make the same products but for some; some have modules already, so that slots are few, or texts differ."""
    for at in range(products - LEFT_OUT):
        key = f"T{at:08}"
        console.add_product(key, product_name=f"Lamp {at - 1 if at % 10 == 1 else at}")
        if at % 9 == 4:
            console.create(key, "m1", alias_name=PLAIN[(at + 1) % 3] or None, desc=DESCS[(at + 1) % 4] or None)
        if at % 9 == 5:
            console.create(key, "M2", alias_name="other")
        if at % 9 == 7:
            for number in range(8):
                console.create(key, f"local{number}")


def shifting(times: int) -> Callable[[Seen, Console], None]:
    """Return somebody who works at the source's console while it is read."""
    made = 0

    def play(seen: Seen, console: Console) -> None:
        nonlocal made
        if seen.action == "QueryProductList" and made < times:
            made += 1
            console.add_product(f"a1New{made:06}", product_name=f"New {made}")
            console.create(f"a1New{made:06}", "new")
        if seen.action == "ListOTAModuleByProduct" and "a1Zapped001" in console.world.products():
            console.drop_product("a1Zapped001")

    return play


def modules_of(box: Sandbox) -> Iterator[Module]:
    for key in box.world().products():
        for module in box.modules(key):
            if module.module_name != RESERVED_MODULE_NAME:
                yield Module(key, module.module_name, module.alias_name or "", module.desc or "")


@pytest.fixture
async def way(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Way]:
    products: int = request.param
    told: dict[str, Any] = {"qps": 0, "list_qps": 0, "starting_world": False, "faults": FaultPlan.parse(FAULTS)}
    there = frozenset(f"a1S{at:08}" for at in range(products)) | {"a1Theirs001"}
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(
            Sandbox(SandboxConfig(dialect=Dialect.ALIBABA, products=there, seed=1, **told))
        )
        target = await stack.enter_async_context(
            Sandbox(SandboxConfig(dialect=Dialect.TUYA, products=frozenset({"T00000000"}), seed=2, **told))
        )
        fill_source(source.console(), products)
        fill_target(target.console(), products)
        source.let_in(shifting(3 if products > PAGE else 1))
        found = Way(tmp_path, source, target)
        await to_thread(found.write_settings)
        yield found


def complete(way: Way) -> None:
    """Do what the page asks a person to do: write each open product's target, or take out its line."""
    rows = way.rows("map.csv")
    at_target = set(way.target.world().products())
    for row in rows:
        row["TargetProductKey"] = row["TargetProductKey"] or way.of_source(row["ProductKey"])
    with (way.folder / "map.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["TargetProductKey"] in at_target)


def is_refused(module: Module) -> bool:
    return module.alias in REFUSED["AliasName"] or module.desc in REFUSED["Desc"]


def judge(way: Way, before: set[Module]) -> None:
    """Hold both platforms and the results together."""
    assert {seen.action for seen in way.source.seen} <= READS
    owned = [module for module in modules_of(way.source) if module.product_key != "a1Theirs001"]
    results = {(row["ProductKey"], row["ModuleName"]): row for row in way.rows("results.csv")}
    assert {module[:2] for module in owned} == {(key, name) for key, name in results}
    still_open = {(row["product_key"], row["module_name"]) for row in way.rows("open.csv")}
    open_lines = {row["line"] for row in way.rows("open.csv")}
    at_target = {(module.product_key, module.module_name): module for module in modules_of(way.target)}
    for module in owned:
        row, there = results[module[:2]], way.of_source(module.product_key)
        found = at_target.get((there, module.module_name))
        wanted = module._replace(product_key=there, alias=module.alias.strip())
        if row["outcome"] in {"created", "exists"}:
            assert row["target_product_key"] == there
            assert found is not None
            # A blank cell is not compared: what was there before keeps the texts that nobody asked to change.
            assert found == wanted or found in before, (module, found)
            continue
        assert row["message"], row
        assert (there, module.module_name) in still_open or row["line"] in open_lines, row
        assert found is None or found in before
        free = MAX_CUSTOM_MODULES - sum(key == there for key, _ in at_target)
        can_be = there in way.target.world().products() and not is_refused(module) and free and found is None
        folded = {name.casefold() for key, name in at_target if key == there}
        assert not can_be or module.module_name.casefold() in folded, row
    made = {module[:2] for module in modules_of(way.target)} - {module[:2] for module in before}
    assert made <= {(way.of_source(module.product_key), module.module_name) for module in owned}


async def follow(way: Way, fences: list[Fence]) -> None:
    """Run the page's commands, each until it does what the page says of it."""
    before = set(modules_of(way.target))
    commands = [
        line
        for fence in fences
        if fence.page == "migration.md" and fence.language == "bash"
        for line in fence.text.splitlines()
    ]
    said: dict[str, str] = {}
    for command in commands:
        code, said[command] = await way.run(command)
        if command.split()[1] == "export":
            assert (code, (way.folder / "export.csv").exists()) == (3, False), said[command]
            assert "a1Zapped001" in said[command]
            code, said[command] = await way.run(command)
            assert code == 0, said[command]
            assert "a1Theirs001" in said[command]
            assert "m0: AliasName is ' padded ', and a run reads 'padded'" in said[command]
        elif command.split()[1] == "map":
            assert code == 1, said[command]
            await to_thread(complete, way)
        else:
            assert code in {0, 1}, said[command]
    judge(way, before)


@pytest.mark.parametrize("way", [34], indirect=True)
async def test_what_can_be_at_the_target_is_there_and_all_else_is_named(way: Way, fences: list[Fence]) -> None:
    await follow(way, fences)


@pytest.mark.torture
@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", [900], indirect=True)
async def test_what_can_be_there_of_900_products_is_there(way: Way, fences: list[Fence]) -> None:
    await follow(way, fences)
