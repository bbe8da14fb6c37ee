"""The doctor against a real sandbox, well and ill."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli import main
from bulk.engine.checks.diagnosis import Verdict, exit_code
from bulk.engine.checks.doctor import examine
from bulk.errors import SettingsError
from bulk.ledger.store import Ledger
from bulk.model import Dialect, Target
from bulk.sandbox import FaultPlan, Sandbox, SandboxConfig
from bulk.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.engine.checks.diagnosis import Check

NAMES = ["settings", "endpoint", "keys", "listing", "clock", "speed", "ledger", "disk"]


@pytest.fixture(autouse=True)
def _loop_is_watched(no_blocking_calls: None) -> None:
    """Every test here fails where `bulk` blocks the event loop."""


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "BULK_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def with_keys(monkeypatch: pytest.MonkeyPatch, box: Sandbox, *, secret: str | None = None) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", box.credentials.access_key_id)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", secret or box.credentials.access_key_secret)


def box_with(faults: str = "", **config: Any) -> Sandbox:
    return Sandbox(SandboxConfig(qps=0, list_qps=0, faults=FaultPlan.parse(faults), **config))


async def examined(box: Sandbox, product_key: str | None = None, **changes: Any) -> dict[str, Check]:
    told: dict[str, Any] = {"dialect": Dialect.ALIBABA, "list_qps": 0, "qps": 10} | changes
    told["endpoint"] = told.get("endpoint") or box.endpoint
    checks = await examine(Settings(**told), product_key=product_key)
    assert [check.name for check in checks] == NAMES
    return {check.name: check for check in checks}


def bind(path: Path, target: Target) -> None:
    """Make a ledger of which the target has accepted a request."""
    ledger = Ledger.open(path, targets={"": target})
    ledger.connection.execute(
        "INSERT INTO attempts (run_id, at, action, product_key, latency_ms) VALUES ('r', 't', 'l', 'p', 1)"
    )
    ledger.close()


def verdicts(checks: dict[str, Check], verdict: Verdict) -> list[str]:
    return [name for name, check in checks.items() if check.verdict is verdict]


async def test_healthy_platform_passes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with() as box:
        with_keys(monkeypatch, box)

        checks = await examined(box, "a1Product00")

    assert verdicts(checks, Verdict.PASSED) == NAMES
    assert exit_code(list(checks.values())) == 0
    assert not box.carried_out


async def test_made_up_product_that_is_unknown_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with(products=frozenset()) as box:
        with_keys(monkeypatch, box)

        checks = await examined(box)

    assert verdicts(checks, Verdict.PASSED) == NAMES
    assert "iot.prod.NotExistedProduct for the made-up product" in checks["listing"].detail


async def test_named_product_that_is_unknown_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with(products=frozenset()) as box:
        with_keys(monkeypatch, box)

        checks = await examined(box, "a1Product00")

    assert verdicts(checks, Verdict.FAILED) == ["listing"]
    assert checks["keys"].verdict is Verdict.PASSED
    assert "Check the ProductKey" in (checks["listing"].remedy or "")


async def test_wrong_secret_fails_the_keys_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with() as box:
        with_keys(monkeypatch, box, secret="wrong-secret-of-mine")

        checks = await examined(box)

    assert verdicts(checks, Verdict.FAILED) == ["keys"]
    assert "SignatureDoesNotMatch" in checks["keys"].detail
    assert "ALIBABA_CLOUD_ACCESS_KEY_SECRET" in (checks["keys"].remedy or "")
    assert "wrong-secret-of-mine" not in str(checks)


async def test_missing_permission_fails_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with("code:Forbidden.RAM=100%") as box:
        with_keys(monkeypatch, box)

        checks = await examined(box)

    assert verdicts(checks, Verdict.FAILED) == ["listing"]
    assert "iot:ListOTAModuleByProduct" in (checks["listing"].remedy or "")


@pytest.mark.parametrize(("skew", "words"), [("+20m", "behind"), ("-20m", "ahead of")])
async def test_clock_that_is_off_is_told_and_does_not_hide_the_rest(
    monkeypatch: pytest.MonkeyPatch, skew: str, words: str
) -> None:
    async with box_with(f"clock-skew={skew}") as box:
        with_keys(monkeypatch, box)

        checks = await examined(box)

    assert verdicts(checks, Verdict.WARNED) == ["clock"]
    assert f"{words} the platform's" in checks["clock"].detail
    assert checks["listing"].verdict is Verdict.PASSED


async def test_platform_that_throttles_at_first_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with("list:throttle=2x,retry-after=1ms") as box:
        with_keys(monkeypatch, box)

        checks = await examined(box)

    assert checks["listing"].verdict is Verdict.PASSED


async def test_platform_that_breaks_every_connection_fails_the_listing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with("refuse=100%") as box:
        with_keys(monkeypatch, box)

        checks = await examined(box)

    assert verdicts(checks, Verdict.FAILED) == ["listing"]
    assert checks["speed"].verdict is Verdict.SKIPPED


async def test_endpoint_that_is_gone_fails_and_the_folder_is_looked_at_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with box_with() as box:
        with_keys(monkeypatch, box)
        gone = box.endpoint

    checks = await examined(box, endpoint=gone)

    assert verdicts(checks, Verdict.FAILED) == ["endpoint"]
    assert verdicts(checks, Verdict.PASSED) == ["settings", "ledger", "disk"]
    assert checks["endpoint"].remedy
    assert "not tried" in checks["keys"].detail


async def test_no_key_fails_with_the_places_that_were_searched() -> None:
    async with box_with() as box:
        checks = await examined(box)

    assert verdicts(checks, Verdict.FAILED) == ["keys"]
    assert checks["endpoint"].verdict is Verdict.PASSED
    assert "config.json" in checks["keys"].detail


async def test_latency_that_is_too_long_for_the_lanes_asks_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with box_with("latency=60ms") as box:
        with_keys(monkeypatch, box)

        checks = await examined(box, concurrency=1, qps=100)

    assert checks["speed"].verdict is Verdict.WARNED
    assert "--concurrency" in (checks["speed"].remedy or "")


async def test_listings_keep_inside_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Sandbox(SandboxConfig(list_qps=5)) as box:
        with_keys(monkeypatch, box)

        checks = await examined(box, list_qps=5)

    assert checks["speed"].verdict is Verdict.PASSED
    assert not any(code.startswith("Throttling") for code in box.codes)


async def test_ledger_in_a_folder_that_is_not_there_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with box_with() as box:
        with_keys(monkeypatch, box)

        checks = await examined(box, ledger=str(tmp_path / "missing" / "in.db"))

    assert verdicts(checks, Verdict.FAILED) == ["ledger"]
    assert checks["disk"].verdict is Verdict.SKIPPED


async def test_platform_that_nobody_named_fails_the_settings() -> None:
    checks = await examine(Settings())

    assert [check.name for check in checks if check.verdict is Verdict.FAILED] == ["settings"]
    assert [check.name for check in checks] == NAMES


async def test_sandbox_of_its_own_passes() -> None:
    checks = await examine(Settings(sandbox=True, list_qps=0))

    assert {check.verdict for check in checks} == {Verdict.PASSED}


async def test_faults_that_cannot_be_read_are_a_usage_error() -> None:
    with pytest.raises(SettingsError):
        await examine(Settings(sandbox=True, sandbox_faults="nonsense"))


def test_command_prints_a_line_a_check_and_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--sandbox"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[1] for line in lines if line.startswith("ok ")] == NAMES
    assert max(map(len, lines)) <= 100


def test_command_puts_the_remedy_below_what_failed_and_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--sandbox", "--faults", "code:InvalidAccessKeyId.NotFound=100%"])

    lines = capsys.readouterr().out.splitlines()
    failed = next(number for number, line in enumerate(lines) if line.startswith("FAILED keys"))
    assert code == 3
    assert any(
        line.strip().startswith("→ The keys are from the sandbox itself;") for line in lines[failed + 1 : failed + 4]
    )


def test_command_prints_one_object_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--sandbox", "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert (code, printed["exit_code"]) == (0, 0)
    assert [check["name"] for check in printed["checks"]] == NAMES
    assert set(printed["checks"][0]) == {"name", "verdict", "detail", "remedy"}


async def test_ledger_that_a_run_would_refuse_fails_and_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    foreign, bound = tmp_path / "foreign.db", tmp_path / "bound.db"
    foreign.write_bytes(b"dear diary, " * 1000)
    await asyncio.to_thread(bind, bound, Target(Dialect.TUYA, "https://example.tuyacloud.com:8686"))
    before = [path.read_bytes() for path in (foreign, bound)]
    async with box_with() as box:
        with_keys(monkeypatch, box)
        refused = [await examined(box, ledger=str(path)) for path in (foreign, bound)]

    assert [verdicts(checks, Verdict.FAILED) for checks in refused] == [["ledger"], ["ledger"]]
    assert "not a ledger of bulk" in refused[0]["ledger"].detail
    assert "belongs to https://example.tuyacloud.com:8686" in refused[1]["ledger"].detail
    assert [path.read_bytes() for path in (foreign, bound)] == before


async def test_ledger_that_a_run_would_go_on_with_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "in.db"
    async with box_with() as box:
        with_keys(monkeypatch, box)
        await asyncio.to_thread(bind, path, Target(Dialect.ALIBABA, box.endpoint.rstrip("/")))
        checks = await examined(box, ledger=str(path))

    assert checks["ledger"].verdict is not Verdict.FAILED
