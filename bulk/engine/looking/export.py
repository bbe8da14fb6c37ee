"""Write what an account has as an input: all products or some, every custom module, completely or not at all.

Rows go to a temporary file of each account, in the order of their ProductKeys. So memory stays flat, and two exports of
one state are the same file.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from bulk.atomic import replaced
from bulk.conditions import explain_os_error
from bulk.engine.accounts import accounts_of
from bulk.engine.looking.manifest import ALL, AccountExport, Exported, manifest_bytes, manifest_path
from bulk.engine.looking.opening import ahead_of, opened_lookers
from bulk.engine.looking.order import in_order, side_by_side, until_stopped
from bulk.engine.looking.wanted import wanted_products
from bulk.engine.sessions.requests import spoken
from bulk.engine.stop import StopSignal
from bulk.engine.threads import in_thread
from bulk.errors import SettingsError, StoppedError, UnreadError
from bulk.events import LookStarted, ignore
from bulk.exits import ExitCode
from bulk.model import Failure, Listing, OtaModule, Product
from bulk.rows.products.expansion import FORMATS
from bulk.rows.products.module_rows import MODULE_ENCODERS, custom_modules
from bulk.rows.products.read_back import Written, read_otherwise, settings_for_reading_back

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.looking.looker import Looker
    from bulk.events import Listener
    from bulk.rows.products.module_rows import ModuleEncoder
    from bulk.settings import ReadSettings, Settings

__all__ = ["ALL", "Exported", "export"]

_MOST_NAMED = 20
_WRITTEN_TOGETHER = 1_000
_COPIED_BYTES = 1 << 18


async def export(
    output: str | Path,
    settings: Settings,
    *,
    products: str = ALL,
    distributed: bool = False,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Exported:
    """Write the modules that accounts have on the platform as an input, and a manifest beside it. Nothing is changed.

    Args:
        output: Where to; its name ends in ``.csv``, ``.jsonl`` or ``.ndjson``.
        settings: Which accounts, and how fast.
        products: ``all``, or the path of a file with a column ProductKey.
        distributed: With ``all``, also export products that another account distributed to this one. Products of a
            file are always exported, no matter which account owns them.
        credentials: Keys to sign with: one provider for all, or account → provider; default: as the settings say.
        listener: Learns what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used, or the file can't be written there.
        InputError: The file of products can't be read.
        UnreadError: A product can't be read; no file was written.
        StoppedError: A stop was requested; no file was written.
    """
    path = Path(output)
    written = FORMATS.get(path.suffix.lower())
    if written is None:
        raise SettingsError(f"{path}: its name does not tell a format; end it in .csv, .jsonl or .ndjson")
    stop = stop or StopSignal()
    accounts = tuple(account for account in accounts_of(settings) if account.is_tried)
    job = _Export(
        path=path,
        encoder=MODULE_ENCODERS[written](names_accounts=bool(settings.accounts)),
        accounts=accounts,
        products=products,
        takes_distributed=distributed or products != ALL,
        read_back=settings_for_reading_back(written, settings.read),
        listener=listener,
        stop=stop,
    )
    await in_thread(_refuse_unwritable, path)
    return await until_stopped(
        job.run(settings, credentials),
        stop,
        consequence=f"nothing was written, {path} is as it was",
        deadline_s=settings.deadline_s,
    )


@dataclass(kw_only=True)
class _Found:
    """What was found in one account so far."""

    spool: BinaryIO
    done: AccountExport
    unread: list[tuple[str, str]] = field(default_factory=list)
    """ProductKey, and why it can't be read."""


