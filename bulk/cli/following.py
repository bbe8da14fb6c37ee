"""Let people and logs follow a run: progress on stderr, log events if you asked for them."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bulk.conditions import explain_os_error
from bulk.errors import BulkError, SettingsError
from bulk.events import CredentialsFound, InputRead, ignore
from bulk.logs.listener import LogListener, Redactor, configure, flush_logs
from bulk.report.progress import progress, wants_live

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click
    from structlog.typing import FilteringBoundLogger

    from bulk.cli.invocation import Invocation
    from bulk.events import Event, Listener

__all__ = ["watched"]

_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


@contextmanager
def watched(ctx: click.Context, input_name: str, *, measured: bool = True, noticed: bool = True) -> Iterator[Listener]:
    """Yield a listener; show and log its events as the command's flags say.

    Args:
        ctx: Context of a command with ``log_options``.
        input_name: What the input is called.
        measured: Keep the metrics file, if one is asked for.
        noticed: Show remarks about the input; False if a screen shows them.

    Raises:
        SettingsError: The log file or the metrics file can't be written.
    """
    live = wants_live(sys.stderr)
    invocation: Invocation = ctx.obj
    redactor = Redactor(invocation.secrets)
    log = _log(ctx, live=live, redactor=redactor)
    logged = LogListener(log)
    with (
        _flushed(),
        progress(input_name, stream=sys.stderr, live=live) as shown,
        _crash_logged(log, ctx),
        _metrics(log, ctx.params.get("metrics_file") if measured else None) as counted,
    ):

        def listen(event: Event) -> None:
            if isinstance(event, CredentialsFound) and event.mask:
                redactor.learn(event.mask)
            if noticed or not isinstance(event, InputRead):
                shown(event)
            logged(event)
            counted(event)

        yield listen


@contextmanager
def _flushed() -> Iterator[None]:
    try:
        yield
    finally:
        flush_logs()


def _log(ctx: click.Context, *, live: bool, redactor: Redactor) -> FilteringBoundLogger:
    path = ctx.params["log_file"]
    # The live bar says what it waits for, and lines of warnings would push it down the screen. A file is read
    # afterwards, so it gets more detail than a screen.
    step = ctx.params["verbosity"] + (2 if path else 0 if live else 1)
    try:
        return configure(
            level=_LEVELS[min(step, len(_LEVELS) - 1)],
            as_json=ctx.params["log_format"] == "json",
            path=Path(path) if path else None,
            colors=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
            redactor=redactor,
        )
    except OSError as exc:
        raise SettingsError(
            f"--log-file {path}: it can't be written ({explain_os_error(exc)}); name another file"
        ) from exc


@contextmanager
def _metrics(log: FilteringBoundLogger, path: str | None) -> Iterator[Listener]:
    if path is None:
        yield ignore
        return
    from bulk.report.metrics import metrics_file  # noqa: PLC0415 - loads the client library, only if asked for

    with ExitStack() as stack:
        try:
            metrics = stack.enter_context(
                metrics_file(
                    Path(path), complain=lambda exc: log.error("metrics.lost", path=path, error=explain_os_error(exc))
                )
            )
        except OSError as exc:
            why = explain_os_error(exc)
            raise SettingsError(f"--metrics-file {path}: it can't be written ({why}); name another file") from exc
        yield metrics


@contextmanager
def _crash_logged(log: FilteringBoundLogger, ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except BulkError:
        raise
    except Exception as exc:
        path = ctx.params["log_file"]
        if path:
            log.exception("run.crashed")
            exc.add_note(f"its traceback is in {path}")
        raise
