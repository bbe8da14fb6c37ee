"""The figures of a sync's end, which metrics are made of, against a real sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.control.guard import Limit
from bulk.ledger.views.status import read_status

if TYPE_CHECKING:
    from bulk.model import SyncFigures
    from tests.integration.sync.conftest import Nights

PRODUCT = "a1Prod00001"


def only(figures: dict[str, SyncFigures]) -> SyncFigures:
    (one,) = figures.values()
    return one


async def test_night_that_withholds_is_not_converged_and_its_apply_is(synced: Nights) -> None:
    synced.box.console().update(PRODUCT, "m0", alias_name="drifted", desc=None)
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))

    night = await synced.sync(prune=True, max_deletes=Limit(1))
    (waiting,) = (await asyncio.to_thread(read_status, synced.ledger)).approvals
    applied = await synced.apply(Path(night.plan or ""))

    assert only(dict(night.figures)).changes == {"create": 0, "update": 1, "delete": 0}
    assert only(dict(night.figures)).withheld["delete"] == waiting.changes["delete"] == 2
    assert only(dict(applied.figures)).changes == {"create": 0, "update": 0, "delete": 2}
    assert only(dict(applied.figures)).withheld == {"create": 0, "update": 0, "delete": 0}
    assert [only(dict(one.figures)).converged for one in (night, applied)] == [False, True]


async def test_surplus_is_told_by_reason_and_converges_all_the_same(synced: Nights) -> None:
    synced.box.console().update(PRODUCT, "m1", alias_name="somebody uses it", desc=None)
    synced.write(synced.without((PRODUCT, "m1")))

    night = await synced.sync(prune=True)

    assert only(dict(night.figures)).surplus == {"changed": 1}
    assert only(dict(night.figures)).converged


async def test_narrowed_night_is_not_converged_and_still_tells_all_that_waits(synced: Nights) -> None:
    synced.write(synced.without((PRODUCT, "m1"), (PRODUCT, "m2")))
    await synced.sync(prune=True, max_deletes=Limit(1))

    trial = await synced.sync(settings={"only": ("a1Prod00002",)}, prune=True)

    assert trial.exit_code == 0
    assert only(dict(trial.figures)).withheld["delete"] == 2
    assert not only(dict(trial.figures)).converged
