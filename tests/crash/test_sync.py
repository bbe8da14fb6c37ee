"""`bulk sync` killed at each instant of an update and of a swap: the next one finishes it, nothing is done twice."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import MAX_CUSTOM_MODULES, RESERVED_MODULE_NAME, Action, OtaModule

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from bulk.sandbox import Sandbox, Seen
    from tests.conftest import Job

FULL, OTHER = "a1Full000001", "a1Other00001"
SYNC = ("--prune",)

_KILL_BEFORE_IT_LEAVES = """
from bulk.cloud.client import Client
from bulk.model import ChangeKind

apply_change = Client.apply

async def killed(self, change, **options):
    if change.kind == "{kind}":
        os.kill(os.getpid(), signal.SIGKILL)
    return await apply_change(self, change, **options)

Client.apply = killed
"""


def customs(box: Sandbox, product_key: str) -> dict[str, OtaModule]:
    return {
        module.module_name: module for module in box.modules(product_key) if module.module_name != RESERVED_MODULE_NAME
    }


def never_blindly_repeated(box: Sandbox) -> None:
    in_doubt: set[tuple[str, str]] = set()
    for seen in box.seen:
        if seen.action == Action.LIST:
            in_doubt = {key for key in in_doubt if key[0] != seen.product_key}
        elif seen.action in {Action.CREATE, Action.UPDATE, Action.DELETE}:
            key = seen.product_key, seen.module_name
            assert key not in in_doubt, f"sent again, and nobody listed: {seen}"
            in_doubt.add(key)


def never_past_ten(box: Sandbox) -> None:
    assert "iot.ota.CreateOTAModuleExceedLimit" not in box.codes
    for product_key in {seen.product_key for seen in box.seen if seen.product_key}:
        assert len(customs(box, product_key)) <= MAX_CUSTOM_MODULES


def as_the_file_says(box: Sandbox, job: Job) -> None:
    for product_key in (FULL, OTHER):
        wanted = {module.module_name: module for module in job.wanted if module.product_key == product_key}
        assert customs(box, product_key) == wanted


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    job = make_job(products=0)
    job.wanted[:] = [
        *(OtaModule(FULL, f"m{index}", f"alias{index}", "text") for index in range(MAX_CUSTOM_MODULES)),
        *(OtaModule(OTHER, f"m{index}", f"alias{index}", "text") for index in range(3)),
    ]
    job.write()
    return job


def change_the_file_and_the_platform(job: Job, box: Sandbox) -> None:
    """Let a full product need a swap, and let another have drifted."""
    job.wanted[3] = OtaModule(FULL, "new", "another", "text")
    job.write()
    box.console().update(OTHER, "m1", alias_name="by hand", desc="text")


@pytest.mark.parametrize("carried_out", [False, True], ids=["before it leaves", "before its reply"])
@pytest.mark.parametrize("action", [Action.UPDATE, Action.DELETE, Action.CREATE])
async def test_the_next_sync_finishes_what_a_kill_cut_in_two(
    action: Action,
    carried_out: bool,
    job: Job,
    box_with: Callable[..., Sandbox],
    child: Callable[..., AbstractAsyncContextManager[Any]],
    run_child: Callable[..., Any],
    watch: Callable[..., None],
) -> None:
    kind = {Action.UPDATE: "update", Action.DELETE: "delete", Action.CREATE: "create"}[action]
    async with box_with() as box:
        first = await run_child(job, box, command="sync")
        change_the_file_and_the_platform(job, box)
        patch = "" if carried_out else _KILL_BEFORE_IT_LEAVES.format(kind=kind)
        async with child(job, box, *SYNC, command="sync", patch=patch) as running:

            def kill_before_the_reply(seen: Seen) -> None:
                if carried_out and seen.action == action:
                    os.kill(running.pid, signal.SIGKILL)

            watch(box, kill_before_the_reply)
            killed = await running.ended()
        watch(box, lambda _: None)
        finished = await run_child(job, box, *SYNC, command="sync")
        before = len(box.seen)
        quiet = await run_child(job, box, *SYNC, command="sync")

        never_blindly_repeated(box)
        never_past_ten(box)
        as_the_file_says(box, job)
        assert {seen.action for seen in list(box.seen)[before:]} == {Action.LIST}
    assert (first.returncode, killed.returncode) == (0, -signal.SIGKILL)
    assert (finished.returncode, quiet.returncode) == (0, 0)


_KILL_AT_THE_REMAKE = """
import bulk.engine.sessions.recorder as recorder
from bulk.cloud.client import Client

kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
apply_change, claim = Client.apply, recorder.Recorder.claim

def is_remake(change):
    return change.kind == "create" and change.wanted.module_name == "m3"

async def claimed(self, changes, **options):
    changes = list(changes)
    if "{step}" == "before its claim" and is_remake(changes[0][1]):
        kill()
    await claim(self, changes, **options)

async def applied(self, change, **options):
    if "{step}" == "before it leaves" and is_remake(change):
        kill()
    answer = await apply_change(self, change, **options)
    if "{step}" == "before its end is recorded" and is_remake(change):
        kill()
    return answer

recorder.Recorder.claim, Client.apply = claimed, applied
"""


@pytest.mark.parametrize("refused", [1, 2], ids=["refused once", "refused again"])
@pytest.mark.parametrize("step", ["before its claim", "before it leaves", "before its end is recorded"])
async def test_a_kill_before_a_swap_is_undone_loses_no_module(
    step: str,
    refused: int,
    job: Job,
    box_with: Callable[..., Sandbox],
    run_child: Callable[..., Any],
) -> None:
    """The create was refused for good, and the run dies before the deleted module is made again."""
    creates = len(job.wanted) + 1
    remade = step == "before its end is recorded"
    faults = [
        f"create:code:iot.ota.CreateOTAModuleParamError=1x@{number}" for number in (creates, creates + 1 + remade)
    ]
    async with box_with(",".join(faults[:refused])) as box:
        await run_child(job, box, command="sync")
        change_the_file_and_the_platform(job, box)
        killed = await run_child(job, box, *SYNC, command="sync", patch=_KILL_AT_THE_REMAKE.format(step=step))
        after_kill = customs(box, FULL)
        second = await run_child(job, box, *SYNC, command="sync")
        after_second, before_nights = customs(box, FULL), len(box.seen)
        nights = [(await run_child(job, box, *SYNC, command="sync"), customs(box, FULL)) for _ in range(2)]

        never_past_ten(box)
        if second.returncode == 0:
            as_the_file_says(box, job)
        later = {seen.action for seen in list(box.seen)[before_nights:]}
    assert killed.returncode == -signal.SIGKILL
    assert "new" not in after_kill
    assert ("m3" in after_kill) == remade
    assert len(after_second) == MAX_CUSTOM_MODULES, "it, or what it was deleted for, is there again"
    assert second.returncode == (1 if remade or refused > 1 else 0)
    assert later == {Action.LIST}, "nothing is deleted again for what was refused for good"
    (_, before), (last, there) = nights
    assert there == before == after_second
    assert ("new" in there) != ("m3" in there)
    assert last.returncode == (0 if "new" in there else 1)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_sync_that_is_killed_again_and_again_ends_as_the_file_says(
    seed: int,
    job: Job,
    box_with: Callable[..., Sandbox],
    child: Callable[..., AbstractAsyncContextManager[Any]],
    run_child: Callable[..., Any],
    watch: Callable[..., None],
) -> None:
    dice = random.Random(seed)
    async with box_with("http500-after=5%,reset-after=5%,throttle=5%", seed=seed) as box:
        await run_child(job, box, command="sync")
        await run_child(job, box, command="sync")
        change_the_file_and_the_platform(job, box)
        for _ in range(4):
            async with child(job, box, *SYNC, command="sync") as running:
                met, requests = len(box.seen), dice.randint(1, 9)

                def kill_soon(_: Seen, running: Any = running, last: int = met + requests) -> None:
                    if len(box.seen) == last:
                        os.kill(running.pid, signal.SIGKILL)

                watch(box, kill_soon)
                await running.ended()
        watch(box, lambda _: None)
        for _ in range(3):
            finished = await run_child(job, box, *SYNC, command="sync")

        never_past_ten(box)
        as_the_file_says(box, job)
    assert finished.returncode == 0
