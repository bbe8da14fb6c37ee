"""Pages are in plain English: words that a reader at night has to look up twice are not in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import PAGES, ROOT

if TYPE_CHECKING:
    from pathlib import Path

HARD = re.compile(r"\b(mend\w*|whoever|lets? go|bears?|is told|what holds|of ours|anew|begun)\b", re.IGNORECASE)
CODE = re.compile(r"^```.*?^```$|`[^`]*`", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_hard_words(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))

    assert HARD.findall(text) == []
