from __future__ import annotations

import pytest

from bulk.sandbox.dice import FaultDice
from bulk.sandbox.faults import FaultPlan

CREATE = "CreateOTAModule"
LIST = "ListOTAModuleByProduct"


def names(dice: FaultDice, subjects: list[str], action: str = CREATE) -> dict[str, str]:
    drawn = {subject: dice.draw(action, subject)[0] for subject in subjects}
    return {subject: fault.name if fault else "" for subject, fault in drawn.items()}


def dice(spec: str, seed: int = 0) -> FaultDice:
    return FaultDice(FaultPlan.parse(spec), seed=seed)


def test_same_seed_fails_the_same_requests_in_whatever_order_they_come() -> None:
    subjects = [f"p{number}/m" for number in range(200)]
    spec = "throttle=10%,reset=10%,hang-before=10%"

    there = names(dice(spec, seed=7), subjects)
    back = names(dice(spec, seed=7), subjects[::-1])
    other = names(dice(spec, seed=8), subjects)

    assert there == back
    assert there != other
    assert set(there.values()) == {"", "throttle-before", "reset-after", "hang-before"}


def test_repeated_request_is_drawn_anew() -> None:
    one = dice("reset=50%")

    assert len({one.draw(CREATE, "p/m")[0] is None for _ in range(50)}) == 2


def test_share_is_what_was_asked_for() -> None:
    drawn = names(dice("html=20%"), [f"p{number}/m" for number in range(2000)])

    assert 340 <= sum(map(bool, drawn.values())) <= 460


def test_count_is_used_up_by_the_requests_that_match() -> None:
    one = dice("create:reset=2x")

    assert one.draw(LIST, "p/")[0] is None
    assert [one.draw(CREATE, f"p/{number}")[0] is None for number in range(4)] == [False, False, True, True]


def test_fault_starts_at_the_request_that_it_names() -> None:
    one = dice("code:Forbidden.RAM=100%@3")

    assert [one.draw(CREATE, f"p/{number}")[0] is None for number in range(4)] == [True, True, False, False]


def test_counted_fault_goes_before_shares() -> None:
    assert dice("html=1x,reset=100%").draw(CREATE, "p/m")[0] == FaultPlan.parse("html=1x").faults[0]


def test_latency_stays_within_its_bounds() -> None:
    one = dice("latency=20-80ms")
    latencies = [one.draw(CREATE, f"p/{number}")[1] for number in range(100)]

    assert 0.02 <= min(latencies) < 0.03
    assert 0.07 < max(latencies) <= 0.08


def test_latency_of_one_action_leaves_the_others_at_once() -> None:
    one = dice("create:latency=20ms")

    assert (one.draw(CREATE, "p/m")[1], one.draw(LIST, "p/")[1]) == (0.02, 0.0)


@pytest.mark.parametrize(("spec", "expected"), [("", [False] * 3), ("refuse=1x", [True, False, False])])
def test_connections_are_refused_apart_from_requests(spec: str, expected: list[bool]) -> None:
    one = dice(spec)

    assert one.draw(CREATE, "p/m") == (None, 0.0)
    assert [one.refuses() for _ in range(3)] == expected
