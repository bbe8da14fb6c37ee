"""`bulk doctor` as a command: which checks it makes, and how it shows them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bulk.cli.app import main
from bulk.cloud.wire.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def _endpoints_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reach(_endpoint: str, **_: float) -> Reach:
        return Reach(0.01)

    monkeypatch.setattr("bulk.engine.checks.platform.reach", reach)


def verdicts(checks: list[dict[str, Any]]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in checks}


def test_healthy_platform_is_exit_0_and_nothing_is_changed(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()

    assert main(["doctor", "--product", "a1Lamp00001"]) == 0

    shown = capsys.readouterr().out
    assert "ok     listing" in shown
    assert "store" not in shown
    assert "ListOTAModuleByProduct" in box.actions()
    assert not box.changes


def test_json_has_every_check_and_the_exit_code(
    make_platform: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform()
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "another")

    assert main(["doctor", "--json"]) == 3

    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 3
    assert verdicts(said["checks"])["endpoint"] == "passed"
    assert "failed" in verdicts(said["checks"]).values()


@pytest.mark.parametrize("names", [(), ("cn", "eu")])
def test_store_is_tested_beside_the_platform(
    make_platform: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    make_platform(*names)
    (tmp_path / "store").mkdir()

    assert main(["doctor", "--store", str(tmp_path / "store"), "--json"]) == 0

    assert verdicts(json.loads(capsys.readouterr().out)["checks"])["store"] == "passed"


def test_url_that_is_no_stores_is_refused_before_any_test(
    make_platform: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform()

    assert main(["doctor", "--store", "ftp://host/bucket"]) == 2

    assert "ftp:// is no store" in capsys.readouterr().err
    assert not box.seen


def test_each_account_is_tested_with_its_own_keys(
    make_platform: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    box = make_platform("cn", "eu")
    monkeypatch.delenv("EU_ACCESS_KEY_SECRET")

    assert main(["doctor", "--json"]) == 3

    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 3
    assert verdicts(said["accounts"]["cn"]["checks"])["listing"] == "passed"
    assert verdicts(said["accounts"]["eu"]["checks"])["keys"] == "failed"
    assert {seen.account for seen in box.seen} == {"cn"}


def test_screen_of_accounts_says_which_one_would_fail(
    make_platform: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_platform("cn", "eu")
    monkeypatch.delenv("EU_ACCESS_KEY_SECRET")

    assert main(["doctor"]) == 3

    assert "EU_ACCESS_KEY_SECRET is not set" in capsys.readouterr().out
