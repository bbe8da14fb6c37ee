"""Split an input into shards: whole rate groups, so that no two machines share a limit of the platform."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from bulk.engine.accounts import accounts_of
from bulk.engine.job import map_of
from bulk.engine.threads import in_thread
from bulk.errors import InputError, SettingsError, StoppedError
from bulk.events import InputRead, ignore
from bulk.exits import ExitCode
from bulk.fleet.lease import Terms
from bulk.fleet.manifest import MANIFEST, Manifest, Member, Shard, sha256_of
from bulk.fleet.slices import slice_line
from bulk.fleet.store import ABSENT, Outage, Put
from bulk.model import AccountNames
from bulk.rows.products.mapped import open_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk.engine.accounts import Account
    from bulk.engine.stop import StopSignal
    from bulk.events import Listener
    from bulk.fleet.store import Absent, Store
    from bulk.model.inputs import InputFound, ReadRows
    from bulk.rows.products.product_map import ProductMap
    from bulk.settings import Settings

__all__ = ["MOST_ACCOUNTS", "member_of", "shards_of", "split"]

MOST_ACCOUNTS = 150
"""How many accounts fit a process. A larger rate group is still one shard: it can't be divided."""

_BATCH_ROWS = 1_000

_ANOTHER = (
    "the store has a fleet already, of other rows, shards or settings: name an empty folder or path. One store is one"
    " input"
)


class _Written(NamedTuple):
    """The written shards of an input."""

    shape: str
    rows: list[int]
    """Rows of each shard."""

    found: InputFound


@dataclass(slots=True)
class _Slice:
    """A shard's file while it is written."""

    file: BinaryIO
    rows: int = 0


@dataclass(slots=True)
class _Products:
    """Account of each product: under two accounts of one target its modules would be counted twice."""

    file: str
    targets: Mapping[str, str]
    owners: dict[tuple[str, str], tuple[str, int]] = field(default_factory=dict)

    def note(self, account: str, product_key: str, line: int) -> None:
        owner, first = self.owners.setdefault((self.targets[account], product_key), (account, line))
        if owner != account:
            raise InputError(
                f"ProductKey {product_key!r} is of the account {owner!r} in line {first} and of {account!r} here, and"
                " both are on one platform: its modules would be counted twice. Give it to one of them",
                file=self.file,
                line=line,
            )


async def split(
    input_name: str,
    settings: Settings,
    store: Store,
    *,
    stop: StopSignal,
    shards: int | None = None,
    terms: Terms | None = None,
    listener: Listener = ignore,
) -> Manifest:
    """Store an input's shards, and then the manifest that names them. A second call changes nothing.

    Args:
        input_name: Path of the input; ``-`` for stdin.
        settings: Name the accounts, and say how to read the input.
        store: A store without a fleet, or with a fleet of the same rows.
        stop: Ends it early; no manifest then names what was stored.
        shards: How many; ``None``: as few as possible.
        terms: Durations of the lease; ``None``: suitable for real machines.
        listener: Receives what was found in the input.

    Raises:
        SettingsError: An account has no rate group, or the store has a fleet of another input or does not answer.
        InputError: The input or the map of its products can't be read, the map is for another target, or a product
            belongs to two accounts.
        StoppedError: A stop was requested.
    """
    accounts = accounts_of(settings)
    product_map = await map_of(settings, accounts)
    parts = shards_of([account for account in accounts if account.is_tried], shards)
    before = _read(await store.get(MANIFEST))
    with TemporaryDirectory(prefix="bulk-split-") as name:
        folder, split_id = Path(name), secrets.token_hex(8)
        written = await in_thread(_write_slices, input_name, settings, accounts, product_map, parts, folder, stop)
        listener(InputRead(written.found))
        made = [
            await in_thread(_shard, folder / str(number), number, part, written.rows[number], split_id)
            for number, part in enumerate(parts)
        ]
        manifest = Manifest(
            split=split_id,
            input=input_name,
            shape=written.shape,
            rows=sum(written.rows),
            terms=terms or Terms(request_timeout_s=settings.timeout_s),
            shards=tuple(made),
            members={account.name: member_of(account) for account in accounts if account.is_tried},
        )
        if before is not None:
            return _expect_same(before, manifest)
        for shard in made:
            _expect_stored(await store.overwrite(shard.file, folder / str(shard.number)))
    end = await store.put_if_absent(MANIFEST, manifest.encoded())
    _expect_stored(end)
    later = _read(await store.get(MANIFEST)) if end is Put.EXISTS else None
    return _expect_same(later, manifest) if later else manifest


