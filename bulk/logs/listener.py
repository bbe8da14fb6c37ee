"""Logs: set up structlog, turn a run's events into log events, and keep secrets out of every line.

The standard library's log records pass through the same mask, so a library that logs a signed URL does no harm.
Other modules already redact what they pass on; the mask here is the last one.
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog

from bulk import events
from bulk.conditions import explain_os_error
from bulk.logs.backlog import Backlog
from bulk.logs.fields import attempt_fields, found_fields, rate_fields, settled_fields, some
from bulk.logs.file import LogFile
from bulk.logs.flood import Flood
from bulk.redaction import MASK, Mask, is_secret_name, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger, Processor

    from bulk.model import AccountSummary

__all__ = ["LogListener", "Redactor", "configure", "flush_logs"]

_LOGGER = "bulk"
_PATIENCE_S = 1.0
"""How long the end of a run waits for a log file."""


class Redactor:
    """A processor that masks secrets in every part of an event."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Learn the patterns, and the secrets of this run by their value.

        Args:
            secrets: Values that must not appear, whatever text is around them.
        """
        # An empty value would match everywhere, and a very short one in harmless text.
        self._mask = Mask(secret for secret in secrets if len(secret) >= 8)  # noqa: PLR2004 - said above
        self._others: tuple[Callable[[str], str], ...] = ()

    def learn(self, mask: Callable[[str], str]) -> None:
        """Add the mask of secrets that were found only now."""
        if isinstance(mask, Mask):
            self._mask |= mask
        else:
            self._others += (mask,)

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Mask the event's values, and every value whose name means a secret."""
        for key, value in event.items():
            event[key] = MASK if is_secret_name(key) else self._clean(value)
        return event

    def text(self, text: str) -> str:
        """Return the text with its secrets masked."""
        text = self._mask(text)
        for mask in self._others:
            text = mask(text)
        return masked(text)

    def _clean(self, value: object) -> object:
        match value:
            case bool() | int() | float() | None:
                return value
            case str():
                return self.text(value)
            case dict():
                return {key: MASK if is_secret_name(str(key)) else self._clean(item) for key, item in value.items()}
            case list() | tuple():
                return [self._clean(item) for item in value]
            case _:
                return self.text(str(value))


class _LateStderr:
    """Writes to the present ``sys.stderr``: a live progress bar replaces it, to stay below the log."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Stderr(logging.StreamHandler[_LateStderr]):
    """If it can't be written, there is nowhere to report that."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Do nothing: logging's own handling would show the record before its secrets were masked."""


class _FileHandler(logging.Handler):
    """Appends to a file that may be slow, full, moved or gone; the run does not wait for it."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            OSError: It can't be opened for writing.
        """
        super().__init__()
        self._path = path
        self._complained = False
        self._backlog = Backlog(LogFile(path), name="bulk-log", note=self._note, on_failure=self._complain)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line over."""
        try:
            self._backlog.append(f"{self.format(record)}\n".encode("utf-8", "backslashreplace"))
        except Exception:  # noqa: BLE001 - as every handler of logging does
            self.handleError(record)

    def flush(self) -> None:
        """Wait for a short time until all is written."""
        self._backlog.drain(_PATIENCE_S)

    def close(self) -> None:
        """Write what is left, as far as possible in a short time."""
        self.flush()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """See `_Stderr.handleError`."""

    def _note(self, dropped: int) -> str:
        line = {"event": "lines.dropped", "count": dropped, "level": "warning", "timestamp": _now()}
        # The same form as from structlog: this must not log, as the backlog is locked here.
        return self.format(logging.makeLogRecord({"msg": line, "_logger": None, "_name": "warning"}))

    def _complain(self, exc: OSError) -> None:
        if self._complained:
            return
        self._complained = True
        with suppress(OSError, ValueError):
            sys.stderr.write(f"The log {self._path} can't be written: {explain_os_error(exc)}; the run goes on\n")


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def configure(
    *,
    level: int,
    as_json: bool = False,
    path: Path | None = None,
    colors: bool = False,
    redactor: Redactor | None = None,
) -> FilteringBoundLogger:
    """Set logging up for this process and return the logger to hand to ``LogListener``.

    Args:
        level: The least level that is written, as ``logging`` numbers it.
        as_json: One JSON object a line rather than words.
        path: Append to this file instead of writing to stderr.
        colors: Colour the words; only for a terminal.
        redactor: The mask; ``None``: one that knows patterns only.

    Raises:
        OSError: The file can't be opened for writing.
    """
    handler: logging.Handler = _FileHandler(path) if path else _Stderr(_LateStderr())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler.setFormatter(_formatter(shared, as_json=as_json, colors=colors, net=redactor or Redactor()))
    # A library's messages for its own developers are not events of a run.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    logging.getLogger(_LOGGER).setLevel(level)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    log: FilteringBoundLogger = structlog.get_logger(_LOGGER)
    return log


