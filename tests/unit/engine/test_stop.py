from __future__ import annotations

import pytest

from bulk.engine.stop import StopSignal
from bulk.exits import ExitCode


async def test_scope_is_stopped_with_the_run_for_its_reason() -> None:
    run = StopSignal()
    part = run.scope()

    run.request("enough", exit_code=ExitCode.TERMINATED)

    assert (part.reason, part.exit_code) == ("enough", ExitCode.TERMINATED)


async def test_scope_is_stopped_alone() -> None:
    run = StopSignal()
    parts = [run.scope(), run.scope()]

    parts[0].request("no key")

    assert not run.requested
    assert not parts[1].requested
    run.request("enough")
    assert [part.reason for part in parts] == ["no key", "enough"]


async def test_scope_of_a_run_that_is_stopped_already_is_stopped() -> None:
    run = StopSignal()
    run.request("enough")

    assert run.scope().requested


@pytest.mark.parametrize("alone", [True, False])
async def test_who_waits_in_a_scope_goes_on_when_it_is_stopped(*, alone: bool) -> None:
    run = StopSignal()
    part = run.scope()
    (part if alone else run).follow(lambda: None)

    (part if alone else run).request("enough")

    assert await part.sleep(60)
