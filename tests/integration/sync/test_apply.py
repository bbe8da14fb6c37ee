"""`bulk apply` takes a plan for what it was when a person read it, and nothing else."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.control.guard import Limit
from bulk.engine.sync.apply import apply
from bulk.errors import LedgerTargetError, SettingsError
from bulk.ledger.times import iso_utc
from tests.nights import FULL, OTHER, THIRD, lines_of, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.sync.conftest import Nights

NOTHING = {"created": 0, "updated": 0, "deleted": 0}


async def withheld_plan(nights: Nights, *, drifted: int = 3, **options: Any) -> Path:
    """Let updates wait for a person, and return the plan that lists them."""
    for index in range(drifted):
        nights.box.console().update(FULL, f"m{index}", alias_name="hand", desc=f"{index}")
    summary = await nights.sync(max_updates=Limit(0), **options)
    assert (summary.exit_code, summary.plan is None) == (5, False)
    return Path(summary.plan or "")


async def refused(nights: Nights, plan: Path, error: type[Exception], said: str, **options: Any) -> None:
    before = nights.mark()
    with pytest.raises(error, match=said):
        await nights.apply(plan, **options)
    assert nights.mark() == before, "nothing was sent"


async def test_flags_that_were_edited_into_a_plan_give_no_rights(synced: Nights) -> None:
    """With --prune written into its first line, and a delete among its changes, an update's plan would delete."""
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "new", "")])
    plan = await withheld_plan(synced)
    header, *changes = lines_of(plan)
    header["flags"]["prune"] = True
    found = {"module_name": "m0", "alias_name": "alias0", "desc": "desc 1"}
    delete = {**changes[0], "product_key": OTHER, "module_name": "m0", "kind": "delete", "wanted": None, "line": None}
    write_lines(plan, [header, *changes, {**delete, "found": found}])

    await refused(synced, plan, SettingsError, "its first line was edited")
    assert "m0" in synced.modules(OTHER)


@pytest.mark.parametrize("spoil", [lambda line: line.pop("flags"), lambda line: line.update(made_at=7)])
async def test_a_first_line_that_says_too_little_is_refused(
    synced: Nights, spoil: Callable[[dict[str, Any]], object]
) -> None:
    plan = await withheld_plan(synced)
    header, *changes = lines_of(plan)
    spoil(header)
    write_lines(plan, [header, *changes])

    await refused(synced, plan, SettingsError, "not that of a plan of this version")


@pytest.mark.parametrize(
    ("moved_s", "max_age_s", "said"),
    [
        (25 * 3_600.0, 24 * 3_600.0, "is 25 hours old, and --max-age allows 24"),
        (73 * 3_600.0, 72 * 3_600.0, "is 73 hours old, and --max-age allows 72"),
        (-3_600.0, 24 * 3_600.0, "by this machine's clock the plan is from the future"),
    ],
)
async def test_a_plan_of_another_day_is_refused(
    synced: Nights, moved_s: float, max_age_s: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await withheld_plan(synced)
    now = time.time()
    monkeypatch.setattr("bulk.engine.sync.apply.time.time", lambda: now + moved_s)

    await refused(synced, plan, SettingsError, said, max_age_s=max_age_s)


async def test_a_plan_lasts_over_a_weekend_where_a_person_says_so(
    synced: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await withheld_plan(synced)
    now = time.time()
    monkeypatch.setattr("bulk.engine.sync.apply.time.time", lambda: now + 71 * 3_600.0)

    assert (await synced.apply(plan, max_age_s=72 * 3_600.0)).changes == {"created": 0, "updated": 3, "deleted": 0}


async def test_a_plan_is_not_applied_to_an_older_copy_of_its_ledger(synced: Nights) -> None:
    shutil.copy(synced.ledger, f"{synced.ledger}.copy")
    plan = await withheld_plan(synced)
    shutil.copy(f"{synced.ledger}.copy", synced.ledger)

    await refused(synced, plan, LedgerTargetError, "is an older copy of the ledger")


async def test_a_plan_is_not_applied_to_a_ledger_of_another_beginning(synced: Nights) -> None:
    plan = await withheld_plan(synced)
    synced.ledger.unlink()
    await refused(synced, plan, LedgerTargetError, "is not there: put it back")
    assert not synced.ledger.exists()

    await synced.sync()
    await refused(synced, plan, LedgerTargetError, "is not the ledger that the plan was made from")


async def test_an_input_that_is_gone_is_told(synced: Nights) -> None:
    plan = await withheld_plan(synced)
    synced.file.unlink()

    await refused(synced, plan, SettingsError, "its input .* is not there")


async def test_a_plan_can_not_be_narrowed_by_a_flag(synced: Nights) -> None:
    plan = await withheld_plan(synced)

    with pytest.raises(SettingsError, match="take their lines out"):
        await apply(plan, synced.settings(only=(OTHER,)), credentials=synced.keys())


async def test_an_apply_looks_at_no_more_than_its_sync(synced: Nights) -> None:
    for index in range(3):
        synced.box.console().update(OTHER, f"m{index}", alias_name="hand", desc="desc 1")
    plan = await withheld_plan(synced, settings={"only": (FULL,)})
    before = synced.mark()

    applied = await synced.apply(plan)

    assert {seen.product_key for seen in list(synced.box.seen)[before:]} == {FULL}
    assert applied.changes == {"created": 0, "updated": 3, "deleted": 0}


async def test_a_plan_of_plan_sync_is_applied_once(synced: Nights, tmp_path: Path) -> None:
    synced.write([*synced.without((FULL, "m3")), (FULL, "new", "another", "")])
    await synced.plan(tmp_path / "plan.jsonl", prune=True)

    applied = await synced.apply(tmp_path / "plan.jsonl")

    assert (applied.exit_code, applied.changes) == (0, {"created": 1, "updated": 0, "deleted": 1})
    await refused(synced, tmp_path / "plan.jsonl", SettingsError, "applied completely already")


async def test_the_first_night_can_be_planned_and_applied(nights: Nights, tmp_path: Path) -> None:
    nights.box.console().create(OTHER, "m0", alias_name="alias0", desc="desc 1")
    plan = await nights.plan(tmp_path / "plan.jsonl", adopt=True)

    applied = await nights.apply(tmp_path / "plan.jsonl")

    assert plan.planned == {"create": 17, "adopt": 1}
    assert (applied.exit_code, applied.changes) == (0, {"created": 17, "updated": 0, "deleted": 0})
    assert nights.records("owned")[OTHER, "m0"] == (1,)


async def test_what_the_input_asks_for_since_the_plan_is_left_to_the_next_sync(synced: Nights) -> None:
    plan = await withheld_plan(synced)
    synced.write([*synced.rows[1:], (THIRD, "new", "new", "")])

    applied = await synced.apply(plan)

    assert (applied.exit_code, applied.changes) == (1, {"created": 0, "updated": 2, "deleted": 0})
    assert applied.outcomes["moved"] == 1
    assert synced.modules(FULL)["m0"] == ("hand", "0")
    assert (await synced.sync()).changes == {"created": 1, "updated": 0, "deleted": 0}


@pytest.mark.parametrize("config", [{"denied": {"UpdateOTAModule"}}])
async def test_a_plan_waits_for_a_key_that_has_the_right(synced: Nights, config: dict[str, Any]) -> None:
    synced.box.console().update(FULL, "m0", alias_name="hand", desc="0")
    withheld = await synced.sync()
    assert (withheld.exit_code, withheld.plan is None) == (5, False)
    plan = Path(withheld.plan or "")

    still = await synced.apply(plan)
    config["denied"].clear()
    done = await synced.apply(plan)

    assert (still.exit_code, still.withheld) == (5, {"creates": 0, "updates": 1, "deletes": 0})
    assert (done.exit_code, done.changes) == (0, {"created": 0, "updated": 1, "deleted": 0})
    await refused(synced, plan, SettingsError, "applied completely already")


async def test_approved_changes_count_against_no_limit_of_the_night(synced: Nights) -> None:
    await synced.apply(await withheld_plan(synced))
    synced.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")

    summary = await synced.sync(max_updates=Limit(1))

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 1, "deleted": 0})


