"""`bulk doctor`: test what a run needs, and say what to do about each problem."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, NamedTuple

import click

from bulk.cli.flags.amount import settings_of
from bulk.cli.flags.common import json_option, platform_options
from bulk.cli.help import GroupedCommand, GroupedOption
from bulk.cli.output import paint_for_stdout, print_json, print_lines, screen_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk.engine.checks.diagnosis import Check
    from bulk.fleet.store import Store
    from bulk.settings import Settings

__all__ = ["doctor"]


class _Stores(NamedTuple):
    """One store, opened twice, as two independent writers would open it."""

    url: str
    first: Store
    second: Store


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
    help="List the modules of this product.  [default: sample_product, or a made-up one, which must be unknown]",
)
@click.option(
    "--store",
    "store_url",
    metavar="URL",
    cls=GroupedOption,
    heading="What is asked",
    any_text=True,  # a folder may have such a name
    help="Also test the store of a fleet: a folder, s3://, oss://, gs:// or az://. Two writers race for a name there.",
)
@json_option
@click.pass_context
def doctor(
    ctx: click.Context, /, *, product_key: str | None, store_url: str | None, as_json: bool, **_settings: object
) -> int:
    """Test what a run needs: endpoint, TLS, keys, permission, clock, speed, the ledger's folder and disk.

    Sends a few listings within the granted rate and changes nothing. Each account of bulk.toml is tested, and where the
    platform can tell, the UID that its keys belong to is shown. Of many accounts, only those with problems are shown in
    full.
    """
    settings = settings_of(ctx)
    stores = _opened_twice(store_url)
    if settings.accounts:
        return _of_accounts(settings, product_key, stores, as_json=as_json)
    # --help and a mistyped flag need not wait for the HTTP client that the engine loads.
    from bulk.engine.checks.diagnosis import exit_code  # noqa: PLC0415 - see above
    from bulk.engine.checks.doctor import examine  # noqa: PLC0415 - see above

    checks = [*asyncio.run(examine(settings, product_key=product_key)), *_store_checks(stores)]
    if as_json:
        print_json({"checks": [asdict(check) for check in checks], "exit_code": exit_code(checks)})
    else:
        _print(checks)
    return exit_code(checks)


def _of_accounts(settings: Settings, product_key: str | None, stores: _Stores | None, *, as_json: bool) -> int:
    from bulk.cli.screens.doctor import account_lines  # noqa: PLC0415 - see above
    from bulk.engine.checks.diagnosis import exit_code  # noqa: PLC0415 - see above
    from bulk.engine.checks.doctor import examine_accounts  # noqa: PLC0415 - see above

    found = asyncio.run(examine_accounts(settings, product_key=product_key))
    found = replace(found, checks=(*found.checks, *_store_checks(stores)))
    code = exit_code(found.all_checks)
    if as_json:
        accounts = {name: {"checks": [asdict(check) for check in checks]} for name, checks in found.accounts.items()}
        print_json({"checks": [asdict(check) for check in found.checks], "accounts": accounts, "exit_code": code})
    else:
        print_lines(account_lines(found, width=screen_width(), paint=paint_for_stdout()))
    return code


def _opened_twice(url: str | None) -> _Stores | None:
    """Open a store for each of two writers. A URL that can't be a store's is refused before any test runs."""
    if url is None:
        return None
    from bulk.fleet.store_url import open_store  # noqa: PLC0415 - see above

    return _Stores(url, open_store(url), open_store(url))


def _store_checks(stores: _Stores | None) -> Sequence[Check]:
    if stores is None:
        return ()
    from bulk.fleet.store_check import check_store  # noqa: PLC0415 - see above

    return [asyncio.run(check_store(stores.first, stores.second, url=stores.url))]


def _print(checks: Sequence[Check]) -> None:
    from bulk.cli.screens.doctor import check_lines  # noqa: PLC0415 - see above

    width, paint = screen_width(), paint_for_stdout()
    print_lines(line for check in checks for line in check_lines(check, width=width, paint=paint))
