from __future__ import annotations

import errno
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import structlog
from structlog.testing import CapturingLogger

from bulk import events
from bulk.cli.commands.run import run
from bulk.cli.following import watched
from bulk.cli.invocation import Invocation
from bulk.cloud.keys.credentials import Credentials
from bulk.events import (
    AccountStart,
    AccountStopped,
    AccountTakenOver,
    AttemptMade,
    ClockCorrected,
    ConnectionsShort,
    CredentialsFound,
    CredentialsNotRenewed,
    Event,
    IngestProgressed,
    InputRead,
    LaneClosed,
    LaneOpened,
    LedgerUpgraded,
    LookStarted,
    PhaseStarted,
    PlanStarted,
    RateChanged,
    RetryScheduled,
    RowSettled,
    RunEnded,
    RunStarted,
    RunStopping,
    SyncPhase,
)
from bulk.logs.file import LogFile
from bulk.logs.listener import LogListener, Redactor, configure, flush_logs
from bulk.model import AccountSummary, Action, Attempt, InputFound, OtaModule, Outcome, Settlement, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = Path("/dev/full")
SECRET = "s3cr3tS3cr3tS3cr3t"

STARTED = RunStarted(
    run_id="r1",
    ledger="l.db",
    input="in.csv",
    target="https://h (tuya)",
    rows=3,
    outcomes={"pending": 3},
    rates={Action.CREATE: 10.0, Action.LIST: 10.0},
)
ENDED = RunEnded(
    Summary(
        run_id="r1",
        ledger="l.db",
        input="in.csv",
        target="https://h (tuya)",
        rows=3,
        outcomes={"created": 2, "failed": 1, "pending": 0},
        absent=0,
        requests={"list": 1, "create": 3},
        retries=0,
        throttled=0,
        recovered=0,
        elapsed_s=1.0,
        exit_code=1,
    )
)
SETTLED = RowSettled(Settlement(line=2, module=OtaModule("pk", "m"), outcome=Outcome.CREATED, at=0.0, attempts=1))
ATTEMPT = AttemptMade(
    Attempt(
        at=0.0,
        action=Action.CREATE,
        product_key="pk",
        module_name="m",
        http_status=200,
        code=None,
        request_id="q",
        latency_s=0.01234567,
    )
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Heard:
    """A listener and what it logged at a level, as (method, fields)."""

    def __init__(self, level: int) -> None:
        self.clock = Clock()
        self._logger = CapturingLogger()
        log = structlog.wrap_logger(
            self._logger,
            processors=[lambda _logger, _method, event: ((), event)],
            wrapper_class=structlog.make_filtering_bound_logger(level),
            context_class=dict,
        )
        self.listen = LogListener(log.bind(), clock=self.clock)

    def all(self) -> list[tuple[str, dict[str, Any]]]:
        return [(call.method_name, call.kwargs) for call in self._logger.calls]

    def names(self) -> list[str]:
        return [fields["event"] for _, fields in self.all()]


@pytest.fixture
def heard() -> Heard:
    return Heard(logging.DEBUG)


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def retry(code: str = "timeout", line: int | None = 2) -> RetryScheduled:
    return RetryScheduled(
        action=Action.CREATE, product_key="pk", line=line, attempt=1, delay_s=0.81234, code=code, message="m"
    )


def rate(per_s: float, *, throttled: bool) -> RateChanged:
    return RateChanged(action=Action.CREATE, per_s=per_s, asked_per_s=10.0, throttled=throttled)


FOUND = InputFound(
    format="csv", encoding="utf-8", delimiter=",", header_line=1, columns={"ProductKey": "pk"}, carried=(), notices=()
)
LOGGED = [
    (STARTED, "run.started", "info"),
    (ENDED, "run.ended", "info"),
    (RunStopping("why"), "run.stopping", "info"),
    (SETTLED, "row.settled", "debug"),
    (ATTEMPT, "request.ended", "debug"),
    (LaneOpened("pk", 3), "lane.opened", "debug"),
    (LaneClosed("pk"), "lane.closed", "debug"),
    (
        RateChanged(action=Action.LIST, per_s=5.0, asked_per_s=10.0, throttled=False, unshared="no folder"),
        "rate.halved",
        "warning",
    ),
    (LedgerUpgraded(ledger="l.db", layout=1, copy="l.db.v1.bak"), "ledger.upgraded", "info"),
    (IngestProgressed(9), "rows.read", "debug"),
    (InputRead(FOUND), "input.read", "info"),
    (LookStarted("Exporting", 9), "look.started", "info"),
    (PlanStarted(9), "plan.started", "info"),
    (PhaseStarted(phase=SyncPhase.WORK, products=9, changes=3), "phase.started", "info"),
    (retry(), "row.retry_scheduled", "warning"),
    (retry(line=None), "listing.retry_scheduled", "warning"),
    (rate(5.0, throttled=True), "rate.lowered", "warning"),
    (rate(6.0, throttled=False), "rate.raised", "info"),
    (ClockCorrected(900.5), "clock.corrected", "warning"),
    (CredentialsFound("profile nightly"), "credentials.found", "info"),
    (CredentialsNotRenewed("no answer"), "credentials.renewal_failed", "warning"),
    (AccountStopped(account="north", reason="why"), "account.stopped", "warning"),
    (AccountTakenOver(account="north", before="", keys=3), "account.taken_over", "info"),
    (ConnectionsShort(files=256, accounts=150, each=1), "connections.short", "warning"),
]
OF_AN_ACCOUNT = [
    RowSettled(SETTLED.settlement._replace(account="north")),
    AttemptMade(ATTEMPT.attempt._replace(account="north")),
    LaneOpened("pk", 3, "north"),
    LaneClosed("pk", "north"),
    replace(retry(), account="north"),
    replace(rate(5.0, throttled=True), account="north"),
    ClockCorrected(900.5, "north"),
    CredentialsFound("profile nightly", account="north"),
    CredentialsNotRenewed("no answer", "north"),
    AccountStopped(account="north", reason="why"),
    AccountTakenOver(account="north", before="", keys=3),
]


@pytest.mark.parametrize(("event", "name", "method"), LOGGED)
def test_every_event_has_its_name_and_level(heard: Heard, event: Event, name: str, method: str) -> None:
    heard.listen(event)

    assert [(logged, fields["event"]) for logged, fields in heard.all()] == [(method, name)]


def test_no_event_is_without_its_log() -> None:
    known = {value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)}

    assert {type(event) for event, _, _ in LOGGED} == known - {Event}


