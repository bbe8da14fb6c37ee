"""Write to stdout and stderr as a command should: no error if the reader left, colours only for a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from bulk.cli.streams import STDERR, STDOUT, drain_stderr, drop_the_rest
from bulk.conditions import explain_os_error
from bulk.errors import OutputError
from bulk.legible import legible, legible_fields
from bulk.report.tones import Tone, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk.report.tones import Paint

__all__ = [
    "closed_pipe_is_fine",
    "paint_for",
    "paint_for_stdout",
    "print_json",
    "print_lines",
    "screen_width",
    "tell",
]

_WIDEST = 100
"""Lines longer than this are hard to read, however wide the terminal."""

_NARROWEST = 20
"""No table fits into less. A narrower terminal wraps the lines itself."""

_STYLES = {
    Tone.GOOD: partial(click.style, fg="green"),
    Tone.WARNING: partial(click.style, fg="yellow"),
    Tone.BAD: partial(click.style, fg="red"),
    Tone.HEADING: partial(click.style, bold=True),
}


@contextmanager
def closed_pipe_is_fine() -> Iterator[None]:
    """Let the reader of stdout leave early, as `head` does: the rest of the output is dropped.

    Raises:
        OutputError: Stdout can't be written for another reason.
    """
    drain_stderr()  # on a shared terminal, the earlier text must come first
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        drop_the_rest(STDOUT)
    except OSError as exc:
        drop_the_rest(STDOUT)
        raise OutputError(
            f"stdout can't be written: {explain_os_error(exc)}; "
            "what was done is in the ledger: see `bulk status LEDGER`"
        ) from exc
    except KeyboardInterrupt:
        drop_the_rest(STDOUT)
        raise


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines on stdout, or on stderr."""
    if err:
        tell("\n".join(lines))
        return
    with closed_pipe_is_fine():
        for line in lines:
            sys.stdout.write(f"{legible(line)}\n")


def tell(message: str) -> None:
    """Print a message on stderr. If stderr can't be written, there is nobody to read it, so that is no error."""
    try:
        sys.stderr.write(f"{legible(message)}\n")
        sys.stderr.flush()
    except OSError:
        drop_the_rest(STDERR)
    drain_stderr()


def print_json(value: bytes | dict[str, object]) -> None:
    """Print one JSON object, and nothing else, on stdout."""
    import orjson  # noqa: PLC0415 - loaded on demand: start-up time

    with closed_pipe_is_fine():
        click.echo(value if isinstance(value, bytes) else orjson.dumps(legible_fields(value)))


def screen_width() -> int:
    """Return how many columns a screen of text may use."""
    return max(min(shutil.get_terminal_size().columns, _WIDEST), _NARROWEST)


def paint_for(stream: TextIO) -> Paint:
    """Return colours if the stream is a terminal that shows them, unless the user switched them off."""
    dumb = os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR")
    return plain if dumb or not stream.isatty() else _color


def paint_for_stdout() -> Paint:
    """Return colours if stdout is a terminal that shows them, unless the user switched them off."""
    return paint_for(sys.stdout)


def _color(text: str, tone: Tone) -> str:
    return _STYLES[tone](text)
