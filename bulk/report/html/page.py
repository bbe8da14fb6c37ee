"""Write the page: template, style and scripts in one file, under a policy that lets nothing else run.

Everything from the ledger is text: the template engine escapes it. The charts' figures are in a block of JSON that no
browser runs. The Content-Security-Policy names the hashes of the only two scripts and of the only style.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from bulk.distribution import installed_version
from bulk.legible import brief_run_id
from bulk.report.html.view import view_of
from bulk.report.wording import outcome_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jinja2 import Template

    from bulk.report.html.content import Content

__all__ = ["render"]

_CHARTING = "vendor/uplot/"
_BLANKS = re.compile(r"(\s+)")


def render(content: Content, *, written_at: datetime, program: Sequence[str] = ("bulk",)) -> str:
    """Return the page.

    Args:
        content: What was read from the ledger.
        written_at: Now, UTC.
        program: What starts `bulk` here, for the commands that go on.
    """
    style, scripts = _style(), _scripts()
    return _template().render(
        view_of(content, written_at=written_at, program=program),
        policy=_policy(style, scripts),
        # Files of this package, our own or the chart library's: they contain nothing to escape.
        style=Markup(style),  # noqa: S704 - see above
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - see above
        version=installed_version(),
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["thousands"] = "{:,}".format
    environment.filters["words"] = outcome_words
    environment.filters["brief"] = brief_run_id
    environment.filters["whole"] = _whole
    return environment.from_string(_read("page.html.j2"))


def _whole(text: str) -> Markup:
    """Return a text whose words with hyphens are not broken at them: `--max-updates` is one word."""
    return Markup("").join(_kept_whole(word) for word in _BLANKS.split(text))


def _kept_whole(word: str) -> Markup:
    return Markup('<span class="whole">{}</span>').format(word) if "-" in word else escape(word)


def _policy(style: str, scripts: Sequence[str]) -> str:
    """Return the Content-Security-Policy: no network, no frame, no form, and only scripts and styles of the page."""
    allowed = " ".join(map(_source, scripts))
    return f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _style() -> str:
    return f"{_read(_CHARTING + 'uPlot.min.css')}\n{_read('page.css')}"


def _scripts() -> tuple[str, str]:
    # The licence must be in every copy, and a report is a copy.
    licence = f"/*!\nuPlot\n{_read(_CHARTING + 'LICENSE')}\n*/\n"
    return licence + _read(_CHARTING + "uPlot.iife.min.js"), _read("page.js")


@cache
def _read(name: str) -> str:
    return files("bulk.report.html").joinpath(name).read_text(encoding="utf-8")