@pytest.mark.parametrize("event", OF_AN_ACCOUNT)
def test_event_of_an_account_names_it(heard: Heard, event: Event) -> None:
    heard.listen(event)

    assert [fields["account"] for _, fields in heard.all()] == ["north"]


@pytest.mark.parametrize(("event", "name", "method"), LOGGED[:-3])
def test_no_event_has_an_account_where_there_are_none(heard: Heard, event: Event, name: str, method: str) -> None:
    heard.listen(event)

    ((_, fields),) = heard.all()
    assert "account" not in fields, (name, method)


def test_accounts_of_a_run_have_a_line_each_at_its_start_and_its_end(heard: Heard) -> None:
    north = AccountStart(target="https://n (tuya)", rows=2, outcomes={"pending": 2}, rates={Action.CREATE: 10.0})
    ended = AccountSummary(
        outcomes={"created": 2, "failed": 0}, requests={"create": 2}, throttled=1, stopped=None, exit_code=0
    )

    heard.listen(replace(STARTED, accounts={"north": north}))
    heard.listen(RunEnded(replace(ENDED.summary, accounts={"north": ended})))

    of_north = [fields for _, fields in heard.all() if fields.get("account") == "north"]
    assert [fields["event"] for fields in of_north] == ["account.started", "account.ended"]
    assert of_north[0] | {"target": "https://n (tuya)", "rows": 2, "create_per_s": 10.0} == of_north[0]
    assert of_north[1] | {"exit_code": 0, "outcomes": {"created": 2}, "throttled": 1} == of_north[1]


def test_warnings_of_one_account_hold_back_none_of_another(heard: Heard) -> None:
    for account in ("north", "south", "north"):
        heard.listen(replace(retry(), account=account))

    assert [fields["account"] for _, fields in heard.all()] == ["north", "south"]


def test_run_id_stands_on_every_line_of_a_run(heard: Heard) -> None:
    for event in (STARTED, SETTLED, retry(), ENDED):
        heard.listen(event)

    assert {fields.get("run_id") for _, fields in heard.all()} == {"r1"}


def test_fields_are_rounded_and_plain(heard: Heard) -> None:
    heard.listen(ATTEMPT)
    heard.listen(retry())

    (_, attempt), (_, warning) = heard.all()
    assert (attempt["latency_s"], attempt["action"]) == (0.0123, "CreateOTAModule")
    assert warning["delay_s"] == 0.812


