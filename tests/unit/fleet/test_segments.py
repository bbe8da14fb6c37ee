"""What was shipped is read back whole, or the store's part that is wrong is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import SettingsError
from bulk.fleet.records import encoded, opened, records_of
from bulk.fleet.segments import LastShipped, ShippingWriter, last_segments_of, segments_of, ship_first
from bulk.fleet.store import Outage, Put
from bulk.model import ChangeKind, OtaModule, Outcome, Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from bulk.model import Attempt
    from tests.unit.fleet.conftest import MemoryStore

    Simulate = Callable[[Coroutine[Any, Any, None]], None]


def created(number: int, **more: Any) -> Settlement:
    said = {"line": number, "module": OtaModule("pk", f"m{number}"), "outcome": Outcome.CREATED, "at": 1.5}
    return Settlement(**{**said, **more})


def put(store: MemoryStore, **segments: list[Settlement]) -> None:
    for place, records in segments.items():
        fence, number = place.removeprefix("f").split("_")
        store.objects[f"segments/0/{fence}.{number}"] = encoded(records)


class Ledger:
    """What a worker's own ledger was given."""

    def __init__(self) -> None:
        self.amended: list[tuple[object, ...]] = []

    def settle(self, settlement: Settlement) -> None: ...

    def note(self, attempt: Attempt) -> None: ...

    def amend(self, statement: str, *parameters: object) -> None:
        self.amended.append((statement, *parameters))

    async def claim(self, settlements: Iterable[Settlement]) -> None: ...


@pytest.mark.parametrize("operation", ["names", "get"])
async def test_store_that_does_not_answer_is_no_shard_without_segments(operation: str, store: MemoryStore) -> None:
    put(store, f1_0=[created(2)])
    store.be_silent(operation)

    assert isinstance(await segments_of(store, 0), Outage)
    assert isinstance(await last_segments_of(store, 0, 1), Outage)


async def test_segments_that_a_later_holder_shipped_are_not_mine_and_overtake_me(store: MemoryStore) -> None:
    put(store, f1_0=[created(2)], f2_0=[created(3)], f10_0=[created(4)])

    before, last = await last_segments_of(store, 0, 2), await last_segments_of(store, 0, 10)

    assert isinstance(before, LastShipped)
    assert isinstance(last, LastShipped)
    assert ([one.line for one in before.settlements], before.is_overtaken) == ([2, 3], True)
    assert ([one.line for one in last.settlements], last.is_overtaken) == ([2, 3, 4], False)


async def test_only_the_last_minute_is_read_to_find_what_a_process_had_not_shipped(store: MemoryStore) -> None:
    put(store, **{f"f1_{number}": [created(number)] for number in range(100)})

    last = await last_segments_of(store, 0, 1)

    assert isinstance(last, LastShipped)
    assert [one.line for one in last.settlements] == list(range(40, 100))


async def test_segments_of_more_than_a_chunk_come_in_their_order(store: MemoryStore) -> None:
    put(store, **{f"f1_{number}": [created(number)] for number in range(70)})

    found = await segments_of(store, 0)

    assert isinstance(found, list)
    assert [one.line for one in found] == list(range(70))


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"bytes": 0}\n[1]\n', b'{"bytes": 0}\n{"record": [], "wanted": null}\n', b'{"bytes": "x"}\n\n'],
)
async def test_segment_that_is_damaged_is_named_to_the_worker_that_goes_on(data: bytes, store: MemoryStore) -> None:
    put(store, f1_0=[created(2)])
    store.objects["segments/0/1.1"] = data

    with pytest.raises(SettingsError, match=r"the store's segments/0/1\.1 can't be read .* it is damaged; use that"):
        await segments_of(store, 0)
    with pytest.raises(SettingsError, match=r"the store's segments/0/1\.1 can't be read"):
        await last_segments_of(store, 0, 1)


async def test_segment_that_vanishes_while_it_is_read_leaves_the_others(store: MemoryStore) -> None:
    put(store, f1_0=[created(2)], f1_1=[created(3)])
    names = store.names

    async def listed(prefix: str) -> object:
        found = await names(prefix)
        store.objects.pop("segments/0/1.1", None)
        return found

    store.names = listed  # type: ignore[method-assign, assignment]  # it lists what it lost

    found = await segments_of(store, 0)

    assert found == [created(2)]


async def test_what_a_dead_process_had_not_shipped_is_segment_0_of_the_next_fence_and_once(store: MemoryStore) -> None:
    ends = [await ship_first(store, 0, 2, [created(number)]) for number in (2, 2, 3)]

    assert ends == [Put.STORED, Put.STORED, Put.EXISTS]
    assert await segments_of(store, 0) == [created(2)]


def test_amendment_stays_with_the_ledger(store: MemoryStore, simulate: Simulate) -> None:
    async def main() -> None:
        ledger = Ledger()
        async with ShippingWriter(ledger, store, shard=0, fence=1) as writer:
            writer.amend("note_pages", 3)

        assert ledger.amended == [("note_pages", 3)]
        assert store.objects == {}

    simulate(main())


def test_claim_of_a_change_is_one_of_the_records_with_what_was_found() -> None:
    update = created(
        2, outcome=Outcome.SENDING, kind=ChangeKind.UPDATE, found=OtaModule("pk", "m2", desc="before"), approved=True
    )

    segment = opened(encoded([update]))

    assert segment.claimed == []
    assert [record[0] for record in segment.records] == [2]


@pytest.mark.parametrize("data", [b"{}", b"null", b'{"claimed": [], "bytes": 0}\n', b"[1]"])
def test_what_is_no_segment_is_an_error_of_its_text(data: bytes) -> None:
    with pytest.raises(ValueError, match="segment can't be read"):
        opened(data)


def test_line_of_a_segment_with_too_few_fields_is_no_record() -> None:
    with pytest.raises(ValueError, match="no record"):
        records_of(b'[2, "eu"]\n')
