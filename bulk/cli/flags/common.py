"""The options that commands share, declared once."""

from __future__ import annotations

from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bulk.cli.flags.accounts import complete_account
from bulk.cli.flags.origin import (
    SETTINGS_FILE,
    SETTINGS_PROFILE,
    complete_profile,
    read_settings_file,
)
from bulk.cli.flags.values import (
    read_columns,
    read_delimiter,
    read_duration,
    read_failure_cap,
    read_faults,
    read_input_name,
)
from bulk.cli.help import GroupedOption
from bulk.model import Dialect
from bulk.settings import Settings
from bulk.stray import trimmed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ENVIRONMENT_HELP",
    "comparing_options",
    "input_argument",
    "json_option",
    "log_options",
    "looking_options",
    "metrics_option",
    "platform_options",
    "reading_options",
    "settings_options",
    "splitting_options",
    "working_options",
]

_Decorated = TypeVar("_Decorated", bound="Callable[..., object]")

ENVIRONMENT_HELP = """
    Keys come from ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and, with a temporary key,
    ALIBABA_CLOUD_SECURITY_TOKEN; else from where Alibaba Cloud's own tools find them: an OIDC token,
    ~/.aliyun/config.json, ~/.alibabacloud/credentials.ini, the role of an ECS instance, ALIBABA_CLOUD_CREDENTIALS_URI.
    Temporary keys are renewed while a run goes on. bulk.toml may name other variables, or a role to assume, for each
    account. A flag that is not given is taken from the environment if it is there: BULK_ENDPOINT,
    BULK_REGION, BULK_DIALECT, BULK_INSTANCE_ID, BULK_QPS, BULK_LIST_QPS, BULK_CONCURRENCY, BULK_MAX_ATTEMPTS,
    BULK_TIMEOUT, BULK_MAX_FAILURES, BULK_DEADLINE, BULK_LOG_FORMAT, BULK_LOG_FILE, BULK_SETTINGS,
    BULK_SETTINGS_PROFILE; else from bulk.toml, if there is one. `bulk settings` shows what is in effect, and why.
    """
"""Text below the options of a command that has ``settings_options``; a test compares it with them."""

_DEFAULTS = Settings()


def _grouped(heading: str) -> Callable[..., Callable[[_Decorated], _Decorated]]:
    return partial(click.option, cls=GroupedOption, heading=heading)


_where = _grouped("Where the modules go")
_rehearsal = _grouped("What goes wrong in the sandbox")
_fast = _grouped("How fast")
_retrying = _grouped("Retries and limits")
_reading = _grouped("How the input is read")
_which = _grouped("Which products")
_output = _grouped("What is shown")
_kept = _grouped("Settings that are kept in a file")