def test_outcomes_without_rows_are_not_logged(heard: Heard) -> None:
    heard.listen(ENDED)

    assert heard.all()[0][1]["outcomes"] == {"created": 2, "failed": 1}


def test_flood_of_one_code_is_one_line_in_five_seconds_with_its_count(heard: Heard) -> None:
    for _ in range(1000):
        heard.listen(retry("Throttling"))
    heard.clock.now = 5.0
    heard.listen(retry("Throttling"))

    assert [fields["count"] for _, fields in heard.all()] == [1, 1000]


def test_span_doubles_up_to_a_minute_while_a_flood_goes_on(heard: Heard) -> None:
    for second in range(200):
        heard.clock.now = float(second)
        heard.listen(retry("Throttling"))

    assert [fields["count"] for _, fields in heard.all()] == [1, 5, 10, 20, 40, 60, 60]


def test_what_comes_back_after_a_quiet_time_is_news(heard: Heard) -> None:
    for second in (0.0, 5.0, 60.0, 65.0):
        heard.clock.now = second
        heard.listen(retry("Throttling"))

    assert [fields["count"] for _, fields in heard.all()] == [1, 1, 1, 1]


def test_codes_are_counted_apart(heard: Heard) -> None:
    heard.listen(retry("timeout"))
    heard.listen(retry("Throttling"))
    heard.listen(retry("timeout", line=None))

    assert len(heard.all()) == 3


def test_warnings_held_back_are_told_when_the_run_ends(heard: Heard) -> None:
    for _ in range(3):
        heard.listen(retry("timeout"))
    heard.listen(ENDED)

    held = dict(heard.all()[1][1])
    assert held == {"event": "warnings.held_back", "of": "row.retry_scheduled", "subject": "timeout", "count": 2}


def test_rows_cost_nothing_below_debug() -> None:
    heard = Heard(logging.INFO)

    heard.listen(SETTLED)
    heard.listen(ATTEMPT)

    assert heard.all() == []


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://h/?Action=CreateOTAModule&Signature={SECRET}%3D&Timestamp=1",
        f"server string to sign is:GET&%2F&AccessKeyId%3Dx%26SecurityToken%3D{SECRET}%26Timestamp",
        f"Signature={SECRET}&x=1",
        f"SecurityToken%3D{SECRET}%26Timestamp%3D1",
        f"AccessKeySecret: {SECRET}",
        f'{{"access_key_secret": "{SECRET}"}}',
        f"ALIBABA_CLOUD_ACCESS_KEY_SECRET={SECRET}",
        f"ALIBABA_CLOUD_SECURITY_TOKEN='{SECRET}'",
    ],
)
def test_secret_is_masked_by_the_words_around_it(text: str) -> None:
    masked = Redactor().text(text)

    assert SECRET not in masked
    assert "***" in masked


def test_secret_of_this_run_is_masked_wherever_it_stands() -> None:
    assert Redactor([SECRET]).text(f"odd place {SECRET}!") == "odd place ***!"


def test_secret_that_was_found_during_the_run_is_masked_from_then_on() -> None:
    redactor = Redactor()

    redactor.learn(Credentials("id", "of-a-profile", "and/its+token").mask)

    masked = redactor.text("odd of-a-profile and%2Fits%2Btoken places")
    assert masked == "odd *** *** places"


@pytest.mark.usefixtures("_logging_as_before")
def test_keys_that_a_run_finds_are_known_to_its_log(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    flags = {"log_file": str(path), "verbosity": 0, "log_format": "json"}
    context = click.Context(run, obj=Invocation.here([], {}))
    context.params = flags

    with watched(context, "in.csv") as listen:
        listen(CredentialsFound("profile nightly", Credentials("id", "of-a-profile").mask))
        logging.getLogger("library").warning("signing with of-a-profile")

    assert "signing with ***" in path.read_text(encoding="utf-8")


def test_innocent_text_stays() -> None:
    text = "SignatureDoesNotMatch; SignatureMethod=HMAC-SHA1&SignatureNonce=1 https://h:8686/?Action=List"

    assert Redactor(["", "short"]).text(text) == text


def test_values_are_masked_at_any_depth() -> None:
    event = {
        "event": f"Signature={SECRET}",
        "access_key_secret": SECRET,
        "nested": {"signature": SECRET, "list": [f"SecurityToken={SECRET}", 3]},
        "object": ValueError(f"AccessKeySecret={SECRET}"),
        "count": 3,
    }

    masked = Redactor()(None, "info", event)

    assert SECRET not in str(masked)
    assert (masked["count"], masked["nested"]["list"][1]) == (3, 3)


@pytest.mark.usefixtures("_logging_as_before")
def test_file_holds_one_masked_json_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.log"

    log = configure(level=logging.INFO, as_json=True, path=path, redactor=Redactor([SECRET]))
    log.info("row.failed", message=f"模块 Signature={SECRET}")
    log.debug("row.settled")
    flush_logs()

    (line,) = path.read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["message"], entry["level"]) == ("row.failed", "模块 Signature=***", "info")
    assert entry["timestamp"].endswith("Z")


