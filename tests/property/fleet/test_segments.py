"""Segments in simulated time: a claim waits for the store, nothing is lost or doubled, and the last word counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import pytest

from bulk.errors import LedgerError
from bulk.fleet.records import decoded, encoded, opened
from bulk.fleet.segments import ShippingWriter, segments_of, standing_after
from bulk.fleet.store import ABSENT, Outage, Put
from bulk.model import Action, Attempt, ChangeKind, OtaModule, Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from pathlib import Path

    from bulk.fleet.store import Absent

    Simulate = Callable[[Coroutine[Any, Any, None]], None]


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_cut_off = False
        self.loses_answers = False

    async def get(self, name: str) -> bytes | Literal[Absent.ABSENT] | Outage:
        return self.objects.get(name, ABSENT)

    async def save(self, name: str, path: Path) -> Literal[Put.STORED, Absent.ABSENT] | Outage:
        raise AssertionError(f"nobody asks for {name} as the file {path}")

    async def put_if_absent(self, name: str, data: bytes) -> Put | Outage:
        if self.is_cut_off:
            return Outage("cut off")
        end = Put.STORED if self.objects.setdefault(name, data) == data else Put.EXISTS
        if self.loses_answers:
            self.loses_answers = False
            return Outage("its answer is lost")
        return end

    async def overwrite(self, name: str, data: bytes | Path) -> Literal[Put.STORED] | Outage:
        raise AssertionError(f"{name} is never overwritten, and not by {data!r}")

    async def names(self, prefix: str) -> tuple[str, ...] | Outage:
        return tuple(sorted(name for name in self.objects if name.startswith(f"{prefix}/")))

    async def discard(self, name: str) -> None:
        raise AssertionError(f"{name} is kept")


class Ledger:
    def __init__(self) -> None:
        self.records: list[Settlement] = []

    def settle(self, settlement: Settlement) -> None:
        self.records.append(settlement)

    def note(self, attempt: Attempt) -> None:
        pass

    def amend(self, statement: str, *parameters: object) -> None:
        pass

    async def claim(self, settlements: Iterable[Settlement]) -> None:
        self.records += settlements


def record(name: str, outcome: Outcome, **more: Any) -> Settlement:
    return Settlement(line=2, module=OtaModule("pk", name), outcome=outcome, at=1.5, account="eu", **more)


def attempt(account: str, action: Action, left_s: float | None) -> Attempt:
    return Attempt(1.0, action, "pk", None, 200, None, "R", 0.01, account=account, left_s=left_s)


def now_s() -> float:
    return asyncio.get_running_loop().time()


CLAIM = record("m1", Outcome.SENDING)
CREATED = record("m1", Outcome.CREATED, request_id="R", attempts=1)


def test_what_is_encoded_is_decoded_as_it_was() -> None:
    records = [
        CLAIM,
        CREATED,
        record("m2", Outcome.FAILED, code="X", message="两\udce4", in_doubt=True, recovered=True),
        record("m3", Outcome.SENDING, kind=ChangeKind.UPDATE, found=OtaModule("pk", "m3", alias_name="", desc="old")),
        CLAIM._replace(line=None, account=""),
        CREATED._replace(owned=False, recovered=True, written=OtaModule("pk", "m1", "a", "")),
    ]

    assert decoded(encoded(records)) == records


def test_claim_counts_once_its_segment_is_stored_and_not_before(simulate: Simulate) -> None:
    async def main() -> None:
        store, ledger = Store(), Ledger()
        store.is_cut_off = True
        async with ShippingWriter(ledger, store, shard=0, fence=1) as writer:
            claiming = asyncio.create_task(writer.claim([CLAIM]))
            await asyncio.sleep(60)
            assert ledger.records == [CLAIM]
            assert not claiming.done()

            store.is_cut_off = False
            await claiming

            assert await segments_of(store, 0) == [CLAIM]
            writer.settle(CREATED)
        assert await segments_of(store, 0) == [CLAIM, CREATED]

    simulate(main())


def test_when_requests_left_is_shipped_by_account_and_action(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        async with ShippingWriter(Ledger(), store, shard=0, fence=1) as writer:
            for account, action, left_s in [("eu", "create", 1.00004), ("eu", "create", 1.5), ("us", "list", None)]:
                writer.note(attempt(account, Action[action.upper()], left_s))
        (segment,) = store.objects.values()
        assert opened(segment).sent == {"eu": {Action.CREATE: [10_000, 15_000]}}
        assert decoded(segment) == []

    simulate(main())


def test_segment_whose_answer_is_lost_is_there_once(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        store.loses_answers = True
        async with ShippingWriter(Ledger(), store, shard=0, fence=1) as writer:
            claiming = asyncio.create_task(writer.claim([CLAIM]))
            await asyncio.sleep(1.5)
            writer.settle(CREATED)
            await claiming
        assert await segments_of(store, 0) == [CLAIM, CREATED]

    simulate(main())


def test_all_claims_of_a_second_share_a_segment(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        async with ShippingWriter(Ledger(), store, shard=0, fence=1) as writer:
            await asyncio.gather(*(writer.claim([record(f"m{number}", Outcome.SENDING)]) for number in range(500)))
            assert now_s() == pytest.approx(1.0)
            assert len(store.objects) == 1

    simulate(main())


def test_end_during_an_outage_comes_in_time_and_fails_the_claim(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        store.is_cut_off = True
        async with ShippingWriter(Ledger(), store, shard=0, fence=1) as writer:
            claiming = asyncio.create_task(writer.claim([CLAIM]))
            await asyncio.sleep(2)
        assert now_s() < 7
        with pytest.raises(LedgerError):
            await claiming

    simulate(main())


def test_name_that_another_process_used_fails_the_claim(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        store.objects["segments/0/1.0"] = b"another's"
        async with ShippingWriter(Ledger(), store, shard=0, fence=1) as writer:
            with pytest.raises(LedgerError, match="another process"):
                await writer.claim([CLAIM])

    simulate(main())


def test_segments_are_read_by_fence_and_number_and_the_last_word_counts(simulate: Simulate) -> None:
    async def main() -> None:
        store = Store()
        other = record("M1", Outcome.EXISTS)
        for name, one in {"0/9.0": CLAIM, "0/10.9": CREATED, "0/10.10": other, "1/99.0": CREATED}.items():
            store.objects[f"segments/{name}"] = encoded([one])

        found = await segments_of(store, 0)

        assert found == [CLAIM, CREATED, other]
        assert standing_after([CLAIM, CREATED, other]) == [other]

    simulate(main())
