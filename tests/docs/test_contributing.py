"""The first pull request of .github/CONTRIBUTING.md, made as the page says in a copy of the project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import Fence, fences_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / ".github" / "CONTRIBUTING.md"
FIRST = "Your first pull request"
COPIED = (
    *("bulk", "pyproject.toml", "CHANGELOG.md", "tests/conftest.py", "tests/forked.py", "tests/fork_host.py"),
    *("tests/unit/conftest.py", "tests/unit/cloud"),
)

TABLE, TEST, CHANGELOG = "bulk/cloud/codes.py", "tests/unit/cloud/test_codes.py", "CHANGELOG.md"
PLACES = {
    TEST: '        ("InvalidModuleName", FailureKind.REFUSED),\n',
    TABLE: "    # OTA modules\n",
    CHANGELOG: "\n### Added\n\n",
}
"""File → what the line of the page goes below: as the page says in words."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what the page touches and runs."""
    for name in COPIED:
        source, copy = ROOT / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    return tmp_path


@pytest.fixture
def section() -> list[Fence]:
    """Return the blocks of the section about the first pull request."""
    text = PAGE.read_text(encoding="utf-8")
    begins = text.count("\n", 0, text.index(f"## {FIRST}"))
    ends = begins + text.partition(f"## {FIRST}")[2].partition("\n## ")[0].count("\n")
    return [fence for fence in fences_of(PAGE) if begins < fence.line <= ends]


def put(project: Path, name: str, text: str) -> None:
    before = (project / name).read_text(encoding="utf-8")
    above, place, below = before.partition(PLACES[name])
    assert place, f"{name} has no place for the line any more: the page is to say where it goes now"
    (project / name).write_text(above + place + text + below, encoding="utf-8")


def run(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] == "pytest"
    environ = os.environ | {"PYTHONPATH": str(project)}
    plain = [sys.executable, "-m", *words, "-p", "no:cacheprovider"]
    return subprocess.run(plain, cwd=project, env=environ, capture_output=True, text=True, check=False)


def test_the_first_pull_request_touches_the_three_files_that_it_names(section: list[Fence]) -> None:
    named = re.findall(r"^\*\*\d\. `(.*)`\*\*", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert named == list(PLACES)
    assert all((ROOT / name).is_file() for name in named)
    assert [fence.language for fence in section] == ["text", "sh", "text", "markdown"]


def test_the_first_pull_request_is_made_as_the_page_says(section: list[Fence], project: Path) -> None:
    in_test, command, in_table, in_changelog = (fence.text for fence in section)

    put(project, TEST, in_test)
    without = run(command, project)
    put(project, TABLE, in_table)
    put(project, CHANGELOG, in_changelog)
    with_it = run(command, project)

    (code,) = re.findall(r'"(iot\.[\w.]+)"', in_table)
    assert without.returncode == 1, without.stdout
    assert code in without.stdout
    assert with_it.returncode == 0, with_it.stdout
    unreleased = (project / CHANGELOG).read_text(encoding="utf-8").partition("## [Unreleased]")[2].partition("\n## ")[0]
    assert code in unreleased
