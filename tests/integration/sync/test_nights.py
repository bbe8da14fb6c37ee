"""Nights of a sync: drift is put right, what left the file goes, and nothing else is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.cloud import paging
from bulk.errors import InputError, SettingsError
from tests.integration.sync.conftest import EVERYTHING_GOES
from tests.nights import FULL, OTHER, THIRD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sync.conftest import Nights

WRITES = {"CreateOTAModule", "UpdateOTAModule", "DeleteOTAModule"}


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_the_first_night_creates_and_the_second_sends_listings_only(nights: Nights) -> None:
    first = await nights.sync(detailed=True)
    before, records = nights.mark(), nights.records("outcome, settled_at, run_id")

    second = await nights.sync(detailed=True)

    assert (first.exit_code, first.changes) == (6, {"created": 18, "updated": 0, "deleted": 0})
    assert (second.exit_code, second.outcomes["created"]) == (0, 18)
    assert nights.sent(before) == {"ListOTAModuleByProduct": 3}
    assert nights.records("outcome, settled_at, run_id") == records


async def test_drift_is_put_right_and_a_field_that_a_row_leaves_out_is_kept(nights: Nights) -> None:
    nights.write([(OTHER, "a", "wanted", ""), (OTHER, "b", "", "wanted")])
    await nights.sync()
    nights.box.console().update(OTHER, "a", alias_name="by hand", desc="by hand")
    nights.box.console().update(OTHER, "b", alias_name="by hand", desc="wanted")

    summary = await nights.sync()

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 1, "deleted": 0})
    assert nights.modules(OTHER) == {"a": ("wanted", "by hand"), "b": ("by hand", "wanted")}
    assert summary.outcomes["updated"] == 1


async def test_nothing_is_written_before_everything_was_looked_at(nights: Nights) -> None:
    await nights.sync()

    actions = [seen.action for seen in nights.box.seen]
    looked = [seen.product_key for seen in nights.box.seen][: next(i for i, a in enumerate(actions) if a in WRITES)]
    assert set(looked) == {FULL, OTHER, THIRD}


@pytest.mark.parametrize(
    "broken", [b"ProductKey,ModuleName,AliasName\na1Prod00000,m0,\xc4\xa3\xbf\xe9\n", b"", b"no,header,here\n1,2,3\n"]
)
async def test_an_input_that_can_not_be_read_changes_nothing_at_all(synced: Nights, broken: bytes) -> None:
    before, records = synced.mark(), synced.records("outcome, owned, settled_at")
    synced.file.write_bytes(broken)

    with pytest.raises((InputError, SettingsError)):
        await synced.sync(prune=True, **EVERYTHING_GOES)

    assert synced.mark() == before
    assert synced.records("outcome, owned, settled_at") == records


async def test_an_undone_update_counts_once_a_night(synced: Nights) -> None:
    for _ in range(5):
        synced.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await synced.sync()

    assert (summary.changes or {})["updated"] == 1
    assert synced.records("undone")[OTHER, "m0"] == (1,)


async def test_an_update_that_was_left_alone_for_a_night_begins_anew(
    synced: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sync.look.SENT_SPAN_S", -1.0)
    for undoes in (True, True, True, False, True, True):
        if undoes:
            synced.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await synced.sync()

    assert (summary.changes or {})["updated"] == 1


@pytest.mark.parametrize("ours", [True, False])
async def test_a_package_of_an_unnamed_module_keeps_every_module_of_its_product(
    synced: Nights, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package of which nobody can tell whose it is may be that of any module."""
    synced.box.console().add_package(OTHER, "m0" if ours else "m3")
    read = paging._read_package
    monkeypatch.setattr(paging, "_read_package", lambda *args: read(*args)._replace(module_name=None))
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "another", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.surplus) == (0, 1)
    assert "m0" in synced.modules(OTHER)


async def test_letter_case_alone_stays_drifted(synced: Nights) -> None:
    synced.write([(row[0], row[1].upper(), *row[2:]) for row in synced.rows])
    before = synced.mark()

    summary = await synced.sync()

    assert (summary.exit_code, summary.outcomes["drifted"]) == (1, 18)
    assert synced.written(before) == 0


