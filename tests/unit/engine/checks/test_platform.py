"""What the doctor finds of one account: connection, keys, a few listings, and whose the keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.engine.accounts import Account, OpenedAccount
from bulk.engine.checks import platform
from bulk.engine.checks.diagnosis import Check, Verdict
from bulk.engine.checks.doctor import examine
from bulk.engine.sessions.session import RateGroup
from bulk.errors import NotSentError, SettingsError, TurnMissedError
from bulk.events import CredentialsFound, CredentialsNotRenewed
from bulk.sandbox import FaultPlan
from tests.unit.engine.conftest import carrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk.events import Listener

    Make = Callable[..., Any]

CHANGES_NOTHING = {"ListOTAModuleByProduct"}


async def examined(settings: Any, product_key: str | None = None) -> dict[str, Check]:
    return {check.name: check for check in await examine(settings, product_key=product_key)}


def by_verdict(checks: dict[str, Check], verdict: Verdict) -> list[str]:
    return [name for name, check in checks.items() if check.verdict is verdict]


@pytest.mark.usefixtures("endpoints")
async def test_platform_that_is_well_passes_everything_and_is_only_listed(make_box: Make, keys_of: Make) -> None:
    box = make_box()
    box.fill([("a1Mine", "m")])

    checks = await examined(box.settings(key_env=keys_of(box)), "a1Mine")

    assert by_verdict(checks, Verdict.PASSED) == [
        "settings",
        "endpoint",
        "keys",
        "listing",
        "clock",
        "speed",
        "ledger",
        "disk",
    ]
    assert checks["listing"].detail.startswith("1 module in a1Mine;")
    assert {*box.actions()} == CHANGES_NOTHING
    assert {seen.product_key for seen in box.seen} == {"a1Mine"}


@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(("list_qps", "listings"), [(0, 5), (1_000_000, 5), (1.0, 4), (0.1, 2)])
async def test_measuring_takes_only_what_the_rate_allows(
    make_box: Make, keys_of: Make, monkeypatch: pytest.MonkeyPatch, list_qps: float, listings: int
) -> None:
    box = make_box()
    # Gates that let everything through at once: what is counted is how often the doctor asks.
    monkeypatch.setattr(
        "bulk.engine.checks.platform.RateGroup", lambda rates, **_: RateGroup(dict.fromkeys(rates, 0.0))
    )

    await examined(box.settings(key_env=keys_of(box), list_qps=list_qps))

    assert sum(box.actions().values()) == listings


@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(
    ("product", "sample", "listed"),
    [("a1Given", "a1Sample", "a1Given"), (None, "a1Sample", "a1Sample"), (None, None, None)],
)
async def test_product_that_is_named_is_listed_else_the_sample_else_a_made_up_one(
    make_box: Make, keys_of: Make, product: str | None, sample: str | None, listed: str | None
) -> None:
    box = make_box(products=frozenset({"a1Given", "a1Sample"}))

    checks = await examined(box.settings(key_env=keys_of(box), sample_product=sample), product)

    (key,) = {seen.product_key for seen in box.seen}
    assert key == listed or (listed is None and key not in {"a1Given", "a1Sample"})
    assert checks["listing"].verdict is Verdict.PASSED


@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(
    "faults",
    [
        "list:throttle=2x",
        "list:nonce-used=1x",
        "list:reset=2x",
        "list:http503=2x",
        "clock-skew=+20m",
        "clock-skew=-20m",
    ],
)
async def test_trouble_that_passes_is_tried_again(make_box: Make, keys_of: Make, faults: str) -> None:
    box = make_box(faults=FaultPlan.parse(faults))

    checks = await examined(box.settings(key_env=keys_of(box)))

    assert by_verdict(checks, Verdict.FAILED) == []
    assert checks["listing"].verdict is Verdict.PASSED
    assert checks["clock"].verdict is (Verdict.WARNED if "clock" in faults else Verdict.PASSED)


@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(
    ("faults", "requests", "failed"),
    [("list:reset=100%", 3, ["listing"]), ("code:iot.system.BillIsOverDue-before=100%", 1, ["listing"])],
)
async def test_trouble_that_stays_fails_and_nothing_more_is_measured(
    make_box: Make, keys_of: Make, faults: str, requests: int, failed: list[str]
) -> None:
    box = make_box(faults=FaultPlan.parse(faults))

    checks = await examined(box.settings(key_env=keys_of(box)))

    assert by_verdict(checks, Verdict.FAILED) == failed
    assert checks["speed"].verdict is Verdict.SKIPPED
    assert sum(box.actions().values()) == requests


@pytest.mark.usefixtures("endpoints")
async def test_wrong_secret_fails_the_keys_and_is_not_shown(make_box: Make, keys_of: Make) -> None:
    box = make_box()

    checks = await examined(box.settings(key_env=keys_of(box, secret="wrong-secret-of-mine")))

    assert by_verdict(checks, Verdict.FAILED) == ["keys"]
    assert "wrong-secret-of-mine" not in str(checks)


@pytest.mark.usefixtures("endpoints")
async def test_without_keys_nothing_is_sent(make_box: Make) -> None:
    box = make_box()

    checks = await examined(box.settings(key_env="NOBODY"))

    assert by_verdict(checks, Verdict.FAILED) == ["keys"]
    assert by_verdict(checks, Verdict.SKIPPED) == ["listing", "clock", "speed"]
    assert "NOBODY_ACCESS_KEY_ID" in checks["keys"].detail
    assert len(box.seen) == 0


async def test_endpoint_that_can_not_be_reached_fails_and_the_keys_are_not_tried(
    make_box: Make, keys_of: Make, endpoints: dict[str, NotSentError | None]
) -> None:
    box = make_box()
    endpoints[box.endpoint] = NotSentError("connection refused", code="not_connected")

    found = await examined(box.settings(key_env=keys_of(box)))
    without_keys = await examined(box.settings(key_env="NOBODY"))

    assert by_verdict(found, Verdict.FAILED) == ["endpoint"]
    assert (found["endpoint"].detail, bool(found["endpoint"].remedy)) == ("connection refused", True)
    assert found["keys"].detail.endswith("not tried")
    assert by_verdict(without_keys, Verdict.FAILED) == ["endpoint", "keys"]
    assert len(box.seen) == 0


@pytest.mark.usefixtures("endpoints")
async def test_request_that_could_not_leave_in_time_is_tried_again(
    make_box: Make, keys_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, missed = make_box(), list[str]()

    async def send(carrier: Any, request: Any, **how: Any) -> Any:
        if not missed:
            missed.append(request.endpoint)
            raise TurnMissedError("no connection in time")
        return await carrier.send(request, **how)

    monkeypatch.setattr("bulk.engine.checks.platform.HttpTransport", carrying(platform, send))

    checks = await examined(box.settings(key_env=keys_of(box)))

    assert missed
    assert by_verdict(checks, Verdict.FAILED) == []


@pytest.mark.usefixtures("endpoints")
async def test_clock_is_not_judged_if_no_reply_shows_a_time(
    make_box: Make, keys_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(carrier: Any, request: Any, **how: Any) -> Any:
        return (await carrier.send(request, **how))._replace(headers={})

    monkeypatch.setattr("bulk.engine.checks.platform.HttpTransport", carrying(platform, send))
    box = make_box()

    checks = await examined(box.settings(key_env=keys_of(box)))

    assert by_verdict(checks, Verdict.SKIPPED) == ["clock"]


@pytest.mark.usefixtures("endpoints")
async def test_source_of_the_keys_is_told_whatever_else_is_told_of_them(
    make_box: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make_box()

    async def open_keys(account: Account, *, listener: Listener) -> OpenedAccount:
        listener(CredentialsFound(source="the vault"))
        listener(CredentialsNotRenewed("the vault is busy"))
        return OpenedAccount(account=account, credentials=box.keys(), rate_group="g")

    monkeypatch.setattr("bulk.engine.checks.platform.open_account_keys", open_keys)

    checks = await examined(box.settings())

    assert checks["keys"].detail == "sand… from the vault, accepted"


@pytest.mark.usefixtures("endpoints")
async def test_rehearsal_is_checked_with_keys_of_its_own(make_box: Make, rehearsals: list[Any]) -> None:
    checks = await examined(make_box().settings(endpoint=None, sandbox=True))

    assert by_verdict(checks, Verdict.PASSED)[:4] == ["settings", "endpoint", "keys", "listing"]
    assert "the sandbox itself" in checks["keys"].detail
    assert len(rehearsals) == 1
    with pytest.raises(SettingsError, match="--faults"):
        await examined(make_box().settings(endpoint=None, sandbox=True, sandbox_faults="nonsense"))