def _shard(path: Path, number: int, accounts: Iterable[str], rows: int, split_id: str) -> Shard:
    return Shard(
        number=number, accounts=tuple(accounts), rows=rows, sha256=sha256_of(path), file=f"input/{split_id}.{number}"
    )


def member_of(account: Account) -> Member:
    """Return what a fleet must know about an account.

    Raises:
        SettingsError: It has no rate group that is the same on all machines.
    """
    return Member(
        group=_group_of(account),
        target=account.target,
        create_per_s=account.settings.qps,
        list_per_s=account.settings.list_qps,
    )


def shards_of(accounts: Sequence[Account], shards: int | None = None) -> list[list[str]]:
    """Return the names of the accounts of each shard.

    Args:
        accounts: The accounts that are tried.
        shards: How many; ``None``: as few as possible with up to `MOST_ACCOUNTS` each.

    Raises:
        SettingsError: An account has no rate group that is the same on all machines, or there are fewer groups than
            shards.
    """
    groups: dict[str, list[str]] = {}
    for account in accounts:
        groups.setdefault(_group_of(account), []).append(account.name)
    count = -(-len(accounts) // MOST_ACCOUNTS) if shards is None else shards
    if not 0 < count <= len(groups):
        raise SettingsError(
            f"--shards {count}: there are {len(groups)} rate groups, and a shard is one or more;"
            f" give 1 to {len(groups)}"
        )
    while True:
        parts: list[list[str]] = [[] for _ in range(count)]
        for group in sorted(groups.values(), key=len, reverse=True):
            min(parts, key=len).extend(group)
        if shards is not None or count == len(groups) or max(map(len, parts)) <= MOST_ACCOUNTS:
            return parts
        count += 1


def _group_of(account: Account) -> str:
    group = account.settings.rate_group or account.keys.uid
    if not account.name:
        raise SettingsError(
            "a fleet shares accounts out, and the settings name none: write [accounts.NAME] in bulk.toml"
        )
    if not group:
        raise SettingsError(
            f"the account {account.name!r} has neither rate_group nor role_arn: two shards could share one limit of the"
            " platform. Write rate_group for it, the same name for all accounts of one Alibaba UID"
        )
    return group


def _write_slices(
    input_name: str,
    settings: Settings,
    accounts: Iterable[Account],
    product_map: ProductMap | None,
    parts: Sequence[Sequence[str]],
    folder: Path,
    stop: StopSignal,
) -> _Written:
    """Write a file for each shard."""
    known = tuple(account.name for account in accounts)
    names = AccountNames(known=known, of_all=settings.only_accounts[0] if len(settings.only_accounts) == 1 else None)
    products = _Products(input_name, {account.name: str(account.target) for account in accounts})

    def obey() -> None:
        if stop.requested:
            raise StoppedError(stop.reason or "", exit_code=stop.exit_code or ExitCode.STOPPED)

    with ExitStack() as files:
        slices = [_Slice(files.enter_context((folder / str(number)).open("wb"))) for number in range(len(parts))]
        places = {name: slices[number] for number, part in enumerate(parts) for name in part}
        reader = files.enter_context(
            open_rows(input_name, settings.read, accounts=names, product_map=product_map, while_waiting=obey)
        )
        for batch in reader.batches(_BATCH_ROWS):
            _share_out(batch, places, products, otherwise=slices[0])
            obey()
        return _Written(reader.shape.to_json(), [each.rows for each in slices], reader.found)


def _share_out(batch: ReadRows, places: Mapping[str, _Slice], products: _Products, *, otherwise: _Slice) -> None:
    """Write each row to the shard of its account; rows of no tried account go to the first shard."""
    for account, row in zip(batch.accounts, batch.valid, strict=True):
        products.note(account, row[1], row[0])
        _add(places.get(account, otherwise), slice_line(account, row))
    for invalid in batch.invalid:
        _add(places.get(invalid[4] or "", otherwise), slice_line(None, invalid))


def _add(place: _Slice, line: bytes) -> None:
    place.file.write(line)
    place.rows += 1


def _read(found: bytes | Absent | Outage) -> Manifest | None:
    if isinstance(found, Outage):
        raise SettingsError(f"the store can't be used: {found.why}")
    if found is ABSENT:
        return None
    try:
        return Manifest.decoded(found)
    except ValueError:
        raise SettingsError(_ANOTHER) from None


def _expect_same(before: Manifest, manifest: Manifest) -> Manifest:
    if not before.is_same_input(manifest):
        raise SettingsError(_ANOTHER)
    return before


def _expect_stored(end: Put | Outage) -> None:
    if isinstance(end, Outage):
        raise SettingsError(f"the store can't be written: {end.why}")