_PLACE = (
    _where("--endpoint", metavar="URL", envvar="BULK_ENDPOINT", help="The platform's address."),
    _where("--region", metavar="ID", envvar="BULK_REGION", help="An Alibaba Cloud region, instead of --endpoint."),
)
_BOX = _where("--sandbox", is_flag=True, help="A simulated platform instead: needs no account, changes nothing real.")
_WHOSE = (
    _where(
        "--dialect",
        type=click.Choice([dialect.value for dialect in Dialect]),
        callback=lambda _ctx, _parameter, name: name and Dialect(name),
        envvar="BULK_DIALECT",
        help="Which platform's API to speak.  [default: from the endpoint's host]",
    ),
    _where("--instance-id", metavar="ID", envvar="BULK_INSTANCE_ID", help="Alibaba's IotInstanceId, if there is one."),
    _where("--insecure-http", is_flag=True, help="Allow http:// to a host other than this one."),
    _where("--profile", metavar="NAME", help="Sign with the keys of this profile of `aliyun configure`."),
    _where(
        "--account",
        "only_accounts",
        multiple=True,
        metavar="NAME",
        callback=lambda _ctx, _parameter, names: tuple(dict.fromkeys(map(trimmed, names))),
        shell_complete=complete_account,
        help="Work only with this account of bulk.toml; may be repeated.  [default: all of them]",
    ),
)
_REHEARSAL = (
    _where(
        "--ledger", type=click.Path(), metavar="PATH", help="The job's rows and results.  [default: INPUT.ledger.db]"
    ),
    _rehearsal(
        "--faults",
        "sandbox_faults",
        type=read_faults,
        metavar="SPEC",
        help="What goes wrong on purpose; see bulk sandbox --help.",
    ),
    _rehearsal("--seed", "sandbox_seed", type=int, metavar="N", help="The same number plays the same faults again."),
)
_CREATES = _fast(
    "--qps",
    type=float,
    metavar="N",
    default=_DEFAULTS.qps,
    envvar="BULK_QPS",
    help=f"Creates a second; 0: unlimited.  [default: {_DEFAULTS.qps:g}]",
)
_LISTINGS = (
    _fast(
        "--list-qps",
        type=float,
        metavar="N",
        default=_DEFAULTS.list_qps,
        envvar="BULK_LIST_QPS",
        help=f"Listings a second; 0: unlimited.  [default: {_DEFAULTS.list_qps:g}]",
    ),
    _fast(
        "--concurrency",
        type=int,
        metavar="N",
        envvar="BULK_CONCURRENCY",
        help="Products worked on at the same time.  [default: what rate and latency need]",
    ),
)
_PLATFORM = (*_PLACE, _BOX, *_WHOSE, *_REHEARSAL, _CREATES, *_LISTINGS)
_REQUEST = (
    _retrying(
        "--max-attempts",
        type=int,
        metavar="N",
        default=_DEFAULTS.max_attempts,
        envvar="BULK_MAX_ATTEMPTS",
        help=f"How often one request is sent at most.  [default: {_DEFAULTS.max_attempts:g}]",
    ),
    _retrying(
        "--timeout",
        "timeout_s",
        type=float,
        metavar="SECONDS",
        default=_DEFAULTS.timeout_s,
        envvar="BULK_TIMEOUT",
        help=f"How long one request may take.  [default: {_DEFAULTS.timeout_s:g}]",
    ),
)
_DEADLINE = _retrying(
    "--deadline",
    "deadline_s",
    type=read_duration,
    metavar="DURATION",
    envvar="BULK_DEADLINE",
    help="Start nothing new after this time: 90s, 30m, 1h30m.",
)
_JOB = (
    *_REQUEST,
    _retrying(
        "--max-failures",
        type=read_failure_cap,
        metavar="N|N%",
        envvar="BULK_MAX_FAILURES",
        help="Stop after N failed rows, or N% of the rows tried, checked from row 100 on.",
    ),
    _DEADLINE,
)
_READING = (
    _reading(
        "--format",
        type=click.Choice(["csv", "tsv", "jsonl", "xlsx"]),
        help="Format of the input; required with stdin.  [default: from its name]",
    ),
    _reading(
        "--sheet",
        metavar="NAME",
        help="Which sheet of a workbook to read.  [default: the only one with content]",
    ),
    _reading(
        "--map",
        "columns",
        multiple=True,
        any_text=True,
        metavar="FIELD=COLUMN",
        callback=read_columns,
        help="Take a field from a column of another name or number, or from none; may be repeated.",
    ),
    _reading("--no-header", is_flag=True, help="No header: the first line is a row; columns are numbered from 1."),
    _reading(
        "--skip-lines",
        type=int,
        metavar="N",
        default=_DEFAULTS.read.skip_lines,
        help=f"Don't read the first N lines.  [default: {_DEFAULTS.read.skip_lines}]",
    ),
    _reading(
        "--null",
        "null_texts",
        multiple=True,
        metavar="TEXT",
        help="A field with this text is absent; may be repeated. '' sends NULL, nan and the like as they are.",
    ),
    _reading(
        "--encoding",
        metavar="NAME",
        help="Encoding, such as gb18030; refused if the input is UTF-8.  [default: UTF-8, or UTF-16 by its mark]",
    ),
    _reading(
        "--delimiter",
        any_text=True,
        type=read_delimiter,
        metavar="C",
        help="Character between cells; write tab for a tab.  [default: from the header]",
    ),
    _reading("--lenient-alias", is_flag=True, help="Send an AliasName with characters that are not documented."),
    _reading("--lenient-keys", is_flag=True, help="Send keys and names that look spoiled by a spreadsheet."),
)

_MAP = _reading(
    "--product-map",
    "product_map",
    type=click.Path(),
    any_text=True,  # a file may have such a name
    metavar="MAP",
    help="The input names products of another platform: use the target's, as this file of bulk map says.",
)

