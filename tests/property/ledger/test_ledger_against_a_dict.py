"""A real ledger file against a dict: any order of files read, claims, settlements, crashes and ends of runs."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bulk.ledger.lanes import LaneReader
from bulk.ledger.store import Ledger
from bulk.ledger.views.reading import read_results
from bulk.ledger.writer import LedgerWriter
from bulk.model import Dialect, OtaModule, Outcome, ReadRows, Settlement, Target

TARGET = Target(Dialect.TUYA, "https://example.test")
FINAL = {Outcome.CREATED, Outcome.EXISTS}
SETTLED = [outcome for outcome in Outcome if outcome not in {Outcome.PENDING, Outcome.DUPLICATE, Outcome.INVALID}]

Key = tuple[str, str]

modules = st.builds(
    OtaModule,
    st.sampled_from(["p1", "p2", "p3"]),
    st.sampled_from(["mcu", "MCU", "wifi", "ble"]),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, "x"]),
)
lines = st.one_of(modules, st.none())
"""What a line of a file asks for; ``None``: a line that is invalid."""


@dataclass(frozen=True)
class Expected:
    """A row, as the ledger must show it."""

    line: int
    outcome: str
    module: OtaModule | None


class LedgerMachine(RuleBasedStateMachine):
    """What every rule does to the file it does to the dicts, too."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
        self.path = self.folder / "it.db"
        self.ledger = Ledger.open(self.path, targets={"": TARGET})
        self.file: list[OtaModule | None] = []
        self.modules: dict[Key, Settlement] = {}

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    @rule(file=st.lists(lines, max_size=12))
    def read_a_file(self, file: list[OtaModule | None]) -> None:
        self._read(file)
        self.file = file

    @rule(order=st.randoms(use_true_random=False))
    def read_the_file_in_another_order(self, order: object) -> None:
        file = list(self.file)
        order.shuffle(file)  # type: ignore[attr-defined]  # hypothesis' own Random
        self.read_a_file(file)

    @rule()
    def read_the_file_in_another_letter_case(self) -> None:
        self.read_a_file(
            [module and replace(module, module_name=module.module_name.swapcase()) for module in self.file]
        )

    @rule(file=st.lists(lines, max_size=12))
    def fail_to_read_a_file(self, file: list[OtaModule | None]) -> None:
        with suppress(ZeroDivisionError):
            self._read(file, then=lambda: 1 / 0)

    @precondition(lambda self: self.open_modules())
    @rule(data=st.data(), outcome=st.sampled_from(SETTLED), in_doubt=st.booleans(), attempts=st.integers(0, 6))
    def settle_a_row(self, data: st.DataObject, outcome: Outcome, in_doubt: bool, attempts: int) -> None:
        module = data.draw(st.sampled_from(self.open_modules()))
        settlement = Settlement(
            line=1, module=module, outcome=outcome, in_doubt=in_doubt, attempts=attempts, at=0.0, code="c"
        )
        asyncio.run(self._write([settlement]))
        self.modules[module.key] = settlement

    @precondition(lambda self: self.open_modules())
    @rule()
    def claim_everything_and_crash(self) -> None:
        claims = [Settlement(line=1, module=m, outcome=Outcome.SENDING, at=0.0) for m in self.open_modules()]
        asyncio.run(self._write(claims))
        self.modules.update({claim.module.key: claim for claim in claims})
        self.crash()

    @rule()
    def crash(self) -> None:
        """Go on with the files as they were at this instant, which is what a killed process leaves."""
        folder = Path(tempfile.mkdtemp(prefix="ledger-machine-"))
        for file in self.folder.glob("it.db*"):
            shutil.copy(file, folder)
        self.teardown()
        self.folder, self.path = folder, folder / "it.db"
        self.ledger = Ledger.open(self.path, targets={"": TARGET})

    @rule()
    def close_and_open(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.path, targets={"": TARGET})

    @invariant()
    def rows_stand_as_expected(self) -> None:
        if not hasattr(self, "ledger"):
            return
        expected = self.expected()
        shown = [(result.line, result.outcome) for result in read_results(self.ledger.connection, self.path)]
        assert shown == [(row.line, row.outcome) for row in expected]
        counts = self.ledger.outcomes()
        assert counts == {outcome: sum(row.outcome == outcome for row in expected) for outcome in Outcome}
        wanted = {row.module.key for row in expected if row.module}
        assert self.ledger.absent() == len(self.modules.keys() - wanted)

    @invariant()
    def open_rows_are_in_lanes(self) -> None:
        if not hasattr(self, "ledger"):
            return
        with closing(LaneReader(self.path)) as reader:
            lanes = [lane for batch in iter(lambda: reader.next_lanes(2), []) for lane in batch]
        rows = [(row.line, row.module, row.attempts, row.in_doubt) for lane in lanes for row in lane.rows]
        assert sorted(rows, key=lambda row: row[0]) == self.expected_open_rows()
        assert [lane.product_key for lane in lanes] == self.expected_products()

    def expected(self) -> list[Expected]:
        first: dict[Key, OtaModule] = {}
        rows = []
        for line, module in enumerate(self.file, 2):
            if module is None:
                rows.append(Expected(line, Outcome.INVALID, None))
            elif module.key in first:
                same = first[module.key] == module
                rows.append(Expected(line, Outcome.DUPLICATE if same else Outcome.INVALID, None))
            else:
                first[module.key] = module
                rows.append(Expected(line, self._outcome(module), module))
        return rows

    def expected_open_rows(self) -> list[tuple[int, OtaModule, int, bool]]:
        rows = []
        for row in self.expected():
            if row.module is not None and row.outcome not in FINAL:
                record = self.modules.get(row.module.key)
                in_doubt = record is not None and (record.in_doubt or record.outcome is Outcome.SENDING)
                rows.append((row.line, row.module, record.attempts if record else 0, in_doubt))
        return rows

    def expected_products(self) -> list[str]:
        """Those with open rows, in file order; last those of which all have failed before."""
        first_lines: dict[str, int] = {}
        outcomes: dict[str, set[str]] = {}
        for row in self.expected():
            if row.module is None:
                continue
            first_lines.setdefault(row.module.product_key, row.line)
            if row.outcome not in FINAL:
                outcomes.setdefault(row.module.product_key, set()).add(row.outcome)
        return sorted(outcomes, key=lambda key: (outcomes[key] == {Outcome.FAILED}, first_lines[key]))

    def open_modules(self) -> list[OtaModule]:
        return [row.module for row in self.expected() if row.module is not None and row.outcome not in FINAL]

    def _outcome(self, module: OtaModule) -> str:
        record = self.modules.get(module.key)
        if record is None or (record.outcome in FINAL and record.module != module):
            return Outcome.PENDING
        return record.outcome

    def _read(self, file: list[OtaModule | None], then: object = None) -> None:
        rows = ReadRows()
        for line, module in enumerate(file, 2):
            if module is None:
                rows.invalid.append((line, "[]", "record.json", "wrong", ""))
            else:
                alias, desc = module.alias_name or "", module.desc or ""
                rows.valid.append((line, module.product_key, module.module_name, alias, desc, "[]"))
        with self.ledger.intake(name="it.csv", shape="{}", at=0.0) as intake:
            intake.add(rows)
            if callable(then):
                then()

    async def _write(self, settlements: list[Settlement]) -> None:
        failures: list[Exception] = []
        loop = asyncio.get_running_loop()
        writer = LedgerWriter(self.ledger.connection, self.path, run_id="r", loop=loop, on_failure=failures.append)
        for settlement in settlements:
            writer.settle(settlement._replace(at=1.0))
        await asyncio.to_thread(writer.close)
        assert not failures


class LongLivedLedgerMachine(LedgerMachine):
    """The same, many times over."""


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestLedgerForLong = pytest.mark.torture(pytest.mark.timeout(900)(LongLivedLedgerMachine.TestCase))
TestLedgerForLong.settings = settings(TestLedger.settings, max_examples=1_000, stateful_step_count=40)
