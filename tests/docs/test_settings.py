"""docs/settings.md has every key of the settings file, with its flag and whether an account may have it."""

from __future__ import annotations

import re
from pathlib import Path

from bulk.cli.commands.run import run
from bulk.settings.keys import ACCOUNT_KEYS, KEYS

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = {
    row[1]: (row[2].strip(), row[3].strip(" `"))
    for row in re.finditer(r"^\| `(\w+)` \|([^|]*)\|([^|]*)\|", PAGE, re.MULTILINE)
}


def test_the_table_has_every_key_in_the_programs_order() -> None:
    assert list(ROWS) == list(KEYS)


def test_the_table_says_which_keys_an_account_may_have() -> None:
    assert {key for key, (of_account, _) in ROWS.items() if of_account == "yes"} == ACCOUNT_KEYS.keys()
    assert {of_account for of_account, _ in ROWS.values()} == {"yes", ""}


def test_the_table_names_the_flag_of_each_key() -> None:
    flags = {parameter.name: max(parameter.opts, key=len) for parameter in run.params}

    assert {key: flag for key, (_, flag) in ROWS.items()} == {
        key: flags[known.option] if known.has_flag else "" for key, known in KEYS.items()
    }
