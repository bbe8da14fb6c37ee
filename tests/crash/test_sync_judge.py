"""A night of a large fleet: faults, a rival, kills; then the platform is read module by module."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import Action
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from tests.crash.judge import WRITES, File, Jury

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bulk.sandbox import Seen
    from tests.crash.conftest import Ended

    Watch = Callable[[Sandbox, Callable[[Seen], None]], None]
    StartChild = Callable[..., AbstractAsyncContextManager[Any]]
    RunChild = Callable[..., Coroutine[Any, Any, Ended]]

FAULTS = {
    "throttle": 7,
    "reset-before": 4,
    "reset-after": 5,
    "http500-after": 4,
    "http503": 4,
    "truncate": 3,
    "html": 3,
    "nonce-used-after": 2,
    "hang-before": 0.5,
    "hang-after": 0.5,
}
"""In percent: a third of the requests."""

SYNC = ("--dialect", "tuya", "--prune", "--max-updates", "100%", "--max-deletes", "100%", "--timeout", "0.5")
MOST_NIGHTS = 10
PATIENCE_S = 300.0
"""A night of 800 products on a busy machine."""


def product(number: int) -> str:
    return f"a1Prod{number:05d}"


def first_file(path: Path, products: int, full: int, dice: random.Random) -> File:
    file = File(path)
    for number in range(products):
        for index in range(10 if number < full else dice.randint(3, 8)):
            desc = f"Nr. {index} of {number}" if dice.random() < 0.8 else ""
            file.rows[product(number), f"module-{index}"] = (f"alias-{index}", desc)
    file.write()
    return file


def change_all(jury: Jury, *, products: int, full: int, drift: int, surplus: int, packed: int) -> None:
    """Let modules drift and rows leave the file; some of these modules are protected."""
    dice, file, console = jury.dice, jury.file, jury.box.console()
    for number in range(full):
        for index in range(dice.randint(1, 2)):
            del file.rows[product(number), f"module-{index}"]
            file.rows[product(number), f"new-{index}"] = (f"new-{index}", f"for {number}")
    of_surplus = dice.sample(range(full, products), surplus)
    for number in of_surplus:
        del file.rows[product(number), "module-0"]
    for number in of_surplus[:packed]:
        jury.pack((product(number), "module-0"), console)
    for number in of_surplus[packed : packed + 5]:
        jury.change_by_hand((product(number), "module-0"), console)
    for number in dice.sample(range(products), drift):
        keys = [key for key in file.rows if key[0] == product(number) and key in jury.held]
        for key in dice.sample(keys, 2):
            jury.change_by_hand(key, console)
    for number in dice.sample(range(full, products), products // 5):
        jury.make_foreign((product(number), "theirs"), console)
    file.write()


async def kill_at_a_random_instant(
    jury: Jury, *flags: str, child: StartChild, watch: Watch, products: int, dice: random.Random
) -> int:
    box = jury.box
    async with child(jury.file, box, *SYNC, *flags, command="sync") as running:
        met, writes = len(box.seen), jury.done.total()
        of_looking, of_writing = dice.randint(1, products), dice.randint(1, 30)
        while_looking, delay_s = dice.random() < 0.25, dice.choice([0.0, dice.uniform(0, 0.05)])
        done: list[int] = []

        def kill_soon(_: Seen) -> None:
            if not done and (
                len(box.seen) >= met + of_looking if while_looking else jury.done.total() >= writes + of_writing
            ):
                done.append(1)
                asyncio.get_running_loop().call_later(delay_s, running.signal, signal.SIGKILL)

        watch(box, kill_soon)
        return (await running.ended(patience_s=PATIENCE_S)).returncode  # type: ignore[no-any-return]  # what the fixture starts


def is_through(night: Ended) -> bool:
    """Say whether all is as the file says, but for rows whose slots somebody else took."""
    outcomes = night.summary["outcomes"]
    provisioned = sum(outcomes[name] for name in ("created", "updated", "exists"))
    return night.returncode in {0, 1} and provisioned + outcomes["over_budget"] == night.summary["rows"]


async def judged(
    folder: Path,
    *,
    seed: int,
    kills: int,
    sizes: dict[str, int],
    child: StartChild,
    run_child: RunChild,
    watch: Watch,
) -> None:
    dice = random.Random(seed)
    file = first_file(folder / "m.csv", sizes["products"], sizes["full"], dice)
    calm = 2 * sizes["products"] + len(file.rows)
    plan = FaultPlan.parse(",".join(f"{fault}={share}%@{calm + 1}" for fault, share in FAULTS.items()))
    config = SandboxConfig(qps=0, list_qps=0, starting_world=False, faults=plan, seed=seed, unguarded_tuya_deletes=True)
    async with Sandbox(config) as box:
        jury = Jury(box, file, dice)
        first = await run_child(file, box, *SYNC, command="sync", patience_s=PATIENCE_S)
        assert first.returncode == 0, first.stderr
        change_all(jury, **sizes)

        jury.rival_share = 0.03
        codes = [
            await kill_at_a_random_instant(jury, child=child, watch=watch, products=sizes["products"], dice=dice)
            for _ in range(kills)
        ]
        jury.rival_share = 0.0
        watch(box, lambda _: None)
        nights = []
        for _ in range(MOST_NIGHTS):
            nights.append(await run_child(file, box, *SYNC, command="sync", patience_s=PATIENCE_S))
            if is_through(nights[-1]):
                break
        seen = len(box.seen)
        await run_child(file, box, *SYNC, command="sync", patience_s=PATIENCE_S)

        sent = Counter(each.action for each in list(box.seen)[seen:])
        print(codes, [(night.returncode, night.summary["stopped"]) for night in nights], jury.done, sent)  # noqa: T201 - shown where it fails
        assert jury.module_by_module(nights[-1].summary.get("notes", [])) == []
    assert is_through(nights[-1]), nights[-1].stdout
    assert not WRITES & sent.keys()
    assert sent[Action.LIST] >= sizes["products"]
    assert codes.count(-signal.SIGKILL) >= kills // 2


@pytest.mark.parametrize("seed", [1])
async def test_a_night_of_faults_rivals_and_kills_ends_as_the_file_says(
    seed: int, tmp_path: Path, child: StartChild, run_child: RunChild, watch: Watch
) -> None:
    sizes = {"products": 60, "full": 6, "drift": 20, "surplus": 14, "packed": 3}
    await judged(tmp_path, seed=seed, kills=4, sizes=sizes, child=child, run_child=run_child, watch=watch)


@pytest.mark.torture
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(10))
async def test_a_night_of_a_large_fleet_ends_as_the_file_says(
    seed: int, tmp_path: Path, child: StartChild, run_child: RunChild, watch: Watch
) -> None:
    sizes = {"products": 800, "full": 20, "drift": 300, "surplus": 60, "packed": 10}
    await judged(tmp_path, seed=seed, kills=20, sizes=sizes, child=child, run_child=run_child, watch=watch)