async def test_what_left_the_file_stays_until_a_sync_prunes(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "another", "")])

    kept = await synced.sync()
    gone = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (kept.exit_code, kept.surplus, kept.changes) == (0, 1, {"created": 1, "updated": 0, "deleted": 0})
    assert (gone.exit_code, gone.surplus, gone.changes) == (0, 0, {"created": 0, "updated": 0, "deleted": 1})


async def test_a_module_of_ours_that_left_the_file_is_deleted(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "another", "")])
    before = synced.mark()

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.changes) == (0, {"created": 1, "updated": 0, "deleted": 1})
    assert "m0" not in synced.modules(OTHER)
    assert synced.sent(before)["ListOTAFirmware"] == 2, "in the look, and again before the first delete"
    assert summary.absent == 0
    assert synced.records("outcome, owned")[OTHER, "m0"] == ("deleted", 0)


async def test_a_full_product_swaps_a_module_for_another(synced: Nights) -> None:
    synced.write([*synced.without((FULL, "m3")), (FULL, "new", "another", "")])

    summary = await synced.sync(prune=True)

    assert (summary.exit_code, summary.changes) == (0, {"created": 1, "updated": 0, "deleted": 1})
    assert synced.modules(FULL).keys() == {f"m{index}" for index in range(10) if index != 3} | {"new"}
    assert "iot.ota.CreateOTAModuleExceedLimit" not in synced.box.codes


@pytest.mark.parametrize(
    ("name", "texts", "kept"),
    [("theirs", ("x", "y"), None), ("m0", ("by hand", "desc 1"), "changed"), ("m0", ("alias0", ""), "changed")],
)
async def test_what_is_not_ours_or_was_changed_by_hand_is_never_deleted(
    synced: Nights, name: str, texts: tuple[str, str], kept: str | None
) -> None:
    alias, desc = texts
    if name == "theirs":
        synced.box.console().create(OTHER, name, alias_name=alias, desc=desc)
    else:
        synced.box.console().update(OTHER, name, alias_name=alias, desc=desc or None)
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])
    before = synced.mark()

    summary = await synced.sync(prune=True)

    assert summary.exit_code == 0
    assert synced.modules(OTHER)[name] == texts
    assert synced.sent(before)["DeleteOTAModule"] == (kept is None)
    if kept:
        assert synced.records()[OTHER, "m0"] == ("surplus", kept)


async def test_a_module_that_a_run_found_is_not_ours(nights: Nights) -> None:
    nights.box.console().create(OTHER, "found", alias_name="f", desc="f")
    nights.write([*nights.rows, (OTHER, "found", "f", "f")])
    await nights.sync()
    nights.write([row for row in nights.rows if row[1] != "found"])

    summary = await nights.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.surplus) == (0, 0)
    assert "found" in nights.modules(OTHER)


async def test_adopted_modules_are_ours(nights: Nights) -> None:
    nights.box.console().create(OTHER, "found", alias_name="f", desc="f")
    nights.write([*nights.rows, (OTHER, "found", "f", "f")])
    await nights.sync(adopt=True)
    nights.write([*(row for row in nights.rows if row[1] != "found"), (THIRD, "n", "n", "")])

    summary = await nights.sync(prune=True, **EVERYTHING_GOES)

    assert summary.changes == {"created": 1, "updated": 0, "deleted": 1}
    assert "found" not in nights.modules(OTHER)


async def test_a_lost_ledger_owns_nothing(synced: Nights) -> None:
    synced.ledger.unlink()
    synced.write(synced.without((OTHER, "m0"), (OTHER, "m1")))

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.changes) == (0, {"created": 0, "updated": 0, "deleted": 0})


async def test_a_module_that_was_gone_once_is_not_ours_when_somebody_makes_it_again(synced: Nights) -> None:
    synced.box.console().delete(OTHER, "m0")
    synced.write(synced.without((OTHER, "m0")))
    await synced.sync()
    synced.box.console().create(OTHER, "m0", alias_name="alias0", desc="desc 1")

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert summary.changes == {"created": 0, "updated": 0, "deleted": 0}
    assert "m0" in synced.modules(OTHER)


