"""docs/formats.md shows files that the program itself would read, and names every key that it writes."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING

import orjson
import pytest

from bulk.engine.looking.comparison import Finding, Verdict
from bulk.engine.looking.manifest import AccountExport, Exported, as_keys, manifest_path, sources_of
from bulk.engine.sync.left_files import KEPT_FILES
from bulk.engine.sync.plan_file import read_entries, read_header, write_plan
from bulk.fleet.manifest import Manifest
from bulk.ledger.planning import ADOPT
from bulk.model import ChangeKind, Dialect, Product, Target
from bulk.rows.products.product_map import MAP_COLUMNS, read_product_map
from bulk.settings import ReadSettings
from tests.docs.conftest import ROOT, fences_of

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
PLAN, EXPORT, FLEET = [fence.text for fence in fences_of(ROOT / "docs" / "formats.md") if fence.language == "json"]
(MAP,) = [fence.text for fence in fences_of(ROOT / "docs" / "formats.md") if fence.language == "text"]


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return what is in code style in the first cells of tables, in order."""
    rows = re.findall(r"^\| (`[^|]*)\|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_the_plan_is_one_that_apply_reads_and_sync_writes(tmp_path: Path) -> None:
    shown, written = tmp_path / "shown.jsonl", tmp_path / "written.jsonl"
    shown.write_text(PLAN, encoding="utf-8")

    header, entries = read_header(shown), list(read_entries(shown, ""))
    write_plan(written, header, entries)

    assert written.read_text(encoding="utf-8") == PLAN
    assert written.stat().st_mode & 0o777 == 0o600
    assert f"The last {KEPT_FILES} plans" in section("Plan of a sync")


def test_every_key_of_a_plan_is_explained() -> None:
    head, change, *_ = [orjson.loads(line) for line in PLAN.splitlines()]
    of_head, of_change = section("Plan of a sync").split("| key of a change |")
    (kinds,) = re.findall(r"^\| `kind` \|([^|.]*)", of_change, re.MULTILINE)

    assert first_cells(of_head) == list(head)
    assert first_cells(of_change) == list(change)
    assert re.findall(r"`(\w+)`", kinds) == [*ChangeKind, ADOPT]


def test_the_manifest_of_an_export_has_the_keys_that_are_written_and_explained(tmp_path: Path) -> None:
    target = Target(Dialect.ALIBABA, "https://iot.cn-shanghai.aliyuncs.com", None)
    part = AccountExport(account="", target=target, products=2, modules=2, without_modules=["a1Plug00001"])
    part.distributed.append(Product("a1Other0001", "Other"))
    exported = Exported(
        path="export.csv", sha256="", bytes=117, began_at=0.0, ended_at=0.0, products_of="all", accounts=(part,)
    )
    shown, written = orjson.loads(EXPORT), orjson.loads(orjson.dumps(as_keys(exported)))
    (shown_account,), (written_account,) = shown["accounts"], written["accounts"]
    manifest_path(tmp_path / "export.csv").write_text(EXPORT, encoding="utf-8")

    assert list(shown) == list(written)
    assert list(shown_account) == list(written_account)
    assert shown_account["target"] == written_account["target"]
    assert set(first_cells(section("Manifest of an export"))) >= (set(shown) | set(shown_account)) - {"account"}
    assert sources_of(tmp_path / "export.csv") == {"": shown_account["target"]}


def test_the_map_is_one_that_a_run_reads(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(MAP, encoding="utf-8")

    read = read_product_map(str(path), ReadSettings())

    assert MAP.splitlines()[0].split(",") == [*MAP_COLUMNS] == first_cells(section("Product map"))
    assert len(read.by_product) == 1


def test_the_columns_and_verdicts_of_a_check_are_explained() -> None:
    text = section("Findings of a check")
    (verdicts,) = re.findall(r"^\| `verdict` \|([^|]*)\|", text, re.MULTILINE)

    assert first_cells(text) == [*Finding._fields]
    assert re.findall(r"`(\w+)`:", verdicts) == [*Verdict]


def test_the_manifest_of_a_fleet_is_one_that_workers_read() -> None:
    manifest = Manifest.decoded(FLEET.encode())

    assert orjson.loads(manifest.encoded()) == orjson.loads(FLEET)
    assert first_cells(section("Store of a fleet")) == [field.name for field in fields(Manifest)]


@pytest.mark.parametrize("word", ["secret", "token"])
def test_no_shown_file_has_a_secret(word: str) -> None:
    assert not any(word in text for text in (PLAN, EXPORT, FLEET, MAP))
