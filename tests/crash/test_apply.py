"""`bulk apply` killed at each instant: the same command goes on, and ends with what was approved and nothing more."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from bulk.model import Action, OtaModule
from tests.crash.judge import FULL, OTHER, customs, never_blindly_repeated

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from bulk.sandbox import Sandbox, Seen
    from tests.conftest import Job

NOTHING_GOES = ("--prune", "--max-updates", "0", "--max-deletes", "0")


@pytest.mark.parametrize(
    ("action", "number"),
    [(Action.UPDATE, 1), (Action.UPDATE, 2), (Action.DELETE, 1), (Action.CREATE, 1), (Action.DELETE, 2)],
)
async def test_the_same_command_goes_on_with_an_apply_that_was_killed(
    action: Action,
    number: int,
    full_job: Job,
    box_with: Callable[..., Sandbox],
    child_in: Callable[..., AbstractAsyncContextManager[Any]],
    run_child: Callable[..., Any],
    watch: Callable[..., None],
) -> None:
    async with box_with() as box:
        await run_child(full_job, box, command="sync")
        box.console().create(OTHER, "theirs", alias_name="theirs", desc="text")
        for index in range(2):
            full_job.wanted[index] = OtaModule(FULL, f"new{index}", f"another{index}", "text")
            box.console().update(OTHER, f"m{index}", alias_name="by hand", desc="text")
        full_job.write()
        withheld = await run_child(full_job, box, *NOTHING_GOES, command="sync")
        plan = withheld.summary["plan"]
        environ = {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": box.credentials.access_key_id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": box.credentials.access_key_secret,
        }
        told = ("--endpoint", box.endpoint, "--dialect", "alibaba", "--qps", "0", "--list-qps", "0", "--json")
        words = ("apply", plan, *told)

        async with child_in(full_job.path.parent, *words, environ=environ) as running:
            met = {"times": 0}

            def kill(seen: Seen) -> None:
                met["times"] += seen.action == action
                if seen.action == action and met["times"] == number:
                    os.kill(running.pid, signal.SIGKILL)

            watch(box, kill)
            killed = await running.ended()
        watch(box, lambda _: None)
        async with child_in(full_job.path.parent, *words, environ=environ) as running:
            finished = await running.ended()
        async with child_in(full_job.path.parent, *words, environ=environ) as running:
            refused = await running.ended()
        before = len(box.seen)
        quiet = await run_child(full_job, box, "--prune", command="sync")

        never_blindly_repeated(box)
        assert {seen.action for seen in list(box.seen)[before:]} == {Action.LIST}
        assert customs(box, FULL).keys() == {
            module.module_name for module in full_job.wanted if module.product_key == FULL
        }
        assert customs(box, OTHER).keys() == {"m0", "m1", "m2", "theirs"}
        assert customs(box, OTHER)["m0"].alias_name == "alias0"
    assert (withheld.returncode, killed.returncode) == (5, -signal.SIGKILL)
    assert (finished.returncode, refused.returncode, quiet.returncode) == (0, 2, 0)
    assert finished.summary["withheld"] == {"creates": 0, "updates": 0, "deletes": 0}
