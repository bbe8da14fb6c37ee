"""The README's three uses work as they are written: each is a situation, and its three commands.

The migration needs two platforms, so tests/docs/test_migration.py tries it.
"""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING

from tests.docs.conftest import ROOT, fences_of

if TYPE_CHECKING:
    from tests.docs.conftest import Desk

__all__ = ["MIGRATE", "ONBOARD", "SYNC"]

ONBOARD, MIGRATE, SYNC = (
    [line.partition(" #")[0].strip() for line in fence.text.splitlines()]
    for fence in fences_of(ROOT / "README.md")
    if fence.language == "bash"
)
"""The commands of each use, without their comments."""

FIRST_ROWS = 1 + 40
"""Of the samples, with the header: fewer by more than a twentieth than the whole file has."""


def outcomes(desk: Desk, ledger: str) -> list[str]:
    printed, exit_code = desk.run(f"bulk results {ledger}")
    assert exit_code == 0, printed
    return [row["outcome"] for row in csv.DictReader(printed)]


def test_each_use_has_three_commands() -> None:
    assert [len(ONBOARD), len(MIGRATE), len(SYNC)] == [3, 3, 3]


def test_onboarding_creates_every_module_of_every_product(desk: Desk) -> None:
    for name, sample in (("products.csv", "products.csv"), ("set.csv", "modules.csv")):
        shutil.copy(ROOT / "samples" / "onboarding" / sample, desk.folder / name)

    ends = [desk.run(command) for command in ONBOARD]

    assert [exit_code for _, exit_code in ends] == [0, 0, 0], ends
    assert set(outcomes(desk, "input.csv.ledger.db")) <= {"created", "exists"}
    assert len(outcomes(desk, "input.csv.ledger.db")) == 9


def test_a_nightly_sync_withholds_what_a_shrunken_file_deletes_until_it_is_approved(desk: Desk) -> None:
    whole = (desk.folder / "modules.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    plan, sync, apply = SYNC
    _, before = desk.run(f"{sync} --adopt --max-updates 100%")
    (desk.folder / "modules.csv").write_text("".join(whole[:-FIRST_ROWS]), encoding="utf-8")

    _, planned = desk.run(plan)
    printed, synced = desk.run(sync)
    _, applied = desk.run(apply.replace("PLAN", next(line.split()[-1] for line in printed if "Read it:" in line)))

    assert before == 1, "some rows of the samples can't be provisioned"
    assert (planned, synced) == (5, 5)
    assert applied == 1
