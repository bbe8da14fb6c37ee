"""A night of `bulk sync`, what it withholds, and the `bulk apply` that its screen prints."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main

if TYPE_CHECKING:
    from collections.abc import Callable

PRODUCT = "a1Lamp00001"


@pytest.fixture
def box(make_platform: Callable[..., Any]) -> Any:
    """Return a platform where three modules are as the file says, made by this ledger."""
    box = make_platform()
    box.fill([(PRODUCT,)])
    write(*(f"{PRODUCT},m{number},alias{number}" for number in range(3)))
    assert main(["sync", "m.csv"]) == 0
    return box


def write(*rows: str) -> None:
    Path("m.csv").write_text("\n".join(("ProductKey,ModuleName,AliasName", *rows, "")), encoding="utf-8")


def printed_command(screen: str, label: str) -> list[str]:
    (line,) = [line for line in screen.splitlines() if line.strip().startswith(label)]
    return shlex.split(line.partition(label)[2])[1:]


def change_all(box: Any) -> None:
    for number in range(3):
        box.console().update(PRODUCT, f"m{number}", alias_name="by hand", desc="")


@pytest.mark.parametrize(("flags", "exit_code"), [((), 0), (("--detailed-exitcode",), 6)])
def test_update_is_made_and_the_exit_code_tells_it_where_you_ask(
    box: Any, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], exit_code: int
) -> None:
    change_all(box)

    assert main(["sync", "m.csv", *flags]) == exit_code

    assert box.texts(PRODUCT)["m0"] == ("alias0", "")
    assert "Go on" not in capsys.readouterr().out


def test_what_is_withheld_is_done_by_the_command_that_the_screen_prints(
    box: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    change_all(box)
    capsys.readouterr()

    assert main(["sync", "m.csv", "--max-updates", "0"]) == 5
    approve = printed_command(capsys.readouterr().out, "Approve it:")
    assert box.texts(PRODUCT)["m0"] == ("by hand", "")
    assert approve[0] == "apply"
    assert main(approve) == 0

    assert box.texts(PRODUCT) == {f"m{number}": (f"alias{number}", "") for number in range(3)}
    assert "Approve" not in capsys.readouterr().out


def test_json_of_sync_and_of_apply_tells_what_waits_and_then_what_was_done(
    box: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    change_all(box)
    capsys.readouterr()

    main(["sync", "m.csv", "--max-updates", "0", "--json"])
    waiting = json.loads(capsys.readouterr().out)
    main(["apply", waiting["plan"], "--json"])

    done = json.loads(capsys.readouterr().out)
    assert (waiting["exit_code"], waiting["withheld"]["updates"], waiting["resume"]) == (5, 3, None)
    assert (done["exit_code"], done["changes"]["updated"], done["resume"]) == (0, 3, None)


@pytest.mark.usefixtures("box")
@pytest.mark.parametrize("flags", [(), ("--only", "a1*"), ("--limit=3",)])
def test_sync_that_could_not_finish_prints_the_command_for_the_whole_job(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    write(f"{PRODUCT},m0,alias0", f"{PRODUCT},not one,")
    capsys.readouterr()

    assert main(["sync", "m.csv", *flags, "--json"]) == 1

    assert shlex.split(json.loads(capsys.readouterr().out)["resume"])[1:] == ["sync", "m.csv", "--json"]


def test_plan_that_is_too_old_is_refused_by_the_name_of_the_flag(box: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change_all(box)
    main(["sync", "m.csv", "--max-updates", "0", "--json"])
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])["plan"]
    before = len(box.seen)

    assert main(["apply", plan, "--max-age", "0.001s"]) == 2

    assert "--max-age" in capsys.readouterr().err
    assert len(box.seen) == before


def test_plan_shows_what_a_run_would_create_and_creates_nothing(box: Any, capsys: pytest.CaptureFixture[str]) -> None:
    write(f"{PRODUCT},m0,alias0", f"{PRODUCT},new,")
    before = len(box.seen)
    capsys.readouterr()

    assert main(["plan", "m.csv"]) == 0

    assert "1  to create" in capsys.readouterr().out
    assert set(box.actions(before)) == {"ListOTAModuleByProduct"}


@pytest.mark.parametrize("output", [None, "plan.jsonl"])
def test_plan_of_a_sync_is_written_only_where_you_name_a_file(
    box: Any, capsys: pytest.CaptureFixture[str], output: str | None
) -> None:
    change_all(box)
    capsys.readouterr()

    assert main(["plan", "m.csv", "--sync", *(("-o", output) if output else ())]) == 0

    screen = capsys.readouterr().out
    assert "3  to update" in screen
    assert Path("plan.jsonl").exists() == bool(output)
    if output:
        assert main(printed_command(screen, "Carry it out:")) == 0
    assert box.texts(PRODUCT)["m0"] == (("alias0", "") if output else ("by hand", ""))


@pytest.mark.usefixtures("box")
def test_plan_without_a_change_offers_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert main(["plan", "m.csv", "--sync", "-o", "plan.jsonl"]) == 0

    assert "bulk apply" not in capsys.readouterr().out


def test_plan_of_a_sync_as_json_is_one_object(box: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change_all(box)
    capsys.readouterr()

    main(["plan", "m.csv", "--sync", "--json"])

    assert json.loads(capsys.readouterr().out)["planned"]["update"] == 3


def test_plan_whose_folder_is_missing_is_refused(box: Any, capsys: pytest.CaptureFixture[str]) -> None:
    change_all(box)

    assert main(["plan", "m.csv", "--sync", "-o", "no/plan.jsonl"]) == 2

    assert "no/plan.jsonl: it can't be written (No such file or directory" in capsys.readouterr().err


def test_plan_of_a_sync_that_contradicts_itself_is_refused_by_its_flags(
    box: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(box.seen)

    assert main(["plan", "m.csv", "--sync", "--prune-product", PRODUCT]) == 2

    assert "--prune-product deletes only together with --prune" in capsys.readouterr().err
    assert len(box.seen) == before


@pytest.mark.parametrize(("changed", "more"), [(5, []), (7, ["  and 2 more such fields"])])
def test_undo_file_names_what_it_can_not_restore_and_its_command_restores_the_rest(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str], changed: int, more: list[str]
) -> None:
    box = make_platform()
    box.fill([(PRODUCT, "alias", "was"), *((PRODUCT, f"m{number}") for number in range(changed))])
    write(f"{PRODUCT},alias,now", *(f"{PRODUCT},m{number},now" for number in range(changed)))
    assert main(["sync", "m.csv", "--adopt", "--max-updates", "100%"]) == 0
    capsys.readouterr()

    assert main(["results", "m.csv.ledger.db", "--undo-file", "undo.csv"]) == 0

    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert said.out == ""
    assert lines[0].startswith(f"{changed + 1} modules as they were before run ")
    assert len([line for line in lines if line.startswith("  was empty, and a blank cell")]) == 5
    assert [line for line in lines if line.endswith("more such fields")] == more
    assert main(shlex.split(lines[-1])[1:]) == 0
    assert box.texts(PRODUCT)["alias"] == ("was", "")


def test_undo_of_one_module_is_told_in_the_singular(box: Any, capsys: pytest.CaptureFixture[str]) -> None:
    box.console().update(PRODUCT, "m0", alias_name="by hand", desc="")
    main(["sync", "m.csv"])
    capsys.readouterr()

    main(["results", "m.csv.ledger.db", "--undo-file", "undo.csv", "-o", "out.csv"])

    assert capsys.readouterr().err.startswith("1 module as it was before run ")
    assert Path("out.csv").exists()


@pytest.fixture
def prune(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, str]]]:
    """Return what deletes what left the file, as you approve, and reads what results say after the rows."""

    def approved(name: str, *flags: str) -> list[dict[str, str]]:
        capsys.readouterr()
        assert main(["sync", name, "--prune", "--json", *flags]) == 5
        plan = json.loads(capsys.readouterr().out)["plan"]
        assert main(["apply", plan, *flags]) == 0
        assert main(["results", f"{name}.ledger.db", "-o", "out.csv"]) == 0
        with Path("out.csv").open(encoding="utf-8", newline="") as file:
            return [record for record in csv.DictReader(file) if not record["line"]]

    return approved


@pytest.mark.usefixtures("box")
def test_module_that_was_deleted_is_in_the_results_in_the_inputs_own_columns(
    prune: Callable[..., list[dict[str, str]]],
) -> None:
    write(f"{PRODUCT},m0,alias0", f"{PRODUCT},m1,alias1")

    (record,) = prune("m.csv")

    assert (record["ProductKey"], record["ModuleName"], record["AliasName"]) == (PRODUCT, "m2", "alias2")
    assert record["outcome"] == "deleted"


def test_module_that_was_deleted_is_in_the_results_of_an_input_of_objects(
    make_platform: Callable[..., Any], prune: Callable[..., list[dict[str, str]]]
) -> None:
    make_platform().fill([(PRODUCT,)])
    lines = [f'{{"product_key":"{PRODUCT}","name":"m{number}","alias":"alias{number}"}}\n' for number in range(3)]
    Path("m.jsonl").write_text("".join(lines), encoding="utf-8")
    mapped = ("--map", "ModuleName=name")
    assert main(["sync", "m.jsonl", *mapped]) == 0
    Path("m.jsonl").write_text("".join(lines[:2]), encoding="utf-8")

    (record,) = prune("m.jsonl", *mapped)

    assert (record["product_key"], record["name"], record["alias"]) == (PRODUCT, "m2", "alias2")


def test_module_that_was_deleted_has_the_products_own_key_where_a_map_gave_it_the_targets(
    make_platform: Callable[..., Any], prune: Callable[..., list[dict[str, str]]]
) -> None:
    box = make_platform()
    box.fill([("target00001",)])
    Path("map.csv").write_text(
        f"ProductKey,TargetProductKey,Target\n{PRODUCT},target00001,{box.endpoint} (alibaba)\n", encoding="utf-8"
    )
    mapped = ("--product-map", "map.csv")
    write(*(f"{PRODUCT},m{number},alias{number}" for number in range(3)))
    assert main(["sync", "m.csv", *mapped]) == 0
    write(f"{PRODUCT},m0,alias0", f"{PRODUCT},m1,alias1")

    (record,) = prune("m.csv", *mapped)

    assert (record["ProductKey"], record["ModuleName"]) == (PRODUCT, "m2")
    assert set(box.texts("target00001")) == {"m0", "m1"}
