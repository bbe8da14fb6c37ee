"""One product, night after night, against a model of the platform: rivals, faults and crashes, and the promises hold.

The ledger is a real one, with its real queries; only its writer's thread is played, so that a crash can lose what was
not committed.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk.control.breaker import Breaker
from bulk.control.retry import RetryPolicy
from bulk.engine.sessions.recorder import Counters
from bulk.engine.sessions.session import Clock, RateGroup, Session
from bulk.engine.stop import StopSignal
from bulk.engine.sync.account import AccountWork
from bulk.engine.sync.look import Look
from bulk.engine.sync.work import work_off_changes
from bulk.events import ignore
from bulk.ledger.looking import LookReader
from bulk.ledger.planning import WorkReader
from bulk.ledger.store import Ledger
from bulk.ledger.writer import LedgerWriter
from bulk.model import (
    MAX_CUSTOM_MODULES,
    RESERVED_MODULE_NAME,
    Accepted,
    Action,
    Attempt,
    Change,
    ChangeKind,
    Dialect,
    Failure,
    FailureKind,
    Listing,
    OtaModule,
    Package,
    Page,
    ReadRows,
    Settlement,
    Target,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PRODUCT = "a1Model0001"
TARGET = Target(Dialect.TUYA, "https://example.test")
MAX_ATTEMPTS = 3
DAY_S = 86_400.0
FIRST_DAY_S = 1_700_000_000.0
"""Times of making before 2001 are not read."""


class Luck(StrEnum):
    """What befalls one request."""

    FINE = "fine"
    THROTTLED = "throttled"
    NOT_SENT = "not_sent"
    LOST_BEFORE = "lost_before"  #: no answer, not carried out
    LOST_AFTER = "lost_after"  #: no answer, carried out
    REFUSED = "refused"
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    INTERRUPTED = "interrupted"
    THEY_ADD = "they_add"
    THEY_CHANGE = "they_change"
    THEY_DELETE = "they_delete"
    THEY_TAKE_NAME = "they_take_name"  #: of a create: somebody else makes this very module first, with other texts
    THEY_PACK = "they_pack"  #: somebody uploads a package for a module
    THEY_REPLACE = "they_replace"  #: somebody deletes a module and makes it again, with the same texts


FAILURES = {
    Luck.THROTTLED: FailureKind.THROTTLED,
    Luck.NOT_SENT: FailureKind.NOT_SENT,
    Luck.LOST_BEFORE: FailureKind.DOUBTFUL,
    Luck.LOST_AFTER: FailureKind.DOUBTFUL,
    Luck.REFUSED: FailureKind.REFUSED,
}


BY_DAY = (Luck.THEY_ADD, Luck.THEY_CHANGE, Luck.THEY_DELETE, Luck.THEY_PACK)


class CrashedError(Exception):
    """The process is gone; only the test is left."""


@dataclass
class There:
    """A module on the platform, and whose it is."""

    module: OtaModule
    written: tuple[str, str] | None
    """Its texts as `bulk` wrote them on its own account; ``None``: it is not ours."""

    @property
    def texts(self) -> tuple[str, str]:
        return self.module.alias_name or "", self.module.desc or ""


@dataclass
class Seen:
    """What the work of this night has been told before it writes."""

    modules: dict[tuple[str, str], OtaModule] | None = None
    packed: frozenset[str] | None = None
    replaced: frozenset[tuple[str, str]] = frozenset()


@dataclass
class ModelPlatform:
    """The platform's rules, in memory; it also asks the ledger whether a request may have been sent."""

    there: dict[tuple[str, str], There]
    script: list[Luck]
    dice: random.Random
    stop: StopSignal = field(init=False)
    packed: set[str] = field(default_factory=set)
    sent: Counter[ChangeKind] = field(default_factory=Counter)
    is_unguarded: bool = False
    """It deletes modules that hold packages: Tuya's page names no guard."""

    ledger: Ledger = field(init=False)
    rows: dict[tuple[str, str], OtaModule] = field(default_factory=dict)
    planned: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict)
    """What this night may do: key → kind, texts found, the create that needs the slot."""

    seen: Seen | None = None
    """``None``: nothing may be written yet."""

    swapped: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    """Deleted for another: key → key of that."""

    failed_creates: int = 0
    refused: set[tuple[str, str]] = field(default_factory=set)
    """Rows that were once refused for good, themselves or in a listing."""

    replaced: set[tuple[str, str]] = field(default_factory=set)
    """Made again by others since this night's look, with the same texts. On a later night nobody could tell."""

    disturbed: bool = False
    disturbed_since_listed: bool = False
    wall: Callable[[], float] = lambda: 0.0
    _in_doubt: set[tuple[str, str]] = field(default_factory=set)

    def was_listed(self) -> bool:
        return self.seen is not None and self.seen.modules is not None

    def customs(self) -> int:
        return sum(key[1] != RESERVED_MODULE_NAME for key in self.there)

    async def list_products(self, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def show_product(self, _product_key: str, /, **_: object) -> Failure:
        raise AssertionError("nobody asks for products here")

    async def list_packages(self, _key: str | None, /, *, page: int = 1, **_: object) -> Page[Package] | Failure:
        luck = await self._luck(None)
        if luck in FAILURES:
            return failure(FAILURES[luck])
        packages = tuple(Package(f"id-{name}", PRODUCT, name) for name in sorted(self.packed))
        if self.seen:
            self.seen.packed = frozenset(self.packed)
        return Page(packages, page, 100, len(packages), "packages", 200)

    async def list_modules(self, _product_key: str, /, **_: object) -> Listing | Failure:
        luck = await self._luck(None)
        if luck in FAILURES:
            self.refused |= self.rows.keys() if luck is Luck.REFUSED else set()
            return failure(FAILURES[luck])
        self._in_doubt.clear()
        self.disturbed_since_listed = False
        if self.seen:
            self.seen.replaced = frozenset(self.replaced)
            self.seen.modules = {key: each.module for key, each in self.there.items()}
        return Listing(tuple(each.module for each in self.there.values()), "list", 200)

    async def apply(self, change: Change, /, **_: object) -> Accepted | Failure:
        key = change.wanted.key
        assert key not in self._in_doubt, f"sent again, and nobody listed: {change}"
        assert key[1] != RESERVED_MODULE_NAME, f"the reserved module is nobody's to change: {change}"
        self._check_that_it_may_be_sent(change)
        luck = await self._luck(change)
        if luck in {Luck.LOST_BEFORE, Luck.LOST_AFTER}:
            self._in_doubt.add(key)
            if luck is Luck.LOST_AFTER:
                self._carry_out(change)
        if luck in FAILURES and change.kind is ChangeKind.CREATE:
            self.failed_creates += 1
            self.refused |= {key} if luck is Luck.REFUSED else set()
        if luck in FAILURES:
            return failure(FAILURES[luck])
        answer = self._carry_out(change)
        if change.kind is ChangeKind.DELETE and isinstance(answer, Accepted) and self.seen and self.seen.modules:
            del self.seen.modules[key]  # it may be made again, by no other listing
        if luck is Luck.CRASH_AFTER:
            raise CrashedError
        return answer

    def _check_that_it_may_be_sent(self, change: Change) -> None:
        key = change.wanted.key
        assert self.seen is not None, f"sent before all was decided: {change}"
        assert self.seen.modules is not None, f"sent, and not listed again: {change}"
        assert self._claimed(key) == change.kind, f"sent, and not claimed: {change}"
        if change.kind is ChangeKind.CREATE:
            assert key not in self.seen.modules, f"created, and listed: {change}"
            return
        kind, found, frees = self.planned[key]
        assert key not in self.seen.replaced, f"another module by now: {change}"
        listed = self.seen.modules[key]
        assert (kind, found) == (change.kind, (listed.alias_name or "", listed.desc or "")), f"not as found: {change}"
        if change.kind is ChangeKind.DELETE:
            assert self.seen.packed is not None, f"deleted, and nobody asked for packages: {change}"
            assert key[1] not in self.seen.packed, f"deleted with its package: {change}"
            is_swap = frees and self.customs() == MAX_CUSTOM_MODULES and self._claimed(frees) == ChangeKind.CREATE
            may_be_swap = frees in self.planned and frees not in self.seen.modules
            if may_be_swap and len(self.seen.modules) > MAX_CUSTOM_MODULES:  # the reserved module is one of them
                assert is_swap or self.disturbed, f"deleted, and its create is not claimed: {change}"
            if is_swap:
                self.swapped[key] = frees

    def _claimed(self, key: tuple[str, str]) -> str | None:
        found = self.ledger.connection.execute(
            "SELECT claimed FROM modules WHERE outcome = 'sending' AND product_key = ? AND module_name = ?", key
        ).fetchone()
        return str(found[0]) if found else None

    def _carry_out(self, change: Change) -> Accepted | Failure:
        self.sent[change.kind] += 1
        key, there = change.wanted.key, self.there.get(change.wanted.key)
        match change.kind:
            case ChangeKind.CREATE:
                return self._create(change.wanted)
            case ChangeKind.UPDATE:
                if there is None:
                    return failure(FailureKind.GONE)
                wanted = change.wanted
                module = OtaModule(
                    PRODUCT, there.module.module_name, wanted.alias_name, wanted.desc, there.module.gmt_create
                )
                self.there[key] = There(module, self._written_after(change, there))
            case ChangeKind.DELETE:
                if there is None:
                    return failure(FailureKind.GONE)
                assert there.written == there.texts or self.disturbed_since_listed, f"deleted, and not ours: {there}"
                assert self.planned[key][0] == ChangeKind.DELETE, f"deleted, and not planned: {there}"
                if key[1] in self.packed and not self.is_unguarded:
                    return failure(FailureKind.HELD)
                del self.there[key]
                self.packed.discard(key[1])
        return Accepted(change.kind.value, 200)

    def _create(self, module: OtaModule) -> Accepted | Failure:
        if module.key in self.there:
            return failure(FailureKind.EXISTS)
        if self.customs() >= MAX_CUSTOM_MODULES:
            assert self.disturbed, "sent without a free slot"
            return failure(FailureKind.QUOTA)
        self.put(module, is_ours=True)
        self.swapped.pop(module.key, None)
        self.swapped = {key: create for key, create in self.swapped.items() if create != module.key}
        return Accepted("create", 200)

    def _written_after(self, change: Change, there: There) -> tuple[str, str] | None:
        """A text that its row leaves out was only passed on."""
        if there.written is None:
            return None
        row, wanted = self.rows[change.wanted.key], change.wanted
        alias = there.written[0] if row.alias_name is None else wanted.alias_name or ""
        return alias, there.written[1] if row.desc is None else wanted.desc or ""

    def put(self, module: OtaModule, *, is_ours: bool) -> None:
        made = OtaModule(PRODUCT, module.module_name, module.alias_name, module.desc, int(self.wall() * 1_000))
        self.there[module.key] = There(made, (module.alias_name or "", module.desc or "") if is_ours else None)
        assert self.customs() <= MAX_CUSTOM_MODULES

    async def _luck(self, change: Change | None) -> Luck:
        await asyncio.sleep(0.01)
        luck = self.script.pop(0) if self.script else Luck.FINE
        self.disturbed |= luck.startswith("they")
        # What others do between the last listing and a write nobody can see.
        self.disturbed_since_listed |= luck.startswith("they")
        match luck:
            case Luck.CRASH_BEFORE:
                raise CrashedError
            case Luck.CRASH_AFTER if change is None:
                raise CrashedError
            case Luck.INTERRUPTED:
                self.stop.request("interrupted by Ctrl-C", exit_code=130)
            case Luck.THEY_TAKE_NAME if change is not None and change.kind is ChangeKind.CREATE:
                if change.wanted.key not in self.there and self.customs() < MAX_CUSTOM_MODULES:
                    self.put(OtaModule(PRODUCT, change.wanted.module_name, "theirs"), is_ours=False)
            case _:
                self.live_on(luck)
        return luck

    def live_on(self, luck: Luck) -> None:
        """Let somebody else do something."""
        customs = sorted(key for key in self.there if key[1] != RESERVED_MODULE_NAME)
        match luck:
            case Luck.THEY_ADD if self.customs() < MAX_CUSTOM_MODULES:
                name = OtaModule(PRODUCT, f"theirs-{self.dice.randint(0, 99)}", "theirs")
                if name.key not in self.there:
                    self.put(name, is_ours=False)
            case Luck.THEY_CHANGE if customs:
                there = self.there[self.dice.choice(customs)]
                there.module = OtaModule(
                    PRODUCT, there.module.module_name, "changed", "by hand", there.module.gmt_create
                )
            case Luck.THEY_DELETE if customs:
                del self.there[self.dice.choice(customs)]
            case Luck.THEY_REPLACE if customs and self.seen:
                key = self.dice.choice(customs)
                there = self.there.pop(key)
                self.put(there.module, is_ours=False)
                self.there[key].written = there.written
                self.replaced.add(key)
            case Luck.THEY_PACK if customs:
                self.packed.add(self.dice.choice(customs)[1])


class PlayedWriter:
    """Writes as the ledger's writer does, when a claim asks for it; a crash loses a part of the rest."""

    def __init__(self, ledger: Ledger, dice: random.Random) -> None:
        self._writer = LedgerWriter.__new__(LedgerWriter)
        self._writer._connection = ledger.connection
        self._writer._run_id = "run"
        self._dice = dice
        self._gathered: list[tuple[str, Any]] = []

    def settle(self, settlement: Settlement) -> None:
        self._gathered.append(("outcomes", settlement))

    def note(self, attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        self._gathered.append(("amendments", (statement, parameters)))

    async def claim(self, claims: Iterable[Settlement]) -> None:
        claimed = list(claims)
        await asyncio.sleep(0.01)
        self.commit(claimed)

    def commit(self, claims: Sequence[Settlement] = ()) -> None:
        from bulk.ledger.writer import _Group

        for kind, record in self._gathered:
            group = _Group()
            getattr(group, kind).append(record)
            self._writer._write(group)
        self._gathered.clear()
        self._writer._write(_Group(claims=list(claims)))

    def crash(self) -> None:
        del self._gathered[self._dice.randint(0, len(self._gathered)) :]
        self.commit()


@dataclass
class Life:
    """A product through its nights."""

    platform: ModelPlatform
    ledger: Ledger
    dice: random.Random
    nights: int = 0
    named: list[OtaModule] = field(default_factory=list)

    def read(self, rows: Sequence[OtaModule]) -> None:
        self.platform.rows = {module.key: module for module in rows}
        read = ReadRows()
        for line, module in enumerate(rows, 2):
            alias, desc = module.alias_name or "", module.desc or ""
            read.valid.append((line, PRODUCT, module.module_name, alias, desc, "[]"))
        with self.ledger.intake(name="m.csv", shape="{}", at=0.0) as intake:
            intake.add(read)

    async def night(self) -> bool:
        """Do what a sync does with the product; return whether it came to its end."""
        self.nights += 1
        run_id = f"night-{self.nights}"
        loop_time, began = asyncio.get_running_loop().time, FIRST_DAY_S + self.nights * DAY_S

        def wall() -> float:
            return began + loop_time()

        self.platform.wall, self.platform.planned, self.platform.seen = wall, {}, None
        self.platform.failed_creates = 0
        self.platform.replaced.clear()
        stop = self.platform.stop = StopSignal()
        writer = PlayedWriter(self.ledger, self.dice)
        clock = Clock(monotonic=loop_time, wall=wall)
        group = RateGroup(dict.fromkeys(Action, 0.0), clock=clock)
        group.close_on(stop)
        session = Session(
            platform=self.platform,
            group=group,
            writer=writer,
            breaker=Breaker(now=loop_time()),
            counters=Counters(),
            stop=stop,
            listener=ignore,
            policy=RetryPolicy(max_attempts=MAX_ATTEMPTS),
            uniform=self.dice.uniform,
            clock=clock,
        )
        try:
            await self._look(session, writer, run_id)
            if not stop.requested:
                await self._work(session, writer, run_id)
        except CrashedError:
            writer.crash()
            return False
        writer.commit()
        # A product that could not be listed is left for the next night.
        if not stop.requested and self.platform.was_listed():
            self._check_that_nothing_is_lost()
        return not stop.requested

    def _check_that_nothing_is_lost(self) -> None:
        """Check that what was deleted for another is there again, or that, or it is named."""
        for key, create in self.platform.swapped.items():
            wanted = create in self.platform.rows and key not in self.platform.rows
            if wanted and not {key, create} & self.platform.there.keys() and not self._waits(create):
                assert key in {module.key for module in self.named}, f"deleted for {create}, and nobody knows: {key}"
                assert self.platform.disturbed or self.platform.failed_creates > 1, (
                    f"deleted for {create}, and not made again: {key}"
                )

    def _waits(self, key: tuple[str, str]) -> bool:
        waiting = "SELECT 1 FROM planned WHERE withheld IS NOT NULL AND product_key = ? AND module_name = ?"
        return self.ledger.connection.execute(waiting, key).fetchone() is not None

    async def _look(self, session: Session, writer: PlayedWriter, run_id: str) -> None:
        look = Look(session=session, writer=writer, run_id=run_id, prune=True, adopt=False)
        self.named = look.lost
        writer.amend("forget_planned", "", "9")
        with closing(LookReader(self.ledger.path, account="", wanted=lambda _: True)) as reader:
            for state in reader.next_lanes():
                await look.at(state)
        writer.amend("withhold_swapped", "", run_id)
        writer.commit()
        self.platform.planned = {
            (key, name.casefold()): (kind, (alias or "", desc or ""), (key, frees.casefold()) if frees else None)
            for key, name, kind, alias, desc, frees in self.ledger.connection.execute(
                "SELECT product_key, module_name, kind, found_alias, found_desc, frees_slot_for FROM planned "
                "WHERE withheld IS NULL"
            )
        }
        self.platform.seen = Seen()

    async def _work(self, session: Session, writer: PlayedWriter, run_id: str) -> None:
        account = AccountWork(session=session, writer=writer, run_id=run_id, undone=self.named)
        with closing(WorkReader(self.ledger.path, account="", run_id=run_id)) as reader:
            for lane in reader.next_lanes():
                await work_off_changes(lane, account)

    def check(self, rows: Sequence[OtaModule]) -> None:
        """Check that no row is told to be what it is not."""
        assert self.platform.customs() <= MAX_CUSTOM_MODULES
        told = self.ledger.connection.execute(
            "SELECT module_name, outcome FROM standing WHERE outcome IN ('created', 'updated', 'exists')"
        ).fetchall()
        wanted = {module.module_name: module for module in rows}
        for name, _ in told:
            assert name in wanted

    def check_end(self, rows: Sequence[OtaModule]) -> None:
        """Check that the platform is as the file says, but for what may not be touched."""
        outcomes = dict(self.ledger.connection.execute("SELECT module_name, outcome FROM standing").fetchall())
        for module in rows:
            there = self.platform.there.get(module.key)
            outcome = outcomes[module.module_name]
            if outcome in {"created", "updated", "exists"}:
                assert there is not None
                assert module.alias_name in {None, there.module.alias_name}, (module, there)
                assert module.desc in {None, there.module.desc}, (module, there)
            else:
                assert outcome in {"over_budget", "withheld"} or module.key in self.platform.refused, (module, outcome)
                assert outcome == "withheld" or self.platform.customs() == MAX_CUSTOM_MODULES
        names = {module.key[1] for module in rows}
        kept = {
            name.casefold(): (outcome, code)
            for name, outcome, code in self.ledger.connection.execute(
                "SELECT module_name, outcome, code FROM modules WHERE owned"
            )
        }
        waiting = {
            name.casefold()
            for (name,) in self.ledger.connection.execute("SELECT module_name FROM planned WHERE withheld IS NOT NULL")
        }
        for name in kept.keys() - names:
            assert kept[name][0] == "surplus" or name in waiting, (name, kept[name])


def failure(kind: FailureKind) -> Failure:
    replied = kind not in {FailureKind.NOT_SENT, FailureKind.DOUBTFUL}
    code = "timeout" if kind is FailureKind.DOUBTFUL else kind.value
    return Failure(kind=kind, code=code, message="as the script says", http_status=400 if replied else None)


async def live(files: Sequence[Sequence[OtaModule]], foreign: int, script: list[Luck], seed: int, path: Path) -> None:
    """Sync each file in turn while the script lasts; then everything is fine, and a third night writes nothing."""
    dice = random.Random(seed)
    platform = ModelPlatform({}, script, dice)
    platform.is_unguarded = dice.random() < 0.5
    platform.there[PRODUCT, RESERVED_MODULE_NAME] = There(OtaModule(PRODUCT, RESERVED_MODULE_NAME), None)
    for number in range(foreign):
        platform.put(OtaModule(PRODUCT, f"old-{number}", "old"), is_ours=False)
    with closing(Ledger.open(path, targets={"": TARGET})) as ledger:
        ledger.connection.execute("PRAGMA synchronous = OFF")
        # As if somebody had called it ours.
        ledger.connection.execute(
            "INSERT INTO modules (product_key, module_name, outcome, settled_at, run_id, owned, written_alias, "
            "written_desc) VALUES (?, ?, 'created', '', 'run', 1, '', '')",
            (PRODUCT, RESERVED_MODULE_NAME),
        )
        platform.ledger = ledger
        life = Life(platform, ledger, dice)
        for rows in files:
            life.read(rows)
            for _ in range(dice.randint(0, 4)):
                platform.live_on(dice.choice(BY_DAY))
            for _ in range(4):
                await life.night()
                life.check(rows)
        platform.script.clear()
        for _ in range(3):
            assert await life.night()
        life.check_end(files[-1])
        sent = platform.sent.copy()
        assert await life.night()
        assert platform.sent == sent, "a quiet night writes nothing"


NAMES = [f"Module-{number}" for number in range(13)]


def rows_of(names: Sequence[str], texts: Sequence[str | None]) -> list[OtaModule]:
    return [
        OtaModule(PRODUCT, name, text and f"{text}-{name}", "b" if text == "b" else None)
        for name, text in zip(names, texts, strict=False)
    ]


files = st.lists(
    st.tuples(
        st.lists(st.sampled_from(NAMES), min_size=1, max_size=11, unique=True),
        st.lists(st.sampled_from(["a", "b", None]), min_size=11, max_size=11),
    ).map(lambda drawn: rows_of(*drawn)),
    min_size=2,
    max_size=3,
)
lives = {
    "files": files,
    "foreign": st.integers(0, 6),
    "script": st.lists(st.sampled_from([*Luck, *[Luck.FINE] * len(Luck)]), min_size=12, max_size=60),
    "seed": st.integers(0, 2**16),
}


def lived(in_simulated_time: Callable[..., None], **life: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_simulated_time(live(**life, path=Path(folder, "it.db")))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(**lives)
def test_promises_of_a_sync_hold_whatever_befalls_the_requests(
    in_simulated_time: Callable[..., None], **life: Any
) -> None:
    lived(in_simulated_time, **life)


@pytest.mark.torture
@pytest.mark.timeout(1_800)
@settings(max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(**lives)
def test_promises_of_a_sync_hold_in_many_lives(in_simulated_time: Callable[..., None], **life: Any) -> None:
    lived(in_simulated_time, **life)
