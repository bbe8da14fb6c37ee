"""docs/inputs.md tells the rules and spellings that the reader has."""

from __future__ import annotations

import re

from bulk.rows.fields import Field, field_of
from bulk.rows.validate import MAX_DESC_CHARS, MAX_NAME_CHARS
from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
COLUMNS = {
    row[1]: (row[2], re.findall(r"`([^`]+)`", row[3]))
    for row in re.finditer(r"^\| (\w+) \|([^|]*)\|([^|]*)\|$", PAGE.partition("\n## The file")[0], re.MULTILINE)
    if row[1] in set(Field)
}


def test_every_field_is_there_with_spellings_that_mean_it() -> None:
    assert set(COLUMNS) == set(Field)
    assert {(name, field_of(spelling)) for name, (_, spellings) in COLUMNS.items() for spelling in spellings} == {
        (field.value, field) for field in Field
    }


def test_lengths_are_those_of_the_rules() -> None:
    assert f"1 to {MAX_NAME_CHARS}" in COLUMNS["ModuleName"][0]
    assert f"up to {MAX_NAME_CHARS} " in COLUMNS["AliasName"][0]
    assert f"up to {MAX_DESC_CHARS} " in COLUMNS["Desc"][0]
