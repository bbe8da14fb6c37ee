"""Compare an input with a new listing of the platform, or with another file. Nothing is changed, no ledger is read."""

from __future__ import annotations

import csv
import io
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulk.atomic import replaced
from bulk.conditions import explain_os_error
from bulk.engine.accounts import accounts_of
from bulk.engine.looking.comparison import Comparison, Finding, Verdict
from bulk.engine.looking.opening import ahead_of, opened_lookers
from bulk.engine.looking.order import in_order, side_by_side, until_stopped
from bulk.engine.looking.scope import Scope
from bulk.engine.sessions.requests import spoken
from bulk.engine.stop import StopSignal
from bulk.engine.threads import held, in_thread
from bulk.errors import InputError, SettingsError, StoppedError
from bulk.events import LookStarted, ignore
from bulk.exits import ExitCode
from bulk.model import AccountNames, Listing, OtaModule
from bulk.rows.fields import Field
from bulk.rows.formulas import harmless
from bulk.rows.products.expansion import FORMATS
from bulk.rows.products.mapped import open_rows
from bulk.rows.products.module_rows import custom_modules
from bulk.rows.products.product_map import read_product_map
from bulk.rows.products.product_rows import ACCOUNT, Kept
from bulk.rows.products.written_place import written, written_place
from bulk.rows.reading import open_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bulk.cloud.keys.credentials import CredentialProvider
    from bulk.engine.accounts import Account
    from bulk.engine.looking.looker import Looker
    from bulk.events import Listener
    from bulk.model import InvalidRow, ValidRow
    from bulk.rows.products.product_map import ProductMap
    from bulk.rows.shape import InputShape
    from bulk.settings import Settings

__all__ = ["Checked", "check"]

