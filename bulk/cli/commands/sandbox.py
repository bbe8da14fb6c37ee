"""`bulk sandbox`: serve a simulated platform until stopped."""

from __future__ import annotations

import asyncio
import re
import signal
import textwrap
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import tell
from bulk.errors import SettingsError
from bulk.model import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from bulk.sandbox import Sandbox, SandboxConfig

__all__ = ["sandbox"]

_DATA_SHAPES: Final = ("list", "wrapped", "single", "null-when-empty")
_PACKAGE_SHAPES: Final = ("wrapped", "list")
_GMT_FORMS: Final = ("minutes", "http", "absent", "garbled")


class _SandboxCommand(GroupedCommand):
    """A command whose help ends with the grammars. Each grammar is written beside the code that reads it."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, module in _grammars():
            _, _, grammar = (module.__doc__ or "").partition("\n\n")
            with formatter.section(heading):
                indent = " " * formatter.current_indent
                for line in grammar.strip("\n").splitlines():
                    for part in _within(line, formatter.width - len(indent)):
                        formatter.write(f"{indent}{part}\n" if part else "\n")
        super().format_epilog(ctx, formatter)


def _within(line: str, width: int) -> list[str]:
    """Return a line of a grammar on as many lines as needed; its last column stays a column."""
    if len(line) <= width:
        return [line]
    columns = re.match(r"\s*\S.*?\s{2,}|\s*", line)
    beginning = columns.group() if columns else ""
    text = line[len(beginning) :]
    comment = "# " if text.startswith("# ") else ""
    return textwrap.wrap(
        text,
        width,
        initial_indent=beginning,
        subsequent_indent=" " * len(beginning) + comment,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _grammars() -> Iterator[tuple[str, ModuleType]]:
    from bulk.sandbox import faults, rival  # noqa: PLC0415 - on demand: `bulk --help` must not import aiohttp
    from bulk.sandbox.accounts import file  # noqa: PLC0415 - on demand, as above

    yield from (("Faults", faults), ("Rival", rival), ("Accounts file", file))


def _grouped(heading: str) -> Callable[..., Callable[[Callable[..., None]], Callable[..., None]]]:
    return partial(click.option, cls=GroupedOption, heading=heading)


_place = _grouped("Where it listens")
_cloud = _grouped("What the cloud holds")
_limits = _grouped("Who may ask, and how often")
_readings = _grouped("Where the documents are silent")
_trouble = _grouped("What goes wrong")

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
_RATE: Final = click.FloatRange(min=0)


@click.command(cls=_SandboxCommand)
@_place("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@_place("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@_place("--expose", is_flag=True, help="Let --host be an address that other machines can reach.")
@_cloud("--state", metavar="FILE", type=_FILE, help="Keep the cloud here.")
@_cloud("--dump", is_flag=True, help="Print the cloud as JSON, by account if there are several, and exit.")
@_cloud("--products", metavar="FILE|any", default="any", show_default=True, help="ProductKeys, one a line.")
@_cloud("--world", metavar="FILE", type=_FILE, help="Start with these products, modules, packages (TOML or JSON).")
@_cloud("--starting-world/--empty", default=True, help="Give a fresh state its demo products, or none.")
@_limits("--accounts", metavar="FILE", type=_FILE, help="Serve several accounts; see below.")
@_limits("--qps", default=10.0, show_default=True, type=_RATE, help="Creates a second; 0: any. Updates, deletes alike.")
@_limits("--list-qps", default=10.0, show_default=True, type=_RATE, help="Listings a second; 0: any. Packages alike.")
@_limits("--rate", metavar="ACTION=N", multiple=True, help="Another limit a second for one action; 0: any.")
@_limits("--deny", metavar="ACTION", multiple=True, help="An action that the key may not call.")
@_limits("--denied-code", metavar="CODE", default="Forbidden.RAM", show_default=True, help="The answer to that.")
@_limits("--instance-id", metavar="ID", help="IotInstanceId that alibaba requests must name.")
@_limits("--dialect", type=click.Choice([dialect.value for dialect in Dialect]), help="Speak only this dialect.")
@_readings("--data-shape", type=click.Choice(_DATA_SHAPES), default="list", show_default=True, help="Of listings.")
@_readings(
    "--package-shape", type=click.Choice(_PACKAGE_SHAPES), default="wrapped", show_default=True, help="Of packages."
)
@_readings("--gmt-form", type=click.Choice(_GMT_FORMS), default="minutes", show_default=True, help="Of GmtCreate.")
@_readings(
    "--update-omitted",
    type=click.Choice(("keeps", "clears")),
    default="keeps",
    show_default=True,
    help="What an update does to a text that it leaves out.",
)
@_readings("--list-default/--hide-default", default=True, help="Show the module default in listings, or hide it.")
@_readings("--unguarded-tuya-deletes", is_flag=True, help="Let tuya delete default, and modules with packages.")
@_readings(
    "--token-life",
    "token_life_s",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    help="How long temporary keys are good, whatever was asked for.",
)
@_trouble("--faults", metavar="SPEC", default="", help="What is to go wrong; see below.")
@_trouble("--rival", metavar="SPEC", help="Who else changes the cloud meanwhile; see below.")
@_trouble("--seed", default=0, show_default=True, help="The same seed plays the same faults and the same rival.")
@_trouble("--arrivals", metavar="FILE", type=_FILE, help="Write every request there, one JSON object a line.")
def sandbox(*, dump: bool, **options: Any) -> None:  # noqa: ANN401 - click hands over what the options above say
    """Serve a simulated platform until stopped by Ctrl-C or SIGTERM.

    First prints three export lines: paste them into another shell, and `bulk run` there finds the sandbox. With
    --accounts it prints the endpoint, and two lines for each account: NAME_ACCESS_KEY_ID and NAME_ACCESS_KEY_SECRET.
    With --state the next sandbox on the same file has the same cloud, even after a kill -9.
    """
    config = _config(**options)
    if dump:
        from bulk.sandbox.worlds.cloud import dumped  # noqa: PLC0415 - on demand, as above

        click.echo(dumped(config), nl=False)
        return
    with asyncio.Runner() as runner:
        runner.run(_serve(config))


async def _serve(config: SandboxConfig) -> None:
    from bulk.sandbox import Sandbox  # noqa: PLC0415 - on demand: `bulk --help` must not import aiohttp

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        ending.remove(signal.SIGHUP)  # under nohup
    for number in ending:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
    async with Sandbox(config) as platform:
        _announce(platform)
        await stopped.wait()


def _announce(platform: Sandbox) -> None:
    click.echo(f"export BULK_ENDPOINT={platform.endpoint}")
    for name in platform.accounts:
        prefix = re.sub(r"\W", "_", name, flags=re.ASCII).upper() or "ALIBABA_CLOUD"
        credentials = platform.credentials_of(name)
        click.echo(f"export {prefix}_ACCESS_KEY_ID={credentials.access_key_id}")
        click.echo(f"export {prefix}_ACCESS_KEY_SECRET={credentials.access_key_secret}")
    tell("The sandbox is serving; Ctrl-C stops it.")


def _config(*, accounts: Path | None, **options: Any) -> SandboxConfig:  # noqa: ANN401 - as above
    from bulk.sandbox import SandboxConfig  # noqa: PLC0415 - on demand, as above
    from bulk.sandbox.accounts.file import read_accounts  # noqa: PLC0415 - on demand, as above

    told = {
        name: value if value is None or name not in _READERS else _READERS[name](value)
        for name, value in options.items()
    }
    told["denied"], told["rates"] = told.pop("deny"), told.pop("rate")
    if accounts and told["world"]:
        raise SettingsError("--world is for a sandbox with one account: name it in the accounts file, as world = FILE")
    defaults = {name: told[name] for name in _OF_EACH_ACCOUNT}
    served = read_accounts(accounts, defaults=defaults) if accounts else ()
    return SandboxConfig(accounts=served, **told)


def _rates(told: tuple[str, ...]) -> dict[str, float]:
    from bulk.sandbox.accounts.file import window_name  # noqa: PLC0415 - on demand, as above

    rates = {}
    for part in told:
        name, _, value = part.partition("=")
        try:
            rates[window_name(name)] = float(value)
        except ValueError as exc:
            raise SettingsError(f"--rate {part}: {exc}; write --rate packages=5") from exc
    return rates


def _denied(told: tuple[str, ...]) -> frozenset[str]:
    from bulk.sandbox.accounts.file import action_names  # noqa: PLC0415 - on demand, as above

    try:
        return action_names(told)
    except ValueError as exc:
        raise SettingsError(f"--deny: {exc}") from exc


def _product_keys(source: str) -> frozenset[str] | None:
    from bulk.sandbox.accounts.file import product_keys  # noqa: PLC0415 - on demand, as above

    try:
        return None if source == "any" else product_keys(Path(source))
    except ValueError as exc:
        raise SettingsError(f"--products {exc}") from exc


def _named(name: str) -> Callable[[Any], Any]:
    """Return a reader that is part of the sandbox. It is imported only when there is a value to read."""

    def read(value: Any) -> Any:  # noqa: ANN401 - as the sandbox has it
        import bulk.sandbox  # noqa: PLC0415 - on demand, as above

        reader = getattr(bulk.sandbox, name)
        return getattr(reader, "parse", reader)(value)

    return read


_OF_EACH_ACCOUNT: Final = ("qps", "list_qps", "rates", "denied", "products", "instance_id", "seed")
"""Options that apply to each account of a file, unless the file sets its own value."""

_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "data_shape": _named("DataShape"),
    "deny": _denied,
    "dialect": Dialect,
    "faults": _named("FaultPlan"),
    "gmt_form": _named("GmtForm"),
    "package_shape": _named("PackageShape"),
    "products": _product_keys,
    "rate": _rates,
    "rival": _named("RivalPlan"),
    "update_omitted": _named("Omitted"),
    "world": _named("read_seed"),
}
"""Options that are more than a text or a number → the function that reads the value."""
