"""Pages and messages are in plain English: words that a reader at night has to look up twice are not in them."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import PAGES, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HARD = re.compile(r"\b(mend\w*|whoever|lets? go|bears?|is told|what holds|of ours|anew|begun)\b", re.IGNORECASE)
IN_MESSAGES = re.compile(rf"{HARD.pattern}|\b(stands|no more)\b", re.IGNORECASE)
CODE = re.compile(r"^```.*?^```$|`[^`]*`", re.MULTILINE | re.DOTALL)
MODULES = sorted((ROOT / "bulk").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_has_no_hard_words(page: Path) -> None:
    text = CODE.sub("", page.read_text(encoding="utf-8"))

    assert HARD.findall(text) == []


def test_no_message_has_hard_words() -> None:
    report = (ROOT / "bulk/report/html/page.html.j2").read_text(encoding="utf-8")
    texts = [report, *(text for module in MODULES for text in _messages(module))]

    assert [text for text in texts if IN_MESSAGES.search(text)] == []


def _messages(module: Path) -> Iterator[str]:
    """Yield each text with a blank in it that is not a docstring: what people may read."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield from [node.value] if " " in node.value else []
