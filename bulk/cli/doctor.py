"""`bulk doctor`: try what a run would need, and say what to do where something is wrong."""

from __future__ import annotations

import asyncio
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.options import json_option, platform_options, settings_of
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width
from bulk.report.tones import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk.engine.checks.diagnosis import Check
    from bulk.report.tones import Paint

__all__ = ["doctor"]

_WORDS = {"passed": ("ok", Tone.GOOD), "warned": ("look", Tone.WARNING), "failed": ("FAILED", Tone.BAD)}
_NOT_TRIED = ("-", Tone.HEADING)
_VERDICT_COLUMNS = 7
_NAME_COLUMNS = 9
_FEWEST_COLUMNS = 20


@click.command(
    cls=GroupedCommand,
    epilog="""
    Keys and flags come from the environment and from bulk.toml as for bulk run.

    \b
    Exit codes:
      0  a run would work, as far as could be tried
      2  a flag or a setting can't be read
      3  a run would fail; the remedy is below what failed
    """,
)
@platform_options
@click.option(
    "--product",
    "product_key",
    metavar="KEY",
    cls=GroupedOption,
    heading="What is asked",
    help="List the modules of this product.  [default: of a made-up one, which must be unknown]",
)
@json_option
@click.pass_context
def doctor(ctx: click.Context, /, *, product_key: str | None, as_json: bool, **_settings: object) -> int:
    """Try what a run would need: endpoint, TLS, keys, permission, clock, speed, the ledger's folder and disk.

    Sends a few listings inside the granted rate and changes nothing.
    """
    settings = settings_of(ctx)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.engine.checks.diagnosis import exit_code  # noqa: PLC0415 - see above
    from bulk.engine.checks.doctor import examine  # noqa: PLC0415 - see above

    checks = asyncio.run(examine(settings, product_key=product_key))
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "exit_code": exit_code(checks)})
    else:
        width, paint = screen_width(), paint_for_stdout()
        print_lines(line for check in checks for line in _lines(check, width=width, paint=paint))
    return exit_code(checks)


def _lines(check: Check, *, width: int, paint: Paint) -> Iterator[str]:
    word, tone = _WORDS.get(check.verdict, _NOT_TRIED)
    margin = " " * (_VERDICT_COLUMNS + _NAME_COLUMNS)
    first, *rest = [line for text in check.detail.splitlines() for line in _wrapped(text, width - len(margin))]
    yield f"{paint(f'{word:<{_VERDICT_COLUMNS}}', tone)}{check.name:<{_NAME_COLUMNS}}{first}"
    for line in rest:
        yield margin + line
    for line in _wrapped(f"→ {check.remedy}" if check.remedy else "", width - len(margin)):
        yield margin + paint(line, Tone.HEADING)


def _wrapped(text: str, width: int) -> list[str]:
    # Addresses and paths are copied: they are never broken.
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(
        text,
        max(width, _FEWEST_COLUMNS),
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )
