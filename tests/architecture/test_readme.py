"""The README and what it links to say what the program does."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections import Counter
from pathlib import Path

import click
import pytest

from bulk.cli.app import COMMANDS, app
from bulk.engine.sessions.connect import ledger_path, sandbox_states
from bulk.ledger.storage.files import lock_of, log_of
from bulk.model import PROVISIONED_OUTCOMES, ROW_OUTCOMES
from bulk.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OUTSIDE = ("https://", "mailto:")


def written_pages() -> list[Path]:
    """Return every page in Markdown that is part of the project, wherever it is."""
    told = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        capture_output=True,
        text=True,
        check=False,
    )
    pages = [ROOT / name for name in told.stdout.splitlines()]
    return sorted({*PAGES, *(page for page in pages if page.exists())})


def section(page: str, heading: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def first_cells(table: str) -> list[str]:
    return [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("| ")][1:]


def prose(page: Path) -> str:
    """Return a page without its blocks of code, in which a bracket or a number sign means something else."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return where a link into a page may lead, as GitHub calls its headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def test_the_table_of_outcomes_is_complete_and_says_which_are_final() -> None:
    rows = [row for row in section("README.md", "What becomes of a row").splitlines() if row.startswith("| `")]
    final = {name for row in rows if "| yes |" in row for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}

    assert named == set(ROW_OUTCOMES)
    assert final == PROVISIONED_OUTCOMES


def test_the_table_of_exit_codes_is_that_of_the_help() -> None:
    epilog = app.get_command(click.Context(app), "sync").epilog or ""  # type: ignore[union-attr] # a command without it fails here
    told = re.findall(r"^\s+(\d+(?:, \d+)*)  ", epilog, re.MULTILINE)

    assert first_cells(section("README.md", "Exit codes")) == told


def test_every_command_stands_in_the_readme() -> None:
    table = section("README.md", "Commands")

    assert set(re.findall(r"^\| `bulk (\w+)", table, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("page", written_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = prose(page)
    in_place = re.findall(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)", text)
    below = re.findall(r"^\[[^]]+\]:\s*(\S+)", text, re.MULTILINE)
    for target in (*in_place, *below):
        if not target.startswith(OUTSIDE):
            path, _, anchor = target.partition("#")
            linked = page.parent / path if path else page
            assert linked.exists(), target
            assert not anchor or anchor in anchors(linked), target


def test_the_index_links_to_every_page_of_the_documentation_and_the_readme_to_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    text = index.read_text(encoding="utf-8")
    pages = [page.name for page in index.parent.glob("*.md") if page != index]

    assert [page for page in pages if f"({page})" not in text] == []
    assert "(docs/README.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_the_first_command_leaves_beside_its_input_is_not_for_git() -> None:
    ledger = ledger_path("samples/modules.csv", Settings(sandbox=True))
    beside = [path.relative_to(ROOT.resolve()) for path in (lock_of(ROOT / ledger), log_of(ROOT / ledger))]
    written = [str(path) for path in (ledger, *beside, sandbox_states(ledger, [""])[""])]

    told = subprocess.run(["git", "-C", ROOT, "check-ignore", *written], capture_output=True, text=True, check=False)

    if told.returncode not in {0, 1}:
        pytest.skip("this is no checkout")
    assert told.stdout.splitlines() == written


def test_the_first_version_of_the_changelog_is_this_one() -> None:
    versions = re.findall(
        r"^## \[(.*?)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert versions[0] == project["version"]
