"""docs/nightly.md, from the first night to the lost ledger, against a sandbox of its own."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bulk.control.reconcile import Kept, Withheld
from bulk.engine.sync.plan_file import read_entries, read_header, write_plan
from bulk.ledger.times import iso_utc
from tests.docs.conftest import ROOT, Desk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.docs.conftest import Fence

PRODUCTS = [f"a1Prod{number:05d}" for number in range(10)]
ROWS = [(product, f"m{number}", f"主控{number}", "") for product in PRODUCTS for number in range(6)]
BY_HAND = ROWS[:30]
"""Made before the first night, more than a sync adopts unasked."""

FOREIGN = ("a1Prod00000", "made-by-hand", "", "")
LEDGER = "/var/lib/bulk/modules.db"


@pytest.fixture
def night_desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk at which nothing has been synced yet, and a platform on which half of the modules are."""
    folder = tmp_path / "desk"
    for place in ("srv/bulk", "var/lib/bulk/metrics", "var/log/bulk"):
        (folder / place).mkdir(parents=True)
    write(folder / "srv/bulk/modules.csv", ROWS)
    names = ("product_key", "module_name", "alias_name", "desc")
    world = {
        "products": [{"product_key": key, "product_name": key} for key in PRODUCTS],
        "modules": [{name: text for name, text in zip(names, row, strict=True) if text} for row in (*BY_HAND, FOREIGN)],
    }
    (tmp_path / "world.json").write_text(json.dumps(world), encoding="utf-8")
    command = [sys.executable, "-m", "bulk", "sandbox", "--qps", "0", "--list-qps", "0", "--world", "world.json"]
    with subprocess.Popen(
        [*command, "--state", "cloud.jsonl"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as serving:
        assert serving.stdout is not None
        told = [serving.stdout.readline() for _ in range(3)]
        desk = Desk(folder, dict(line.removeprefix("export ").strip().split("=", 1) for line in told))
        yield desk
        desk.close()
        serving.terminate()


def write(path: Path, rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("ProductKey", "ModuleName", "AliasName", "Desc"), *rows])


def on_platform(desk: Desk) -> set[tuple[str, ...]]:
    lines, _ = desk.run("bulk sandbox --state ../cloud.jsonl --dump")
    return {
        tuple(module.get(name) or "" for name in ("product_key", "module_name", "alias_name", "desc"))
        for module in json.loads("\n".join(lines))["modules"]
        if module["module_name"] != "default"
    }


def age(plan: Path, hours: float) -> None:
    """Let a plan be older than it is, as if it had been written then."""
    header, entries = read_header(plan), list(read_entries(plan, ""))
    made_at = datetime.fromisoformat(header.made_at) - timedelta(hours=hours)
    write_plan(plan, replace(header, made_at=iso_utc(made_at.timestamp())), entries)


@pytest.fixture
def blocks(fences: list[Fence]) -> list[list[str]]:
    """Return the commands of the page, a block after the other."""
    return [
        fence.text.replace("\\\n", "").splitlines()
        for fence in fences
        if fence.page == "nightly.md" and fence.language == "bash"
    ]


def test_the_page_works_from_the_first_night_to_the_lost_ledger(
    blocks: list[list[str]], fences: list[Fence], night_desk: Desk
) -> None:
    desk, modules = night_desk, night_desk.folder / "srv/bulk/modules.csv"
    without_m5 = [row for row in ROWS if row[1] != "m5"]
    without_m4 = [row for row in without_m5 if row[1] != "m4"]
    first_night, morning, weekend, (restore,), (undo_file,), backup = blocks
    (unit,) = [fence.text for fence in fences if "bulk.service.d" in fence.text]
    nightly = unit.replace("\\\n", " ").rpartition("ExecStart=")[2].strip()

    # The first night: what was there is adopted, once it is approved; the rest is created.
    assert [desk.run(command)[1] for command in first_night] == [5, 0, 0]
    assert on_platform(desk) == {*ROWS, FOREIGN}

    # A quiet night, then one whose file has lost more than a night may bring.
    assert desk.run(nightly)[1] == 0
    write(modules, without_m5)
    printed, exit_code = desk.run(nightly)
    assert exit_code == 5
    assert on_platform(desk) == {*ROWS, FOREIGN}

    # The morning: the command that status prints is the page's, and works as it was pasted.
    status, report, apply = morning
    shown, _ = desk.run(status)
    (offered,) = [line.strip() for line in shown if line.startswith("  bulk apply ")]
    plan = desk.folder / re.findall(r"\S+\.plan-\S+\.jsonl", offered)[0].lstrip("/")
    assert plan.stat().st_mode & 0o777 == 0o600
    assert any(offered in line for line in printed)
    assert apply.startswith(re.sub(r"plan-[0-9a-f]{12}", "plan-0123456789ab", offered))
    assert desk.run(report)[1] == 0
    assert desk.run(apply.replace("0123456789ab", plan_id(plan)))[1] == 0
    assert on_platform(desk) == {*without_m5, FOREIGN}
    assert "bulk_last_converged_timestamp_seconds" in (desk.folder / "var/lib/bulk/metrics/modules.prom").read_text()

    # A weekend later a plan is too old, unless you say that it isn't.
    write(modules, without_m4)
    assert desk.run(nightly)[1] == 5
    (late,) = [found for found in plan.parent.glob("modules.db.plan-*.jsonl") if found != plan]
    age(late, hours=60)
    (apply_late,) = weekend
    apply_late = apply_late.replace("0123456789ab", plan_id(late))
    refused, exit_code = desk.run(apply_late.replace(" --max-age 72h", ""))
    assert exit_code == 2
    assert "60 hours old" in " ".join(refused)
    applied, exit_code = desk.run(apply_late)
    assert exit_code == 0, applied
    assert on_platform(desk) == {*without_m4, FOREIGN}

    # Undo: what the last run deleted is back, by the command that it printed, which is the page's.
    restore = re.sub("0123456789ab", re.findall(r"undo-(\w+)\.csv", "\n".join(applied))[0], restore)
    assert f"  {restore}" in applied
    assert desk.run(undo_file)[1] == 0
    assert desk.run(restore)[1] == 0
    assert on_platform(desk) == {*without_m5, FOREIGN}

    # A lost ledger owns nothing.
    copy, look = backup
    assert desk.run(copy)[1] == 0
    for part in plan.parent.glob("modules.db*"):
        part.unlink()
    lines, exit_code = desk.run(look)
    assert exit_code == 0
    assert not any("to delete" in line for line in lines)
    assert (desk.run(nightly)[1], on_platform(desk)) == (0, {*without_m5, FOREIGN})


def plan_id(plan: Path) -> str:
    return plan.name.partition(".plan-")[2].removesuffix(".jsonl")


@pytest.mark.parametrize(("heading", "reasons"), [("withheld because", Withheld), ("reason", Kept)])
def test_every_reason_is_in_its_table(heading: str, reasons: type[Withheld | Kept]) -> None:
    page = (ROOT / "docs/nightly.md").read_text(encoding="utf-8")
    table = page.partition(f"| {heading} |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1] if row else "")}

    assert named == set(map(str, reasons))
