"""`bulk fleet run`: work on all shards of a fleet; an engine starts the workers."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulk.cli.commands.fleet.work import work_by_text
from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import json_option, working_options
from bulk.cli.flags.places import work_folder_option
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import print_json, print_lines
from bulk.cli.streams import ended_in_time
from bulk.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bulk.cli.invocation import Invocation
    from bulk.engine.stop import StopSignal
    from bulk.fleet.driver import FleetSummary
    from bulk.fleet.engines import Engine
    from bulk.fleet.manifest import Manifest
    from bulk.fleet.store import Store

__all__ = ["run"]

_HOW = "How it is shared"
_MOST_PROCESSES = 1_000
_OWN_FLAGS = frozenset({"--json", "--insecure-dask"})
_OWN_OPTIONS = frozenset({"--engine", "--deadline"})


@click.command(
    cls=GroupedCommand,
    epilog="""
    Options that bulk fleet work takes too are passed on to the workers. The driver keeps nothing: if it is
    killed, run the same command again. A shard is given up after five tries in a row without progress.

    \b
    Exit codes:
      0  every row is provisioned: created, exists or duplicate
      1  finished, but some rows are not
      2  a flag, a setting or the store can't be used
      3  shards were given up, or the engine was out of reach for a minute
      130, 143  interrupted by Ctrl-C, by SIGTERM or SIGHUP
    """,
)
@click.argument("url", metavar="URL")
@click.option(
    "--engine",
    "engine_name",
    required=True,
    metavar="local:N|dask:ADDRESS",
    cls=GroupedOption,
    heading=_HOW,
    help="What starts the workers: N processes of this machine, or the Dask scheduler at ADDRESS, a shard a worker.",
)
@click.option(
    "--insecure-dask",
    is_flag=True,
    cls=GroupedOption,
    heading=_HOW,
    help="Allow tcp:// to a scheduler on another machine: anyone who reaches it can run programs on its workers.",
)
@work_folder_option(_HOW)
@working_options
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    /,
    url: str,
    *,
    engine_name: str,
    insecure_dask: bool,
    work_folder: str | None,
    as_json: bool,
    **_settings: object,
) -> int:
    """Work on all shards of the fleet in the store URL, and show how far they are.

    Workers take settings and keys from the machine and the environment that they run in, not from the store.
    """
    settings = settings_of(ctx)  # a mistake must fail here, not in every worker
    # --help and a mistyped flag need not wait for what follows.
    from bulk.cli.execution import execute  # noqa: PLC0415 - see above
    from bulk.engine.stop import StopSignal  # noqa: PLC0415 - see above
    from bulk.fleet.store_url import open_store  # noqa: PLC0415 - see above

    invocation: Invocation = ctx.obj
    kind, _, where = engine_name.partition(":")
    _check_engine(kind, where, insecure_dask=insecure_dask)
    store, stop = open_store(url), StopSignal()
    words = _words_of_worker(invocation.arguments, url)
    folder = Path(work_folder) if work_folder else None

    async def drive() -> FleetSummary:
        if settings.deadline_s is not None:
            reason = f"the deadline of {settings.deadline_s:g} s is over; run again to go on"
            asyncio.get_running_loop().call_later(settings.deadline_s, stop.request, reason)
        return await _drive(store, url, kind, where, words, folder, stop)

    summary = execute(drive, stop)
    with ended_in_time(stop.exit_code):
        if as_json:
            print_json(asdict(summary))
        else:
            _show(summary, invocation)
    return summary.exit_code


def _check_engine(kind: str, where: str, *, insecure_dask: bool) -> None:
    if kind == "local" and where.isdecimal() and 0 < int(where) <= _MOST_PROCESSES:
        return
    if kind != "dask":
        raise SettingsError(f"--engine takes local:N, with N from 1 to {_MOST_PROCESSES:,}, or dask:ADDRESS")
    from importlib.util import find_spec  # noqa: PLC0415 - needed for this engine only

    from bulk.distribution import DISTRIBUTION  # noqa: PLC0415 - as above
    from bulk.fleet.engines.address import check_address  # noqa: PLC0415 - as above

    check_address(where, is_insecure_fine=insecure_dask)
    if find_spec("distributed") is None:
        raise SettingsError(f"this engine needs the package distributed: pip install '{DISTRIBUTION}[dask]'")


def _words_of_worker(arguments: Sequence[str], url: str) -> list[str]:
    """Return the arguments of `bulk fleet work` that mean the same as these arguments of `bulk fleet run`."""
    kept: list[str] = []
    leading = ["fleet", "run"]
    rest = iter(arguments)
    for argument in rest:
        if leading and argument == leading[0]:
            leading.pop(0)
        elif argument in _OWN_OPTIONS:
            next(rest, None)
        elif argument not in _OWN_FLAGS and argument != url and argument.partition("=")[0] not in _OWN_OPTIONS:
            kept.append(argument)
    return [_absolute(url), *kept]


def _absolute(url: str) -> str:
    """Return a store's URL that names the same store from any working folder."""
    return url if "://" in url else str(Path(url).absolute())


async def _drive(
    store: Store, url: str, kind: str, where: str, words: Sequence[str], folder: Path | None, stop: StopSignal
) -> FleetSummary:
    from bulk.cli.screens.fleet import FleetScreen  # noqa: PLC0415 - `--help` need not wait for it
    from bulk.fleet.assignment import wait_for_manifest  # noqa: PLC0415 - as above
    from bulk.fleet.driver import drive, ended_name  # noqa: PLC0415 - as above

    manifest = await wait_for_manifest(store, url, stop)
    ended_by = ended_name(secrets.token_hex(8))
    engine, close = _engine(kind, where, words, folder, manifest, ended_by)
    try:
        with FleetScreen() as screen:
            return await drive(store, manifest, engine, url=url, stop=stop, ended_by=ended_by, show=screen.show)
    finally:
        await close()


def _engine(
    kind: str, where: str, words: Sequence[str], folder: Path | None, manifest: Manifest, ended_by: str
) -> tuple[Engine, Callable[[], Awaitable[None]]]:
    if kind == "dask":
        from bulk.fleet.engines.dask import DaskEngine  # noqa: PLC0415 - as above

        dask = DaskEngine(where, work_by_text, words, ended_by=ended_by)
        return dask, dask.close
    from bulk.fleet.engines.local import LocalEngine  # noqa: PLC0415 - as above
    from bulk.fleet.local import folder_of  # noqa: PLC0415 - as above

    local = LocalEngine(words, processes=int(where), logs=folder_of(folder, manifest.split))
    return local, local.close


def _show(summary: FleetSummary, invocation: Invocation) -> None:
    from bulk.cli.screens.fleet import summary_lines  # noqa: PLC0415 - `--help` need not wait for it

    print_lines(summary_lines(summary, invocation.again))