@pytest.mark.skipif(not FULL.is_char_device(), reason="this system has no /dev/full")
@pytest.mark.usefixtures("_logging_as_before")
def test_log_that_cannot_be_written_is_said_once_and_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level=logging.INFO, path=FULL)

    for _ in range(2):
        logging.getLogger("aiohttp.client").warning("lost %s", "https://host/?Signature=LEAKED")
        flush_logs()

    assert capsys.readouterr().err.splitlines() == [
        "The log /dev/full can't be written: No space left on device: the disk is full: make room; the run goes on"
    ]


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("as_json", [True, False])
def test_lines_that_a_full_disk_cost_are_counted_once_there_is_room(
    tmp_path: Path, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, full = tmp_path / "run.log", [True, True]
    write = LogFile.write

    def refuse_twice(sink: LogFile, data: bytes) -> None:
        if full:
            full.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        write(sink, data)

    monkeypatch.setattr(LogFile, "write", refuse_twice)
    log = configure(level=logging.INFO, as_json=as_json, path=path)
    for number in range(3):
        log.info("row.settled", number=number)
        flush_logs()

    settled, dropped = path.read_text(encoding="utf-8").splitlines()
    assert "row.settled" in settled
    assert "lines.dropped" in dropped
    assert not as_json or json.loads(dropped)["count"] == 2


def test_library_that_logs_a_signed_url_does_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level=logging.DEBUG)

    logging.getLogger("aiohttp.client").warning("sent %s", f"https://h/?Signature={SECRET}")

    assert "https://h/?***" in capsys.readouterr().err


@pytest.mark.usefixtures("_logging_as_before")
def test_what_a_library_tells_its_developers_is_no_event(capsys: pytest.CaptureFixture[str]) -> None:
    log = configure(level=logging.DEBUG)

    logging.getLogger("filelock").debug("Lock 1402 acquired")
    log.debug("rows.read", rows=1)

    written = capsys.readouterr().err
    assert "rows.read" in written
    assert "1402" not in written


@pytest.mark.usefixtures("_logging_as_before")
@pytest.mark.parametrize("as_json", [True, False])
def test_traceback_is_logged_without_secrets_and_variables(tmp_path: Path, as_json: bool) -> None:
    path = tmp_path / "run.log"
    log = configure(level=logging.INFO, as_json=as_json, path=path)
    private = "private-" + SECRET

    def crash() -> None:
        raise ValueError(f"Signature={private}")

    try:
        crash()
    except ValueError:
        log.exception("run.crashed")
    flush_logs()

    text = path.read_text(encoding="utf-8")
    assert "ValueError: Signature=***" in text
    assert private not in text


@pytest.mark.usefixtures("_logging_as_before")
def test_console_lines_are_plain_unless_colours_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level=logging.INFO).warning("rate.lowered", per_s=5.0)

    line = capsys.readouterr().err
    assert "\x1b" not in line
    assert "rate.lowered" in line
    assert "per_s=5.0" in line


def test_event_that_is_of_no_interest_to_a_log_is_not_logged(heard: Heard) -> None:
    heard.listen(Event())

    assert heard.all() == []


@pytest.mark.parametrize(
    "changed",
    [
        RateChanged(action=Action.LIST, per_s=5.0, asked_per_s=10.0, throttled=False, unshared="no folder"),
        rate(5.0, throttled=True),
        rate(6.0, throttled=False),
    ],
)
def test_change_of_a_rate_that_comes_again_and_again_is_told_now_and_then(heard: Heard, changed: Event) -> None:
    for _ in range(50):
        heard.listen(changed)

    assert 1 <= len(heard.all()) < 10
