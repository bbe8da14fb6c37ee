from __future__ import annotations

import re

import pytest

from bulk.errors import SettingsError
from bulk.sandbox import faults
from bulk.sandbox.faults import Effect, Fault, FaultPlan


def only_fault(spec: str) -> Fault:
    (fault,) = FaultPlan.parse(spec).faults
    return fault


def test_empty_spec_plans_nothing() -> None:
    assert FaultPlan.parse("") == FaultPlan()


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("throttle=1%", "throttle-before"),
        ("http500=1%", "http500-before"),
        ("http503-after=1%", "http503-after"),
        ("nonce-used=1%", "nonce-used-before"),
        ("redirect=1%", "redirect-before"),
        ("reset=1%", "reset-after"),
        ("reset-before=1%", "reset-before"),
        ("hang=1%", "hang-after"),
        ("badjson=1%", "badjson-after"),
        ("slow-body=1%", "slow-body-after"),
        ("refuse=1%", "refuse-before"),
        ("code:iot.system.SystemException=1%", "code:iot.system.SystemException-before"),
        ("code:Throttling.Api-after=1%", "code:Throttling.Api-after"),
    ],
)
def test_side_is_as_written_or_as_the_grammar_says(spec: str, name: str) -> None:
    assert only_fault(spec).name == name


def test_rate_is_a_share_or_a_count_from_some_request_on() -> None:
    assert only_fault("html=12.5%").share == 0.125
    assert (only_fault("html=3x").times, only_fault("html=3x").first) == (3, 1)
    assert (only_fault("html=100%@50").share, only_fault("html=100%@50").first) == (1.0, 50)


def test_prefix_narrows_a_fault_to_an_action() -> None:
    assert only_fault("create:http500=3%").action == "CreateOTAModule"
    assert only_fault("list:code:iot.ota.ListOTAModuleFailure=3%") == Fault(
        effect=Effect.CODE,
        carried_out=False,
        action="ListOTAModuleByProduct",
        code="iot.ota.ListOTAModuleFailure",
        share=0.03,
    )


def test_settings_are_durations() -> None:
    plan = FaultPlan.parse("latency=20-80ms, clock-skew=-20m, retry-after=300ms, hang-for=5s, slow-for=0.5s")

    assert plan == FaultPlan(latency_s=(0.02, 0.08), clock_skew_s=-1200.0, retry_after_s=0.3, hang_s=5.0, slow_s=0.5)


def test_latency_can_be_narrowed_to_an_action() -> None:
    plan = FaultPlan.parse("latency=50ms,update:latency=1-2s")

    assert [plan.latency_of(action) for action in ("UpdateOTAModule", "CreateOTAModule")] == [(1, 2), (0.05, 0.05)]
    assert not FaultPlan.parse("update:latency=1s").is_empty
    assert FaultPlan.parse("hang-for=5s").is_empty


def test_one_latency_is_both_bounds() -> None:
    assert FaultPlan.parse("latency=50ms").latency_s == (0.05, 0.05)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("throtle=5%", "'throtle' is no fault; the nearest is throttle"),
        ("reset-befor=5%", "the nearest is reset-before"),
        ("creat:http500=5%", "the nearest is create:http500"),
        ("latncy=5ms", "the nearest is latency"),
        ("zzzzzz=5%", "'zzzzzz' is no fault; `bulk sandbox --help` lists them all"),
        ("code=5%", "'code' is no fault"),
        ("http500:x=5%", "'http500:x' is no fault"),
        ("throttle", "'throttle' has no value; write throttle=5%"),
        ("throttle=5", "throttle=5 is no rate; write throttle=5% or throttle=3x"),
        ("throttle=101%", "is no rate"),
        ("throttle-after=5%", "throttle can't happen after; leave -after away"),
        ("huge-body-before=5%", "huge-body can't happen before"),
        ("create:refuse=5%", "before its action is known"),
        ("latency=fast", "latency=fast is not a duration; write latency=20-80ms"),
        ("latency=-5ms", "is not a duration"),
        ("update:latency=fast", "latency=fast is not a duration"),
        ("updat:latency=5ms", "'updat:latency' is no fault"),
        ("hang-for=1-2s", "is not a duration; write hang-for=60s"),
        ("html=60%,create:reset=60%", "the shares for CreateOTAModule add up to 120%"),
    ],
)
def test_mistake_is_named_with_what_to_write(spec: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        FaultPlan.parse(spec)


def test_every_effect_is_in_the_grammar_that_help_shows() -> None:
    words = set(re.split(r"[\s:=]+", faults.__doc__ or ""))

    assert words >= set(Effect)


def test_example_in_the_grammar_can_be_read() -> None:
    example = (faults.__doc__ or "").partition("Example: ")[2].strip()

    assert len(FaultPlan.parse(example).faults) == 4
