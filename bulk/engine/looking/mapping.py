"""Find the target's product for each product of an export, and write the map for a person to check.

Products match by the same ProductKey, else by an equal ProductName if each side has that name once. A product without
a match stays blank, with the reason in its row: a guess would put modules into the wrong product.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from bulk.atomic import replaced
from bulk.conditions import explain_os_error
from bulk.engine.accounts import accounts_of
from bulk.engine.looking.manifest import read_source
from bulk.engine.looking.opening import opened_lookers
from bulk.engine.looking.order import side_by_side, until_stopped
from bulk.engine.looking.wanted import refuse_rows
from bulk.engine.sessions.requests import spoken
from bulk.engine.stop import StopSignal
from bulk.engine.threads import in_thread
from bulk.errors import SettingsError, UnreadError
from bulk.events import ignore
from bulk.exits import ExitCode
from bulk.model import Failure
from bulk.rows.fields import PRODUCTS
from bulk.rows.products.expansion import FORMATS
from bulk.rows.products.product_map import MAP_COLUMNS
from bulk.rows.products.product_rows import ACCOUNT, PRODUCT_NAME, Kept, as_cells
from bulk.rows.reading import open_input

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.looking.looker import Looker
    from bulk.engine.looking.manifest import Source
    from bulk.events import Listener
    from bulk.model import Product
    from bulk.settings import ReadSettings, Settings

__all__ = ["MappedProduct", "ProductMapping", "SourceProduct", "TargetProduct", "map_products", "matched"]


_BY_NAME = "ProductName"
_NOT_UNIQUE = "its ProductName may not be unique: the export has only some products of its source (--products)"

_ITSELF = "the target's keys see this very product: they may be those of the source"


class SourceProduct(NamedTuple):
    """A product of the export."""

    account: str
    product_key: str
    name: str


class TargetProduct(NamedTuple):
    """A product that the target has."""

    account: str
    product_key: str
    name: str


class MappedProduct(NamedTuple):
    """A product of the source, and its product at the target."""

    source: SourceProduct
    target: TargetProduct | None
    """``None``: a person has to choose it."""

    how: str
    """``ProductKey``, ``ProductName``, or why it is open."""


@dataclass(frozen=True, kw_only=True)
class ProductMapping:
    """What was written."""

    path: str
    products: tuple[MappedProduct, ...]
    notices: tuple[str, ...] = ()

    @property
    def open_products(self) -> tuple[MappedProduct, ...]:
        """Products that a person has to fill in or remove."""
        return tuple(product for product in self.products if product.target is None)

    @property
    def exit_code(self) -> int:
        """``DONE``: every product has its target."""
        return ExitCode.INCOMPLETE if self.open_products else ExitCode.DONE


def matched(
    sources: Sequence[SourceProduct],
    targets: Sequence[TargetProduct],
    *,
    others: Sequence[SourceProduct] = (),
    one_platform: Collection[tuple[str, str]] = (),
    is_whole: bool = True,
) -> tuple[MappedProduct, ...]:
    """Match products, in the order of the sources.

    If the target has an account of the same name, only that account's products can match.

    Args:
        sources: Products of the export, each once.
        targets: Products of all accounts that are tried, each once.
        others: Products of the source without a row in the export. A name that one of them also has is not unique.
        one_platform: Pairs of source and target accounts that are on one platform. A ProductKey is one product there,
            and must not be mapped to itself.
        is_whole: The sources and the others are all products of the source. Otherwise none matches by its name.
    """
    own = {
        (target, source.product_key)
        for source in (*sources, *others)
        for owner, target in one_platform
        if owner == source.account
    }
    by_itself = [target for target in targets if target[:2] in own]
    targets = [target for target in targets if target[:2] not in own]
    accounts = frozenset(target.account for target in targets)
    by_key: dict[str, list[TargetProduct]] = {}
    by_name: dict[str, list[TargetProduct]] = {}
    for target in targets:
        by_key.setdefault(target.product_key, []).append(target)
        by_name.setdefault(target.name, []).append(target)
    itself = {target.product_key for target in by_itself}
    found = [
        MappedProduct(source, None, _ITSELF)
        if source.product_key in itself
        else _one(source, accounts, by_key, by_name)
        for source in sources
    ]
    known = {source[:2] for source in sources}
    besides = [_one(other, accounts, by_key, by_name) for other in others if other[:2] not in known]
    taken = Counter(product.target for product in (*found, *besides) if product.target)
    if not is_whole:
        found = [
            product._replace(target=None, how=_NOT_UNIQUE) if product.how == _BY_NAME else product for product in found
        ]
    return tuple(_undoubled(product, taken) for product in found)


def _one(
    source: SourceProduct,
    accounts: frozenset[str],
    by_key: Mapping[str, list[TargetProduct]],
    by_name: Mapping[str, list[TargetProduct]],
) -> MappedProduct:
    def of(found: Iterable[TargetProduct]) -> list[TargetProduct]:
        narrowed = source.account and source.account in accounts
        return [target for target in found if not narrowed or target.account == source.account]

    same_key = of(by_key.get(source.product_key, ()))
    if len(same_key) == 1:
        return MappedProduct(source, same_key[0], "ProductKey")
    if same_key:
        return MappedProduct(source, None, f"{len(same_key)} accounts of the target have this ProductKey")
    if not source.name:
        return MappedProduct(source, None, "the target has no such ProductKey, and the export has no ProductName")
    same_name = of(by_name.get(source.name, ()))
    if len(same_name) == 1:
        return MappedProduct(source, same_name[0], _BY_NAME)
    if same_name:
        return MappedProduct(source, None, f"{len(same_name)} products of the target have this ProductName")
    return MappedProduct(source, None, "the target has neither this ProductKey nor this ProductName")


def _undoubled(product: MappedProduct, taken: Counter[TargetProduct]) -> MappedProduct:
    """Leave a product open if another one has the same target; a product found by its key keeps its target."""
    if product.target is None or taken[product.target] == 1 or product.how == "ProductKey":
        return product
    reason = f"{taken[product.target]} products of the source would become {product.target.product_key}"
    return MappedProduct(product.source, None, reason)


async def map_products(
    export: str,
    output: str | Path,
    settings: Settings,
    *,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> ProductMapping:
    """Write the map from each product of an export to its product at the target. Nothing is changed.

    Args:
        export: Path of a file with ProductKey and ProductName, as `bulk export` writes it.
        output: Path of the map. It must not exist: somebody may have completed an earlier map by hand.
        settings: Settings of the target.
        credentials: Keys to sign with: one provider for all, or account → provider; default: as the settings say.
        listener: Learns what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used, or the map can't be written there.
        InputError: The export can't be read.
        UnreadError: A list of products can't be read; nothing was written.
        StoppedError: A stop was requested; nothing was written.
    """
    path = Path(output)
    written = FORMATS.get(path.suffix.lower())
    if written is None:
        raise SettingsError(f"{path}: its name does not tell a format; end it in .csv, .jsonl or .ndjson")
    stop = stop or StopSignal()
    accounts = tuple(account for account in accounts_of(settings) if account.is_tried)
    sources, source = await in_thread(_read_export, export, path, settings.read)
    platforms = source.platforms if source else {}
    others = [SourceProduct(*product) for product in source.without_rows] if source else []
    _refuse_same(export, accounts, platforms)

    async def work() -> ProductMapping:
        stops = {account.name: stop for account in accounts}
        async with opened_lookers(accounts, credentials=credentials, stops=stops, listener=listener) as lookers:
            listed = await side_by_side(_listed(lookers[account.name]) for account in accounts)
        targets = [
            TargetProduct(account.name, product.product_key, product.name.strip())
            for account, products in zip(accounts, listed, strict=True)
            for product in products
        ]
        products = matched(
            sources,
            targets,
            others=others,
            one_platform=_on_one_platform(accounts, platforms),
            is_whole=source is None or source.is_whole,
        )
        await in_thread(_write, path, written, products, accounts, platforms)
        missing = f"{export} has no manifest beside it: the map does not say which platform its products are of"
        return ProductMapping(path=str(path), products=products, notices=() if platforms else (missing,))

    return await until_stopped(work(), stop, consequence="nothing was written", deadline_s=settings.deadline_s)


def _read_export(export: str, output: Path, settings: ReadSettings) -> tuple[list[SourceProduct], Source | None]:
    if output.exists():
        raise SettingsError(
            f"{output} is there already, and may be completed by hand: name another file with -o, or remove it"
        )
    found: dict[tuple[str, str], SourceProduct] = {}
    faults: list[tuple[int, str]] = []
    with open_input(export, settings, sought=PRODUCTS) as reader:
        kept = Kept(reader)
        for batch in reader.batches():
            faults += [(line, problem) for line, _, _, problem, _ in batch.invalid]
            for row in batch.valid:
                cells = kept.of(row)
                if isinstance(cells, str):
                    faults.append((row[0], cells))
                    continue
                source = SourceProduct(cells.get(ACCOUNT, ""), row[1], cells.get(PRODUCT_NAME, ""))
                found.setdefault(source[:2], source)
    refuse_rows(export, faults, consequence="nothing was written")
    return list(found.values()), read_source(Path(export))


def _refuse_same(export: str, accounts: Iterable[Account], platforms: Mapping[str, str]) -> None:
    """Refuse to map a platform to itself: the settings are then those of the source."""
    for account in accounts:
        owners = [owner for owner, platform in platforms.items() if platform == str(account.target)]
        if any(not owner or not account.name or owner == account.name for owner in owners):
            whose = f"account {account.name} is" if account.name else "the settings name"
            raise SettingsError(
                f"{whose} {account.target}, where {export} is from: give the target's settings"
                + (", or choose its accounts with --account" if account.name else "")
                + "; to move modules to another account there, name both in one bulk.toml: [accounts.NAME]"
            )


def _on_one_platform(accounts: Iterable[Account], platforms: Mapping[str, str]) -> set[tuple[str, str]]:
    return {
        (owner, account.name)
        for account in accounts
        for owner, platform in platforms.items()
        if platform == str(account.target)
    }


async def _listed(looker: Looker) -> Sequence[Product]:
    products = await looker.list_products()
    if isinstance(products, Failure):
        whose = f"account {looker.account}: " if looker.account else ""
        raise UnreadError(f"{whose}the list of products can't be read: {spoken(products)}; nothing was written")
    return products or ()


def _write(
    path: Path,
    format: str,  # noqa: A002 - its name
    products: Iterable[MappedProduct],
    accounts: Sequence[Account],
    platforms: Mapping[str, str],
) -> None:
    platform_of = {account.name: str(account.target) for account in accounts}
    try:
        with replaced(path) as out:
            if format == "csv":
                out.write(f"{','.join(MAP_COLUMNS)}\n".encode())
            for product in products:
                cells = _cells(product, platform_of, platforms)
                if format == "csv":
                    out.write(f"{as_cells(cells)}\n".encode())
                else:
                    out.write(
                        orjson.dumps(dict(zip(MAP_COLUMNS, cells, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
                    )
    except OSError as exc:
        raise SettingsError(f"{path}: it can't be written ({explain_os_error(exc)}); name another file") from exc


def _cells(product: MappedProduct, platform_of: Mapping[str, str], platforms: Mapping[str, str]) -> tuple[str, ...]:
    source, target, how = product
    known = target.account if target else source.account if source.account in platform_of else _only(platform_of)
    return (
        *source,
        known,
        target.product_key if target else "",
        target.name if target else "",
        how,
        platforms.get(source.account, ""),
        platform_of.get(known, ""),
    )


def _only(platform_of: Mapping[str, str]) -> str:
    return next(iter(platform_of)) if len(platform_of) == 1 else ""
