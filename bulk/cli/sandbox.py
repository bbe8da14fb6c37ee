"""`bulk sandbox`: serve the platform in a box until stopped."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulk.cli.output import tell
from bulk.errors import SettingsError
from bulk.model import Dialect

if TYPE_CHECKING:
    from bulk.sandbox import Sandbox, SandboxConfig

__all__ = ["sandbox"]

_DATA_SHAPES = ("list", "wrapped", "single", "null-when-empty")


class _SandboxCommand(click.Command):
    """A command whose help ends with the grammar of faults, which stands where faults are read."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from bulk.sandbox import faults  # noqa: PLC0415 - on demand: `bulk --help` must not import aiohttp

        _, _, grammar = (faults.__doc__ or "").partition("\n\n")
        with formatter.section("Faults"):
            for line in grammar.strip().splitlines():
                formatter.write(f"{' ' * formatter.current_indent}{line}\n" if line else "\n")
        super().format_epilog(ctx, formatter)


@click.command(cls=_SandboxCommand)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="Port; 0: any free one.")
@click.option("--expose", is_flag=True, help="Let --host be an address that other machines can reach.")
@click.option("--state", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Keep the cloud here.")
@click.option("--qps", default=10.0, show_default=True, type=click.FloatRange(min=0), help="Creates a second; 0: any.")
@click.option("--list-qps", default=10.0, show_default=True, type=click.FloatRange(min=0), help="Listings a second.")
@click.option("--products", metavar="FILE|any", default="any", show_default=True, help="ProductKeys, one a line.")
@click.option(
    "--dialect",
    type=click.Choice([dialect.value for dialect in Dialect]),
    help="The only dialect to speak; else each request's own.",
)
@click.option("--instance-id", metavar="ID", help="IotInstanceId that alibaba requests must name.")
@click.option("--data-shape", type=click.Choice(_DATA_SHAPES), default="list", show_default=True, help="Of listings.")
@click.option("--faults", metavar="SPEC", default="", help="What is to go wrong; see below.")
@click.option("--seed", default=0, show_default=True, help="The same seed makes the same requests fail.")
@click.option("--starting-world/--empty", default=True, help="Give a fresh state its demo products, or none.")
def sandbox(**options: Any) -> None:  # noqa: ANN401 - click hands over what the options above say
    """Serve the platform in a box until stopped by Ctrl-C or SIGTERM.

    First prints three export lines: paste them into another shell, and `bulk run` there finds the sandbox. With --state
    the next sandbox on the same file meets the same cloud, even after a kill -9.
    """
    with asyncio.Runner() as runner:
        runner.run(_serve(_config(**options)))


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
    credentials = platform.credentials
    click.echo(f"export BULK_ENDPOINT={platform.endpoint}")
    click.echo(f"export ALIBABA_CLOUD_ACCESS_KEY_ID={credentials.access_key_id}")
    click.echo(f"export ALIBABA_CLOUD_ACCESS_KEY_SECRET={credentials.access_key_secret}")
    tell("The sandbox is serving; Ctrl-C stops it.")


def _config(*, products: str, dialect: str | None, data_shape: str, faults: str, **options: Any) -> SandboxConfig:  # noqa: ANN401
    from bulk.sandbox import DataShape, FaultPlan, SandboxConfig  # noqa: PLC0415 - on demand, as above

    return SandboxConfig(
        products=_product_keys(products),
        dialect=Dialect(dialect) if dialect else None,
        data_shape=DataShape(data_shape),
        faults=FaultPlan.parse(faults),
        **options,
    )


def _product_keys(source: str) -> frozenset[str] | None:
    if source == "any":
        return None
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"--products {source} can't be read as UTF-8 text: {exc}") from exc
    return frozenset(line.strip() for line in text.splitlines() if line.strip())
