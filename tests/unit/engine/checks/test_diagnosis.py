"""What is made of what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulk.cloud.wire.reach import Reach
from bulk.engine.checks.diagnosis import (
    Check,
    Verdict,
    clock_check,
    disk_check,
    endpoint_check,
    exit_code,
    folder_check,
    keys_check,
    listing_check,
    speed_check,
)
from bulk.ledger.storage.folder import FolderTrial
from bulk.model import Failure, FailureKind, Listing, OtaModule

DAY_S = 86_400.0
LISTED = Listing((OtaModule("pk", "m"),), "r", 200)
GIB = 1 << 30


def failure(kind: FailureKind, code: str, remedy: str | None = None) -> Failure:
    return Failure(kind=kind, code=code, message="said", remedy=remedy)


UNKNOWN_PRODUCT = failure(FailureKind.PRODUCT, "iot.prod.NotExistedProduct", "Check the ProductKey.")


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([Verdict.PASSED, Verdict.WARNED, Verdict.SKIPPED], 0),
        ([Verdict.PASSED, Verdict.FAILED], 3),
        ([], 0),
    ],
)
def test_only_a_failure_fails(verdicts: list[Verdict], code: int) -> None:
    assert exit_code([Check("any", verdict, "seen") for verdict in verdicts]) == code


def test_connection_without_tls_says_so() -> None:
    check = endpoint_check("http://127.0.0.1", Reach(0.0042), now=0.0)

    assert (check.verdict, check.detail) == (Verdict.PASSED, "http://127.0.0.1 reached in 4.2 ms, without TLS")


def test_proxy_is_named_in_place_of_the_certificate() -> None:
    check = endpoint_check("https://h", Reach(0.02, "http://proxy:3128"), now=0.0)

    assert check.detail == "https://h through the proxy http://proxy:3128, which was reached in 20 ms"


def test_certificate_behind_a_proxy_is_judged() -> None:
    check = endpoint_check("https://h", Reach(0.02, "http://proxy:3128", "TLSv1.3", 13 * DAY_S, "10.1.2.3"), now=0.0)

    assert check.verdict is Verdict.WARNED
    assert check.detail.startswith(
        "https://h through the proxy http://proxy:3128 reached at 10.1.2.3 in 20 ms, TLSv1.3"
    )


def test_answer_of_somebody_else_asks_for_a_login_page() -> None:
    check = listing_check(failure(FailureKind.DOUBTFUL, "unreadable_reply"), None)

    assert check.verdict is Verdict.FAILED
    assert "login page" in (check.remedy or "")


@pytest.mark.parametrize(("days", "verdict"), [(14, Verdict.PASSED), (13, Verdict.WARNED)])
def test_certificate_near_its_end_is_worth_a_look(days: int, verdict: Verdict) -> None:
    check = endpoint_check("https://h", Reach(0.02, None, "TLSv1.3", days * DAY_S), now=0.0)

    assert check.verdict is verdict
    assert f"valid until 1970-01-{days + 1}" in check.detail


@pytest.mark.parametrize("answer", [LISTED, UNKNOWN_PRODUCT, failure(FailureKind.DENIED, "iot.common.AuthDeny")])
def test_keys_are_accepted_by_whoever_looks_for_the_product(answer: Listing | Failure) -> None:
    check = keys_check("environment variables", "LTAI1234567890", answer)

    assert check == Check("keys", Verdict.PASSED, "LTAI… from environment variables, accepted")


@pytest.mark.parametrize(
    "code", ["InvalidAccessKeyId.NotFound", "SignatureDoesNotMatch", "InvalidSecurityToken.Expired"]
)
def test_refused_keys_fail_and_leave_the_listing_untold(code: str) -> None:
    answer = failure(FailureKind.FATAL, code, "Check it.")

    assert keys_check("x", "LTAI", answer) == Check(
        "keys", Verdict.FAILED, f"LTAI… from x, refused: {code}: said", "Check it."
    )
    assert listing_check(answer, None).verdict is Verdict.SKIPPED


def test_missing_permission_is_no_fault_of_the_keys() -> None:
    answer = failure(FailureKind.FATAL, "Forbidden.RAM", "Grant it.")

    assert keys_check("x", "LTAI", answer).verdict is Verdict.SKIPPED
    assert listing_check(answer, None) == Check("listing", Verdict.FAILED, "Forbidden.RAM: said", "Grant it.")


@pytest.mark.parametrize(
    ("answer", "product_key", "verdict"),
    [
        (LISTED, "pk", Verdict.PASSED),
        (LISTED, None, Verdict.PASSED),
        (UNKNOWN_PRODUCT, None, Verdict.PASSED),
        (UNKNOWN_PRODUCT, "pk", Verdict.FAILED),
        (failure(FailureKind.REFUSED, "iot.ota.ListOTAModuleParamError"), None, Verdict.WARNED),
        (failure(FailureKind.REFUSED, "iot.ota.ListOTAModuleParamError"), "pk", Verdict.FAILED),
        (failure(FailureKind.THROTTLED, "Throttling.User"), None, Verdict.WARNED),
        (failure(FailureKind.DOUBTFUL, "timeout"), None, Verdict.FAILED),
    ],
)
def test_listing_is_judged_by_what_was_asked_for(
    answer: Listing | Failure, product_key: str | None, verdict: Verdict
) -> None:
    check = listing_check(answer, product_key)

    assert check.verdict is verdict
    assert verdict is Verdict.PASSED or check.remedy


@pytest.mark.parametrize(
    ("offset_s", "verdict", "words"),
    [
        (None, Verdict.SKIPPED, "no reply showed"),
        (-0.4, Verdict.PASSED, "within 1 s"),
        (4.6, Verdict.PASSED, "within 5 s"),
        (60.0, Verdict.WARNED, "60 s behind the platform's; from 900 s on"),
        (-1200.0, Verdict.WARNED, "1200 s ahead of the platform's, which refuses"),
    ],
)
def test_clock_is_judged_against_the_window(offset_s: float | None, verdict: Verdict, words: str) -> None:
    check = clock_check(offset_s)

    assert check.verdict is verdict
    assert words in check.detail
    assert (check.remedy is not None) == (verdict is Verdict.WARNED)


def test_speed_that_reaches_the_rate_passes() -> None:
    check = speed_check([0.1, 0.2, 0.1], lanes=8, per_s=10.0)

    assert check.verdict is Verdict.PASSED
    assert (
        check.detail == "a request took 100 ms, at most 200 ms: 10 creates a second need 2 at a time, and 8 are allowed"
    )


def test_too_few_lanes_for_the_latency_get_a_number() -> None:
    check = speed_check([0.5], lanes=2, per_s=10.0)

    assert (check.verdict, check.remedy) == (Verdict.WARNED, "Give --concurrency 7.")


def test_speed_without_a_rate_or_a_measure_is_only_told() -> None:
    assert speed_check([0.5], lanes=2, per_s=0).detail == "a request took 500 ms, at most 500 ms"
    assert speed_check([], lanes=2, per_s=10).verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("trial", "verdict"),
    [
        (FolderTrial(0.002, GIB, None), Verdict.PASSED),
        (FolderTrial(0.2, GIB, None), Verdict.WARNED),
        (FolderTrial(0.002, GIB, "nfs4"), Verdict.WARNED),
    ],
)
def test_slow_and_distant_folders_are_worth_a_look(trial: FolderTrial, verdict: Verdict) -> None:
    check = folder_check(Path("/jobs"), trial)

    assert check.verdict is verdict
    assert verdict is Verdict.PASSED or check.remedy


@pytest.mark.parametrize(
    ("free_bytes", "verdict"),
    [(GIB, Verdict.PASSED), (GIB - 1, Verdict.WARNED), ((100 << 20) - 1, Verdict.FAILED), (0, Verdict.FAILED)],
)
def test_disk_room_is_judged_by_what_a_ledger_takes(free_bytes: int, verdict: Verdict) -> None:
    assert disk_check(free_bytes).verdict is verdict


def test_disk_room_is_told_in_rows() -> None:
    assert disk_check(GIB).detail == "1.0 GiB free, room for some 520,000 rows"