_EXAMPLES = 20


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Result of the comparison."""

    wanted: str
    other: str
    """The other file, or the platform."""

    rows: int
    equal: int
    """Rows whose module is as they want it."""

    counts: Mapping[Verdict, int]
    products: int
    examples: tuple[Finding, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """``DONE``: all is equal, and everything was read."""
        return ExitCode.INCOMPLETE if any(self.counts.values()) else ExitCode.DONE


async def check(
    wanted: str,
    settings: Settings,
    *,
    other: str | None = None,
    surplus: bool = False,
    output: str | Path | None = None,
    credentials: CredentialProvider | Mapping[str, CredentialProvider] | None = None,
    listener: Listener = ignore,
    stop: StopSignal | None = None,
) -> Checked:
    """Compare an input with what is there. A blank cell of the input is not compared.

    Args:
        wanted: Path of the input; ``-`` for stdin.
        settings: How to read it, its map of products, and where the platform is.
        other: Path of another file; ``None``: the platform, where every product of the input is listed.
        surplus: Also find modules that no row asks for: in those products, or in the whole other file.
        output: Write all findings to this file, CSV or JSON lines by its name.
        credentials: Keys to sign with: one provider for all, or account → provider; default: as the settings say.
        listener: Learns what happens.
        stop: Ends it early when it is requested.

    Raises:
        SettingsError: Settings or credentials can't be used, or the findings can't be written.
        InputError: A file or the map can't be read.
        StoppedError: A stop was requested; there are no findings.
    """
    written = None if output is None else FORMATS.get(Path(output).suffix.lower())
    if output is not None and written is None:
        raise SettingsError(f"{output}: its name does not tell a format; end it in .csv, .jsonl or .ndjson")
    stop = stop or StopSignal()
    async with held(Comparison) as comparison:
        job = _Check(
            wanted=wanted,
            other=other,
            settings=settings,
            comparison=comparison,
            listener=listener,
            stop=stop,
            scope=Scope(settings),
        )
        work = job.against_file(other) if other else job.against_platform(credentials)
        consequence = "the comparison is not done"
        where = await until_stopped(work, stop, consequence=consequence, deadline_s=settings.deadline_s)
        return await in_thread(job.conclude, where, surplus, None if output is None else Path(output), written)


@dataclass(kw_only=True)
class _Check:
    """One comparison."""

    wanted: str
    other: str | None
    settings: Settings
    comparison: Comparison
    listener: Listener
    stop: StopSignal
    scope: Scope
    _products: int = 0
    _invalid: list[Finding] = field(default_factory=list)

    async def against_file(self, other: str) -> str:
        say_accounts = [
            await in_thread(self._read_file, self.wanted, is_other=False),
            await in_thread(self._read_file, other, is_other=True),
        ]
        if not all(say_accounts):
            await in_thread(self.comparison.forget_accounts)
        return other

    async def against_platform(self, credentials: CredentialProvider | Mapping[str, CredentialProvider] | None) -> str:
        every = accounts_of(self.settings)
        tried = tuple(account for account in every if account.is_tried)
        await in_thread(self._read_wanted, every, frozenset(account.name for account in tried))
        products = await in_thread(self.comparison.products)
        by_account = {name: [key for _, key in group] for name, group in groupby(products, lambda each: each[0])}
        self._products = len(products)
        used = [account for account in tried if account.name in by_account]
        stops = {account.name: self.stop.scope() for account in used}
        if used:
            self.listener(LookStarted("Checking", len(products)))
            async with opened_lookers(used, credentials=credentials, stops=stops, listener=self.listener) as lookers:
                await side_by_side(
                    self._look(account, lookers[account.name], by_account[account.name], stops[account.name])
                    for account in used
                )
        return ", ".join(dict.fromkeys(str(account.target) for account in tried))

    async def _look(self, account: Account, looker: Looker, keys: Sequence[str], stop: StopSignal) -> None:
        async def ask(key: str) -> tuple[str, Listing | str]:
            answer = await looker.list_modules(key)
            if isinstance(answer, Listing):
                return key, answer
            return key, spoken(answer) if answer else stop.reason or "not asked"

        asked = in_order(keys, ask, ahead=ahead_of(account.settings))
        async with aclosing(asked):
            async for key, found in asked:
                await in_thread(self._note, account.name, key, found)

    def _note(self, account: str, key: str, found: Listing | str) -> None:
        if isinstance(found, str):
            self.comparison.leave_unread(account, key, f"its product could not be listed: {found}")
        else:
            self.comparison.add(account, [(None, module) for module in custom_modules(found.modules)])

    def _read_wanted(self, accounts: Sequence[Account], tried: frozenset[str]) -> None:
        product_map = self._map()
        if product_map:
            product_map.refuse_other_targets({account.name: str(account.target) for account in accounts})
        names = None
        if self.settings.accounts:
            of_all = next(iter(tried)) if len(tried) == 1 and self.settings.only_accounts else None
            names = AccountNames(known=tuple(account.name for account in accounts), of_all=of_all)
        with open_rows(
            self.wanted, self.settings.read, accounts=names, product_map=product_map, while_waiting=self._obey
        ) as reader:
            for batch in reader.batches():
                self._obey()
                owners = batch.accounts or [""] * len(batch.valid)
                rows = zip(owners, batch.valid, strict=True)
                self.comparison.want((row[0], owner, _module(row)) for owner, row in rows if self._takes(owner, row[1]))
                invalid = [each for each in batch.invalid if each[4] is None or each[4] in tried]
                self._add_invalid(invalid, reader.shape, product_map)
            self._add_left_invalid()

    def _takes(self, account: str, product_key: str) -> bool:
        return not self.scope.leaves_out or self.scope.takes(account, product_key)

    def _add_invalid(
        self, rows: Iterable[InvalidRow], shape: InputShape, product_map: ProductMap | None, *, other: str = ""
    ) -> None:
        """Add rows that can't be read, with what they name; ``other``: they are rows of this other file."""
        for line, record, _, problem, owner in rows:
            place = written_place(shape, record, product_map)
            key = place.product_key if place else written(shape, record, Field.PRODUCT_KEY)
            whose = (place.account if place and product_map else owner) or ""
            name, reason = written(shape, record, Field.MODULE_NAME), f"{other}: {problem}" if other else problem
            row = Finding(Verdict.UNREAD, line, whose, key, name, reason)
            if place and self.scope.is_narrowed:
                # The first products are only known at the end of the file.
                self._invalid.append(row)
            else:
                self.comparison.invalid([row], of_other=bool(other))

    def _add_left_invalid(self, *, of_other: bool = False) -> None:
        """Add the invalid rows that name a product of a narrowed comparison."""
        left = [row for row in self._invalid if self.scope.has(row.account, row.product_key)]
        self.comparison.invalid(left, of_other=of_other)
        self._invalid.clear()

    def _read_file(self, path: str, *, is_other: bool) -> bool:
        """Read one of two files; say whether its rows have accounts once they are mapped to the target."""
        product_map = None if is_other else self._map()
        with open_input(path, self.settings.read, while_waiting=self._obey) as reader:
            kept = Kept(reader)
            for batch in reader.batches():
                self._obey()
                self._add_invalid(batch.invalid, reader.shape, product_map, other=path if is_other else "")
                for row in batch.valid:
                    cells = kept.of(row)
                    self._place(row, cells.get(ACCOUNT, "") if isinstance(cells, dict) else "", product_map, is_other)
            self._add_left_invalid(of_other=is_other)
        return any(product_map.targets) if product_map else ACCOUNT in kept.columns

    def _place(self, row: ValidRow, account: str, product_map: ProductMap | None, is_other: bool) -> None:  # noqa: FBT001 - see above
        module = _module(row)
        if is_other:
            if not self.scope.leaves_out or self.scope.has(account, row[1]):
                self.comparison.add_row(account, row[0], module, file=self.other or "")
            return
        place = product_map.place_of(account, row[1]) if product_map else None
        if isinstance(place, str):
            # Its product at the target is unknown, so it is in every scope.
            reason = f"ProductKey {row[1]!r} is not in {place}"
            self.comparison.invalid([Finding(Verdict.UNREAD, row[0], account, *row[1:3], reason)])
            return
        if place:
            account, module = place.account, _module((row[0], place.product_key, *row[2:]))
        if self._takes(account, module.product_key):
            self.comparison.want([(row[0], account, module)])

    def _map(self) -> ProductMap | None:
        path = self.settings.product_map
        return None if path is None else read_product_map(path, self.settings.read)

    def _obey(self) -> None:
        if self.stop.requested:
            raise StoppedError(self.stop.reason or "", exit_code=self.stop.exit_code or ExitCode.STOPPED)

    def conclude(self, other: str, surplus: bool, output: Path | None, written: str | None) -> Checked:  # noqa: FBT001 - called by a thread
        if not self.comparison.rows and self.scope.leaves_out:
            # An empty comparison is not equal: a mistyped pattern must not look like a checked account.
            raise InputError("no row of it is left to compare: correct --only or --account", file=self.wanted)
        counts: Counter[Verdict] = Counter()
        examples: list[Finding] = []

        def counted() -> Iterable[Finding]:
            for finding in self.comparison.findings(surplus=surplus):
                counts[finding.verdict] += 1
                if len(examples) < _EXAMPLES:
                    examples.append(finding)
                yield finding

        if output is None:
            for _ in counted():
                pass
        else:
            _write(output, written or "csv", counted())
        return Checked(
            wanted=self.wanted,
            other=other,
            rows=self.comparison.rows,
            equal=self.comparison.rows + self.comparison.unread_of_other - (counts.total() - counts[Verdict.SURPLUS]),
            counts={verdict: counts[verdict] for verdict in Verdict if surplus or verdict is not Verdict.SURPLUS},
            products=self._products,
            examples=tuple(examples),
        )


def _module(row: ValidRow) -> OtaModule:
    return OtaModule(row[1], row[2], row[3] or None, row[4] or None)


def _write(path: Path, format: str, findings: Iterable[Finding]) -> None:  # noqa: A002 - its name
    try:
        with replaced(path) as out:
            if format == "jsonl":
                out.writelines(orjson.dumps(each._asdict(), option=orjson.OPT_APPEND_NEWLINE) for each in findings)
                return
            out.write(f"{','.join(Finding._fields)}\n".encode())
            for finding in findings:
                text = io.StringIO(newline="")
                # A report for people: unlike an export, it is never read back.
                csv.writer(text, lineterminator="\n").writerow(map(harmless, finding))
                out.write(text.getvalue().encode())
    except OSError as exc:
        raise SettingsError(f"{path}: it can't be written ({explain_os_error(exc)}); name another file") from exc
