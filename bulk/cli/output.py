"""Write to stdout and stderr as a command should: quiet when the reader left, colours only for a terminal."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TextIO

import click

from bulk.errors import OutputError
from bulk.names import legible, legible_fields
from bulk.report.tones import Tone, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk.report.tones import Paint

__all__ = [
    "closed_pipe_is_fine",
    "open_what_is_closed",
    "paint_for",
    "paint_for_stdout",
    "print_json",
    "print_lines",
    "screen_width",
    "tell",
]

_STDOUT = 1
_STDERR = 2
"""The descriptors themselves: a writer that broke off may have closed ``sys.stdout``."""

_WIDEST = 100
"""Lines longer than this are hard to read, however wide the terminal."""

_STYLES = {
    Tone.GOOD: partial(click.style, fg="green"),
    Tone.WARNING: partial(click.style, fg="yellow"),
    Tone.BAD: partial(click.style, fg="red"),
    Tone.HEADING: partial(click.style, bold=True),
}


def open_what_is_closed() -> None:
    """Open the null device for each standard stream that this process was started without, as by ``2>&-``.

    Else the next file or socket that is opened gets its number, and what is said lands there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


@contextmanager
def closed_pipe_is_fine() -> Iterator[None]:
    """Let the reader of stdout leave early, as `head` does: the rest of the output is dropped.

    Raises:
        OutputError: Stdout can't be written for another reason.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_the_rest(_STDOUT)
    except OSError as exc:
        _drop_the_rest(_STDOUT)
        raise OutputError(
            f"stdout can't be written: {exc.strerror or exc}; what was done is in the ledger: see `bulk status LEDGER`"
        ) from exc


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines on stdout, or on stderr."""
    if err:
        tell("\n".join(lines))
        return
    with closed_pipe_is_fine():
        for line in lines:
            click.echo(legible(line))


def tell(message: str) -> None:
    """Say something on stderr; where that can't be written, nobody is there to be told."""
    try:
        click.echo(legible(message), err=True)
        sys.stderr.flush()
    except OSError:
        _drop_the_rest(_STDERR)


def _drop_the_rest(descriptor: int) -> None:
    # Python flushes its streams once more when it exits, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def print_json(value: bytes | dict[str, object]) -> None:
    """Print one JSON object, and nothing else, on stdout."""
    import orjson  # noqa: PLC0415 - loaded on demand: start-up time

    with closed_pipe_is_fine():
        click.echo(value if isinstance(value, bytes) else orjson.dumps(legible_fields(value)))


def screen_width() -> int:
    """Return how many columns a screen of text may take."""
    return min(shutil.get_terminal_size().columns, _WIDEST)


def paint_for(stream: TextIO) -> Paint:
    """Return colours if the stream is a terminal that shows them, and nobody asked for none."""
    dumb = os.environ.get("TERM") == "dumb" or os.environ.get("NO_COLOR")
    return plain if dumb or not stream.isatty() else _color


def paint_for_stdout() -> Paint:
    """Return colours if stdout is a terminal that shows them, and nobody asked for none."""
    return paint_for(sys.stdout)


def _color(text: str, tone: Tone) -> str:
    return _STYLES[tone](text)