@dataclass(kw_only=True)
class _Export:
    """One export."""

    path: Path
    encoder: ModuleEncoder
    accounts: Sequence[Account]
    products: str
    takes_distributed: bool
    read_back: ReadSettings
    """How a run will read the file."""

    listener: Listener
    stop: StopSignal
    _announced: int = 0

    async def run(
        self, settings: Settings, credentials: CredentialProvider | Mapping[str, CredentialProvider] | None
    ) -> Exported:
        at = time.time()
        wanted = await self._wanted(settings)
        stops = {account.name: self.stop for account in self.accounts}
        async with (
            AsyncExitStack() as spools,
            opened_lookers(self.accounts, credentials=credentials, stops=stops, listener=self.listener) as lookers,
        ):
            works = [
                self._account(account, lookers[account.name], None if wanted is None else wanted[account.name], spools)
                for account in self.accounts
            ]
            found = await side_by_side(works)
            self._refuse_unread(found)
            return await in_thread(self._write, found, at)

    async def _wanted(self, settings: Settings) -> Mapping[str, tuple[str, ...]] | None:
        if self.products == ALL:
            return None
        return await in_thread(
            wanted_products,
            self.products,
            settings.read,
            accounts=tuple(settings.accounts) or ("",),
            tried=[account.name for account in self.accounts],
            while_waiting=self._obey,
        )

    def _obey(self) -> None:
        if self.stop.requested:
            raise StoppedError(self.stop.reason or "", exit_code=self.stop.exit_code or ExitCode.STOPPED)

    async def _account(
        self, account: Account, looker: Looker, wanted: tuple[str, ...] | None, spools: AsyncExitStack
    ) -> _Found:
        spool = cast("BinaryIO", await in_thread(tempfile.TemporaryFile))
        spools.callback(spool.close)
        found = _Found(spool=spool, done=AccountExport(account=account.name, target=account.target))
        keys = await self._listed(account, looker) if wanted is None else [Product(key, "") for key in wanted]
        self._announced += len(keys)
        self.listener(LookStarted("Exporting", self._announced))
        asked = in_order(sorted(keys), partial(self._product, looker), ahead=ahead_of(account.settings))
        waiting: list[Written] = []
        async with aclosing(asked):
            async for product, modules in asked:
                if isinstance(modules, str):
                    found.unread.append((product.product_key, modules))
                    continue
                waiting += self._taken(found, product, modules)
                if len(waiting) >= _WRITTEN_TOGETHER:
                    await in_thread(self._spool, found, waiting)
                    waiting = []
        await in_thread(self._spool, found, waiting)
        return found

    async def _listed(self, account: Account, looker: Looker) -> Sequence[Product]:
        products = await looker.list_products()
        if isinstance(products, Failure):
            whose = f"account {account.name}: " if account.name else ""
            raise UnreadError(
                f"{whose}the list of products can't be read: {spoken(products)}; nothing was written, "
                f"{self.path} is as it was"
            )
        return products or ()

    async def _product(self, looker: Looker, listed: Product) -> tuple[Product, Sequence[OtaModule] | str | None]:
        """Return a product with its modules, or why they can't be read, or ``None`` if the product is left out."""
        product = listed
        if listed.is_owned is None:
            shown = await looker.show_product(listed.product_key)
            if not isinstance(shown, Product):
                return listed, spoken(shown) if shown else ""
            product = shown._replace(name=shown.name or listed.name)
        if product.is_owned is False and not self.takes_distributed:
            return product, None
        listing = await looker.list_modules(product.product_key)
        if not isinstance(listing, Listing):
            return product, spoken(listing) if listing else ""
        return product, custom_modules(listing.modules)

    def _taken(self, found: _Found, product: Product, modules: Sequence[OtaModule] | None) -> list[Written]:
        found.done.add(product, None if modules is None else len(modules))
        account = found.done.account
        return [Written(self.encoder.row(account, product, module), module) for module in modules or ()]

    def _spool(self, found: _Found, rows: Sequence[Written]) -> None:
        found.spool.write(b"".join(one.row for one in rows))
        for one in read_otherwise(self.encoder.header(), rows, self.read_back):
            found.done.note_read_otherwise(one)

    def _refuse_unread(self, found: Iterable[_Found]) -> None:
        unread = [(each.done.account, *one) for each in found for one in each.unread]
        if not unread:
            return
        lines = [
            f"{f'account {account}, ' if account else ''}{key}: {reason}"
            for account, key, reason in unread[:_MOST_NAMED]
        ]
        more = [f"and {len(unread) - _MOST_NAMED:,} more"] if len(unread) > _MOST_NAMED else []
        said = "one product" if len(unread) == 1 else f"{len(unread):,} products"
        raise UnreadError(
            "\n  ".join([f"{said} can't be read, so nothing was written, and {self.path} is as it was:", *lines, *more])
            + "\nIf a product was deleted meanwhile, run again"
        )

    def _write(self, found: Sequence[_Found], at: float) -> Exported:
        digest, size = sha256(), 0
        with _writable(self.path), replaced(self.path) as out, replaced(manifest_path(self.path)) as manifest:
            for part in self._parts(found):
                digest.update(part)
                size += len(part)
                out.write(part)
            done = Exported(
                path=str(self.path),
                sha256=digest.hexdigest(),
                bytes=size,
                began_at=at,
                ended_at=time.time(),
                products_of=self.products,
                accounts=tuple(each.done for each in found),
            )
            manifest.write(manifest_bytes(done))
        return done

    def _parts(self, found: Sequence[_Found]) -> Iterable[bytes]:
        yield self.encoder.header()
        for each in found:
            each.spool.seek(0)
            while part := each.spool.read(_COPIED_BYTES):
                yield part


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise SettingsError(f"{path}: it can't be written ({explain_os_error(exc)}); name another file") from exc


def _refuse_unwritable(path: Path) -> None:
    """Refuse now: otherwise you would learn only after minutes of reading that the file can't be written."""
    with _writable(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
