"""docs/cli.md is what the program says."""

from __future__ import annotations

import runpy
from pathlib import Path

import click
import pytest

from bulk.cli.app import COMMANDS, app
from bulk.cli.commands.fleet import FLEET_COMMANDS, fleet

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generated() -> str:
    page: str = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))["reference"]()
    return page


def test_the_reference_is_up_to_date(generated: str) -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

    assert written == generated, "docs/cli.md is out of date: run `python docs/generate_cli.py` and commit the page"


@pytest.mark.parametrize("name", [*COMMANDS, *(f"fleet {name}" for name in FLEET_COMMANDS)])
def test_the_reference_has_every_option_of_a_command(name: str, generated: str) -> None:
    group = fleet if " " in name else app
    command = group.get_command(click.Context(group), name.rpartition(" ")[2])
    section = generated.partition(f"## bulk {name}\n")[2].partition("\n## ")[0]

    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option):
            assert max(option.opts, key=len) in section


def test_the_reference_shows_no_markup_of_click(generated: str) -> None:
    assert "\b" not in generated