async def test_adoptions_that_wait_are_approved_like_updates(nights: Nights) -> None:
    for index in range(3):
        nights.box.console().create(OTHER, f"m{index}", alias_name=f"alias{index}", desc="desc 1")

    withheld = await nights.sync(adopt=True, max_updates=Limit(2))
    kept = nights.records("owned")
    applied = await nights.apply(Path(withheld.plan or ""))

    assert (withheld.exit_code, withheld.withheld) == (5, {"creates": 0, "updates": 3, "deletes": 0})
    assert withheld.changes == {"created": 15, "updated": 0, "deleted": 0}
    assert {kept[OTHER, f"m{index}"] for index in range(3)} == {(0,)}
    assert (applied.exit_code, applied.changes) == (0, NOTHING)
    assert set(nights.records("owned").values()) == {(1,)}
    assert [line["kind"] for line in lines_of(Path(withheld.plan or ""))[1:]] == ["adopt"] * 3


async def test_a_module_that_changed_before_its_adoption_was_approved_is_not_adopted(nights: Nights) -> None:
    nights.box.console().create(OTHER, "m0", alias_name="alias0", desc="desc 1")
    withheld = await nights.sync(adopt=True, max_updates=Limit(0))
    nights.box.console().update(OTHER, "m0", alias_name="hand", desc="desc 1")

    applied = await nights.apply(Path(withheld.plan or ""))

    assert (applied.exit_code, applied.changes, applied.outcomes["moved"]) == (1, NOTHING, 1)
    assert nights.records("owned")[OTHER, "m0"] == (0,)


async def test_a_module_that_differs_from_its_row_is_updated_and_not_adopted(nights: Nights) -> None:
    nights.box.console().create(OTHER, "m0", alias_name="theirs", desc="desc 1")
    nights.box.console().create(OTHER, "M1", alias_name="alias1", desc="desc 1")

    summary = await nights.sync(adopt=True)

    assert summary.changes == {"created": 16, "updated": 1, "deleted": 0}
    owned = nights.records("owned")
    assert (owned[OTHER, "m0"], owned[OTHER, "m1"]) == ((0,), (0,))


async def test_a_plan_of_this_moment_is_no_older_than_now(synced: Nights) -> None:
    """Its time is text that sorts, as the ledger's times are."""
    header = lines_of(await withheld_plan(synced))[0]

    assert iso_utc(time.time() - 60) < header["made_at"] <= iso_utc(time.time())
    assert (header["ledger"], header["input"]) == (str(synced.ledger), str(synced.file))
    assert len(header["input_sha256"]) == 64