async def test_a_module_with_a_package_stays_and_is_no_failure(synced: Nights) -> None:
    synced.box.console().add_package(OTHER, "M0")
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "another", "")])
    before = synced.mark()

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.surplus) == (0, 1)
    assert synced.records()[OTHER, "m0"] == ("surplus", "package")
    assert synced.sent(before)["DeleteOTAModule"] == 0


@pytest.mark.parametrize("config", [{"denied": frozenset({"ListOTAFirmware"})}])
async def test_nothing_is_deleted_where_packages_can_not_be_listed(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "new", "another", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.changes) == (0, {"created": 1, "updated": 0, "deleted": 0})
    assert synced.records()[OTHER, "m0"] == ("surplus", "packages_unknown")


async def test_a_product_that_left_the_file_whole_is_left_alone_unless_it_is_named(synced: Nights) -> None:
    synced.write([*(row for row in synced.rows if row[0] != THIRD), *((OTHER, f"n{i}", "", "") for i in range(5))])

    kept = await synced.sync(prune=True, **EVERYTHING_GOES)
    assert (kept.exit_code, kept.surplus) == (0, 4)
    assert {synced.records()[THIRD, f"m{index}"] for index in range(4)} == {("surplus", "product_gone")}
    named = await synced.sync(prune=True, prune_products=(THIRD,), **EVERYTHING_GOES)

    assert (named.exit_code, named.withheld) == (5, {"creates": 0, "updates": 0, "deletes": 4}), "it would be empty"


@pytest.mark.parametrize("narrowed", [{"only": ("a1Prod00000",)}, {"limit": 1}])
async def test_narrowing_never_makes_surplus(synced: Nights, narrowed: dict[str, Any]) -> None:
    synced.write([*synced.without((OTHER, "m0")), (FULL, "m9", "", "")][:-1])

    summary = await synced.sync(settings=narrowed, prune=True, **EVERYTHING_GOES)

    assert (summary.surplus, summary.changes) == (0, {"created": 0, "updated": 0, "deleted": 0})


@pytest.mark.parametrize("narrowed", [{"only": ("a1Prod00000",)}, {"limit": 1}])
async def test_a_narrowed_sync_looks_at_its_products_alone_and_counts_no_other_as_surplus(
    synced: Nights, narrowed: dict[str, Any]
) -> None:
    synced.write([row for row in synced.rows if row[0] != THIRD])
    before = synced.mark()

    summary = await synced.sync(settings=narrowed, prune=True, **EVERYTHING_GOES)

    assert {seen.product_key for seen in list(synced.box.seen)[before:]} == {FULL}
    assert (summary.surplus, synced.records()[THIRD, "m0"]) == (0, ("created", None))


@pytest.mark.parametrize(
    ("line", "deletes"),
    [
        ("a1Prod00001,m0 is spoiled !!,x,y", {THIRD: 1}),
        (" ,m0,x,y", {}),
        ("a1Prod0000X,bad name !,x,y", {}),
    ],
)
async def test_an_invalid_row_keeps_what_it_may_stand_for(synced: Nights, line: str, deletes: dict[str, int]) -> None:
    rows = [*synced.without((OTHER, "m0"), (THIRD, "m0")), (OTHER, "n", "n", ""), (THIRD, "n", "n", "")]
    synced.write(rows, line)

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert summary.exit_code == 1
    gone = {key: 1 for key in (OTHER, THIRD) if "m0" not in synced.modules(key)}
    assert gone == deletes


@pytest.mark.parametrize("config", [{"products": frozenset({FULL, OTHER, THIRD})}])
async def test_a_product_that_can_not_be_listed_keeps_everything(synced: Nights) -> None:
    synced.write([*synced.without((OTHER, "m0")), (OTHER, "n", "n", "")])
    synced.box.console().drop_product(OTHER)
    before = synced.mark()

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (summary.exit_code, summary.outcomes["failed"]) == (1, 4)
    assert synced.written(before) == 0