def flush_logs() -> None:
    """Wait for a short time until what was logged is written; a file that is stuck does not block the end."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _formatter(shared: list[Processor], *, as_json: bool, colors: bool, net: Redactor) -> logging.Formatter:
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        # A formatted traceback would show the frames' variables, and so the keys.
        else structlog.dev.ConsoleRenderer(
            colors=colors,
            pad_event_to=0,
            pad_level=False,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            net,
            renderer,
        ],
    )


class LogListener:
    """A listener that logs each outcome at debug level, and warnings for what slows a run down, never too many."""

    def __init__(self, log: FilteringBoundLogger, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Log to the given logger.

        Args:
            log: As ``configure()`` returned it.
            clock: Monotonic seconds.
        """
        self._log = log
        # Checked once: at full speed most events are for debug only, and collecting their fields would cost time.
        self._verbose = log.is_enabled_for(logging.DEBUG)
        self._flood = Flood(clock)

    def __call__(self, event: events.Event) -> None:  # noqa: C901 - one flat case an event is the plainest dispatch
        """Log one event."""
        match event:
            case events.RowSettled() | events.AttemptMade():
                if self._verbose:
                    self._settled_or_attempted(event)
            case events.RetryScheduled():
                self._retry_scheduled(event)
            case events.RateChanged():
                self._rate_changed(event)
            case events.LaneOpened(product_key, rows, account):
                self._of(account).debug("lane.opened", product_key=product_key, rows=rows)
            case events.LaneClosed(product_key, account):
                self._of(account).debug("lane.closed", product_key=product_key)
            case events.ClockCorrected(offset_s, account):
                self._of(account).warning("clock.corrected", offset_s=round(offset_s, 3))
            case events.CredentialsFound(source):
                self._of(event.account).info("credentials.found", source=source)
            case events.CredentialsNotRenewed(message, account):
                self._of(account).warning("credentials.renewal_failed", message=message)
            case events.PhaseStarted(phase=phase, products=products, changes=changes, account=account):
                self._of(account).info("phase.started", phase=phase.value, products=products, changes=changes)
            case events.AccountStopped():
                self._of(event.account).warning("account.stopped", reason=event.reason)
            case _:
                self._of_the_job(event)

    def _of_the_job(self, event: events.Event) -> None:  # noqa: C901 - as above
        """Log what happens once, or hardly more often."""
        match event:
            case events.LedgerUpgraded():
                self._log.info("ledger.upgraded", ledger=event.ledger, layout=event.layout, copy=event.copy)
            case events.AccountTakenOver():
                self._of(event.account).info("account.taken_over", before=event.before, keys=event.keys)
            case events.ConnectionsShort():
                self._log.warning("connections.short", files=event.files, accounts=event.accounts, each=event.each)
            case events.IngestProgressed(rows):
                self._log.debug("rows.read", rows=rows)
            case events.InputRead(found):
                self._log.info("input.read", **found_fields(found))
            case events.PlanStarted(products):
                self._log.info("plan.started", products=products)
            case events.LookStarted(doing, products):
                self._log.info("look.started", doing=doing.lower(), products=products)
            case events.RunStarted():
                self._run_started(event)
            case events.RunStopping(reason):
                self._log.info("run.stopping", reason=reason)
            case events.RunEnded():
                self._run_ended(event)

    def _of(self, account: str) -> FilteringBoundLogger:
        """Return the logger for what is about one account; without accounts, the run's."""
        return self._log.bind(account=account) if account else self._log

    def _settled_or_attempted(self, event: events.RowSettled | events.AttemptMade) -> None:
        if isinstance(event, events.RowSettled):
            self._of(event.settlement.account).debug("row.settled", **settled_fields(event))
        else:
            self._of(event.attempt.account).debug("request.ended", **attempt_fields(event))

    def _run_started(self, event: events.RunStarted) -> None:
        self._log = self._log.bind(run_id=event.run_id)
        self._log.info(
            "run.started",
            input=event.input,
            ledger=event.ledger,
            target=event.target,
            rows=event.rows,
            **rate_fields(event.rates),
        )
        for name, account in event.accounts.items():
            self._of(name).info(
                "account.started", target=account.target, rows=account.rows, **rate_fields(account.rates)
            )

    def _retry_scheduled(self, event: events.RetryScheduled) -> None:
        name = "listing.retry_scheduled" if event.line is None else "row.retry_scheduled"
        count = self._flood.admit((name, event.code, event.account))
        if count:
            self._of(event.account).warning(
                name,
                code=event.code,
                count=count,
                product_key=event.product_key,
                line=event.line,
                attempt=event.attempt,
                delay_s=round(event.delay_s, 3),
                message=event.message,
            )

    def _rate_changed(self, event: events.RateChanged) -> None:
        if event.unshared:
            if count := self._flood.admit(("rate.halved", event.action)):
                self._log.warning(
                    "rate.halved",
                    action=event.action,
                    per_s=round(event.per_s, 3),
                    asked_per_s=event.asked_per_s,
                    count=count,
                    reason=event.unshared,
                )
            return
        name = "rate.lowered" if event.throttled else "rate.raised"
        count = self._flood.admit((name, event.action, event.account))
        if count:
            log = self._of(event.account)
            write = log.warning if event.throttled else log.info
            write(name, action=event.action, per_s=round(event.per_s, 3), asked_per_s=event.asked_per_s, count=count)

    def _run_ended(self, event: events.RunEnded) -> None:
        for (name, subject, held_of), count in self._flood.drain().items():
            self._of(held_of).warning("warnings.held_back", of=name, subject=subject, count=count)
        summary = event.summary
        for name, account in summary.accounts.items():
            self._account_ended(name, account)
        self._log.info(
            "run.ended",
            exit_code=summary.exit_code,
            stopped=summary.stopped,
            outcomes=some(summary.outcomes),
            requests=dict(summary.requests),
            retries=summary.retries,
            throttled=summary.throttled,
            recovered=summary.recovered,
            elapsed_s=round(summary.elapsed_s, 3),
        )

    def _account_ended(self, name: str, account: AccountSummary) -> None:
        self._of(name).info(
            "account.ended",
            exit_code=account.exit_code,
            stopped=account.stopped,
            outcomes=some(account.outcomes),
            requests=dict(account.requests),
            throttled=account.throttled,
        )
