"""A sync with a map of products: nights, protection, approval, and what results say of modules without a row."""

from __future__ import annotations

import csv
import io
from asyncio import to_thread
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.control.retry import RetryPolicy
from bulk.engine.sync.apply import apply
from bulk.engine.sync.options import SyncOptions
from bulk.engine.sync.planning import plan_sync
from bulk.engine.sync.run import sync
from bulk.errors import InputError
from bulk.report.results import write_results
from tests.integration.looking.conftest import box_of, keys_of, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from bulk.model import Summary
    from bulk.sandbox import Sandbox

HEADER = "ProductKey,ModuleName,AliasName,Desc\n"
ROWS = ("s1,m1,x,d", "s1,m2,x,d", "s2,m1,x,d", "s2,m2,x,d", "s2,m3,x,d")
MANY = tuple(f"s{product},m{number},x,d" for product in range(3, 10) for number in range(8))
"""So that a row more or less is no shrunken file."""

SWAPPED = (("s1", "t1"), ("s2", "s1"), *((f"s{product}", f"t{product}") for product in range(3, 10)))
"""The target has a product whose key is that of another product of the source."""

ALL_OF_THEM = Limit(1_000)


@pytest.fixture(autouse=True)
def _short_waits_of_a_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bulk.engine.sessions.opening.RetryPolicy", partial(RetryPolicy, first_s=0.004, cap_s=0.02))


@dataclass
class Nights:
    """A file of the source's keys, its map, and the target."""

    folder: Path
    box: Sandbox

    @property
    def file(self) -> Path:
        return self.folder / "in.csv"

    def write(self, *rows: str) -> None:
        self.file.write_text(HEADER + "".join(f"{row}\n" for row in (*rows, *MANY)), encoding="utf-8")

    def map(self, *pairs: tuple[str, str]) -> None:
        here = f"{self.box.endpoint.rstrip('/')} (alibaba)"
        lines = "".join(f"{source},{target},{here}\n" for source, target in pairs)
        (self.folder / "map.csv").write_text(f"ProductKey,TargetProductKey,Target\n{lines}", encoding="utf-8")

    def settings(self, **changes: Any) -> Any:
        return settings_for(self.box, **({"product_map": str(self.folder / "map.csv")} | changes))

    async def sync(self, **options: Any) -> Summary:
        told: dict[str, Any] = {"max_deletes": ALL_OF_THEM, "max_updates": ALL_OF_THEM} | options
        return await sync(str(self.file), self.settings(), SyncOptions(**told), credentials=keys_of(self.box))

    def modules(self, product_key: str) -> set[str]:
        return {module.module_name for module in self.box.modules(product_key)} - {"default"}

    def results(self) -> list[dict[str, str]]:
        out = io.BytesIO()
        write_results(self.file.with_name("in.csv.ledger.db"), out, format="csv")
        return list(csv.DictReader(io.StringIO(out.getvalue().decode())))


def changed(summary: Summary) -> Mapping[str, int]:
    assert summary.changes is not None
    return summary.changes


@pytest.fixture
async def nights(tmp_path: Path) -> AsyncIterator[Nights]:
    async with box_of() as box:
        job = Nights(tmp_path, box)
        job.write(*ROWS)
        job.map(*SWAPPED)
        yield job


async def test_sync_creates_updates_and_deletes_in_the_targets_products(nights: Nights) -> None:
    first = await nights.sync()
    nights.write("s1,m1,y,d", *ROWS[1:4])
    second = await nights.sync(prune=True)

    assert changed(first)["created"] == 5 + len(MANY)
    assert (changed(second)["updated"], changed(second)["deleted"], second.exit_code) == (1, 1, 0)
    assert nights.modules("t1") == {"m1", "m2"}
    assert nights.modules("s1") == {"m1", "m2"}
    assert not any(seen.product_key == "s2" for seen in nights.box.seen)


async def test_modules_without_a_row_are_named_by_both_keys(nights: Nights) -> None:
    await nights.sync()
    nights.write(*ROWS[:4])
    await nights.sync(prune=True)

    (deleted,) = [row for row in await to_thread(nights.results) if row["outcome"] == "deleted"]
    assert (deleted["line"], deleted["ProductKey"], deleted["target_product_key"]) == ("", "s2", "s1")


@pytest.mark.parametrize("broken", ["s2,m3,not an alias!,d", "s2,m 3,x,d"])
async def test_invalid_row_protects_its_product_at_the_target(nights: Nights, broken: str) -> None:
    await nights.sync()
    nights.write(ROWS[0], *ROWS[2:4], broken)
    summary = await nights.sync(prune=True)

    # The row's product is `s1` at the target; `t1` is nobody's but that of the source's `s1`.
    assert nights.modules("s1") == {"m1", "m2", "m3"}
    assert nights.modules("t1") == {"m1"}
    assert changed(summary)["deleted"] == 1


async def test_row_of_a_product_that_the_map_does_not_have_keeps_all(nights: Nights) -> None:
    await nights.sync()
    nights.write(*ROWS[:4], "s0,m3,x,d")
    summary = await nights.sync(prune=True)

    assert changed(summary)["deleted"] == 0


async def test_plan_of_a_sync_is_applied_through_its_map(nights: Nights) -> None:
    await nights.sync()
    nights.write(*ROWS[:4])
    plan = nights.folder / "plan.jsonl"
    made = await plan_sync(
        str(nights.file), nights.settings(), SyncOptions(prune=True), output=plan, credentials=keys_of(nights.box)
    )
    done = await apply(plan, nights.settings(product_map=None), credentials=keys_of(nights.box))

    assert made.planned["delete"] == 1
    assert (changed(done)["deleted"], done.exit_code) == (1, 0)
    assert not any(seen.product_key == "s2" for seen in nights.box.seen)


async def test_platform_of_the_map_alone_is_synced(nights: Nights) -> None:
    path = nights.folder / "map.csv"
    text = await to_thread(path.read_text, encoding="utf-8")
    await to_thread(path.write_text, text.replace("(alibaba)", "(tuya)"), encoding="utf-8")

    with pytest.raises(InputError, match="it is for") as raised:
        await nights.sync()

    assert raised.value.exit_code == 2
    assert not nights.box.seen