_WHICH = (
    _which(
        "--limit",
        type=int,
        metavar="N",
        help="Try only the first N products that have open rows; the others stay for another run.",
    ),
    _which(
        "--only",
        multiple=True,
        metavar="GLOB",
        help="Try only products whose ProductKey matches this pattern, such as 'a1Lamp*'; may be repeated.",
    ),
)
_KEPT = (
    _kept(
        "--settings",
        SETTINGS_FILE,
        type=click.Path(dir_okay=False),
        metavar="FILE",
        envvar="BULK_SETTINGS",
        is_eager=True,
        callback=read_settings_file,
        help="Read this file.  [default: ./bulk.toml, or the user's ~/.config/bulk/bulk.toml]",
    ),
    _kept(
        "--settings-profile",
        SETTINGS_PROFILE,
        metavar="NAME",
        envvar="BULK_SETTINGS_PROFILE",
        is_eager=True,
        callback=read_settings_file,
        shell_complete=complete_profile,
        help="Prefer the values below [profiles.NAME] to those at the file's top.",
    ),
)

_LOGS = (
    _output("-v", "--verbose", "verbosity", count=True, help="Log what happens; -vv logs each row and request too."),
    _output(
        "--log-format",
        type=click.Choice(["console", "json"]),
        default="console",
        envvar="BULK_LOG_FORMAT",
        help="Text, or one JSON object a line.  [default: console]",
    ),
    _output(
        "--log-file",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        envvar="BULK_LOG_FILE",
        help="Append the log to a file.  [default: stderr]",
    ),
)


def input_argument(command: _Decorated) -> _Decorated:
    """Let a command take the input's path."""
    return click.argument("input_name", metavar="INPUT", type=click.Path(allow_dash=True), callback=read_input_name)(
        command
    )


def settings_options(command: _Decorated) -> _Decorated:
    """Let a command take every option that ``settings_of`` reads."""
    return _all((*_PLATFORM, *_JOB, *_READING, _MAP, *_WHICH, *_KEPT), command)


def platform_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of ``settings_options`` that choose the platform, the keys and the rates."""
    return _all((*_PLATFORM, *_KEPT), command)


def looking_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of ``settings_options`` that matter when it only reads from the platform."""
    return _all((*_PLACE, *_WHOSE, *_LISTINGS, *_REQUEST, _DEADLINE, *_READING, *_KEPT), command)


def comparing_options(command: _Decorated) -> _Decorated:
    """Let a command take the product map, and the options that narrow a comparison."""
    limit = _which("--limit", type=int, metavar="N", help="Compare only the first N products of A.")
    only = _which(
        "--only",
        multiple=True,
        metavar="GLOB",
        help="Compare only products whose ProductKey matches this pattern, such as 'a1Lamp*'; may be repeated.",
    )
    return _all((_MAP, limit, only), command)


def working_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of ``settings_options`` that matter once the rows have been read."""
    return _all((*_PLACE, *_WHOSE[:-1], _CREATES, *_LISTINGS, *_JOB, *_KEPT), command)  # a shard names its accounts


def splitting_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of ``settings_options`` that matter when it divides an input."""
    return _all((*_PLACE, *_WHOSE, _CREATES, _LISTINGS[0], _REQUEST[1], *_READING, _MAP, *_KEPT), command)


def reading_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of ``settings_options`` that say how to read an input."""
    return _all((*_READING, *_KEPT), command)


def log_options(command: _Decorated) -> _Decorated:
    """Let a command take the options of its log."""
    return _all(_LOGS, command)


def metrics_option(command: _Decorated) -> _Decorated:
    """Let a command take the path of its metrics file."""
    return _output(
        "--metrics-file",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Keep figures for Prometheus in a file; the node exporter reads those named *.prom.",
    )(command)


def json_option(command: _Decorated) -> _Decorated:
    """Let a command print JSON for a program."""
    return _output("--json", "as_json", is_flag=True, help="Print one JSON object on stdout; the rest goes to stderr.")(
        command
    )


def _all(options: tuple[Callable[[Any], Any], ...], command: _Decorated) -> _Decorated:
    # click lists the option that is applied last first.
    decorated: _Decorated = reduce(lambda decorated, option: option(decorated), reversed(options), command)
    return decorated