async def test_another_file_is_refused_and_the_ledger_is_as_it_was(synced: Nights) -> None:
    before, records = synced.mark(), synced.records()
    synced.write([(f"a1Else{number:05d}", "m0", "", "") for number in range(20)])

    with pytest.raises(InputError, match="looks like another file"):
        await synced.sync(prune=True)

    assert synced.sent(before) == {}
    assert synced.records() == records


async def test_the_file_of_another_job_is_refused_after_runs_alone(nights: Nights) -> None:
    await nights.run()
    nights.write([(f"a1Else{number:05d}", "m0", "", "") for number in range(20)])

    with pytest.raises(InputError, match="looks like another file"):
        await nights.sync(prune=True)


async def test_a_file_without_rows_is_refused(synced: Nights) -> None:
    synced.write([])

    with pytest.raises(InputError, match="no valid row"):
        await synced.sync(prune=True)


async def test_an_update_that_is_undone_every_night_is_given_up(
    synced: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.engine.sync.look.SENT_SPAN_S", -1.0)
    outcomes = []
    for _ in range(5):
        synced.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
        summary = await synced.sync()
        outcomes.append((summary.changes or {})["updated"])

    assert outcomes == [1, 1, 1, 0, 0]
    assert synced.records()[OTHER, "m0"] == ("drifted", "contested")
    assert summary.figures[""].contested == 1


async def test_prune_product_needs_prune(synced: Nights) -> None:
    with pytest.raises(SettingsError, match="prune_products deletes only together with prune"):
        await synced.sync(prune_products=(OTHER,))


async def test_a_plan_changes_nothing(synced: Nights, tmp_path: Path) -> None:
    synced.write([*synced.without((FULL, "m3")), (FULL, "new", "another", "")])
    synced.box.console().update(OTHER, "m0", alias_name="by hand", desc="desc 1")
    before, records = synced.mark(), synced.records("outcome, code, owned, settled_at")

    plan = await synced.plan(tmp_path / "plan.jsonl", prune=True)

    assert (plan.exit_code, plan.planned) == (0, {"create": 1, "delete": 1, "update": 1})
    assert synced.written(before) == 0
    assert synced.records("outcome, code, owned, settled_at") == records
    assert mode_of(tmp_path / "plan.jsonl") == 0o600


async def test_a_module_of_ours_whose_texts_another_wrote_is_adopted_with_them(synced: Nights) -> None:
    synced.box.console().update(OTHER, "m0", alias_name="theirs", desc="desc 1")
    synced.write([(OTHER, "m0", "theirs", "desc 1") if row[:2] == (OTHER, "m0") else row for row in synced.rows])

    plan = await synced.plan(adopt=True)
    await synced.sync(adopt=True)
    synced.write([*synced.without((OTHER, "m0")), (THIRD, "n", "n", "")])
    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert plan.planned == {"adopt": 1}
    assert summary.changes == {"created": 1, "updated": 0, "deleted": 1}


async def test_a_module_that_a_listing_did_not_show_is_ours_no_more_though_its_create_waits(synced: Nights) -> None:
    twins = {(OTHER, "m0"), (OTHER, "m1")}
    same = [(row[0], row[1], "same", "same") if row[:2] in twins else row for row in synced.rows]
    synced.write(same)
    await synced.sync()
    synced.box.console().delete(OTHER, "m0")
    synced.write([*(row for row in same if row[:2] != (OTHER, "m1")), (THIRD, "n0", "n0", "")])
    waits = await synced.sync(prune=True)
    synced.box.console().create(OTHER, "m0", alias_name="same", desc="same")
    synced.write([*(row for row in same if row[:2] != (OTHER, "m0")), (THIRD, "n0", "n0", "")])

    summary = await synced.sync(prune=True, **EVERYTHING_GOES)

    assert (waits.exit_code, waits.withheld) == (5, {"creates": 1, "updates": 0, "deletes": 1})
    assert (summary.exit_code, (summary.changes or {})["deleted"]) == (0, 0)
    assert "m0" in synced.modules(OTHER)
