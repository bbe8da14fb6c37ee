"""Stores for real: buckets by HTTP on loopback, and a process that ends right after an answer."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

from bulk.cli import main
from bulk.engine.checks.diagnosis import Verdict
from bulk.fleet.store import ABSENT, Outage, Put
from bulk.fleet.store_check import check_store
from bulk.fleet.store_url import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bulk.fleet.store import Store
    from tests.integration.fleet.conftest import Bucket

    Opened = Callable[[], Store]


@pytest.fixture
def opened(request: pytest.FixtureRequest, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Opened:
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.url)
    monkeypatch.setenv("AWS_REGION", "cn-shanghai")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "known")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = {"OSS_ENDPOINT": bucket.url, "OSS_ACCESS_KEY_ID": "known", "OSS_ACCESS_KEY_SECRET": "secret"}
    return {
        "s3": lambda: open_store("s3://bucket/fleet"),
        "oss": lambda: open_store("oss://bucket/fleet", environment=environment),
    }[request.param]


@pytest.mark.parametrize("opened", ["s3", "oss"], indirect=True)
async def test_of_two_who_put_under_one_new_name_one_is_refused(opened: Opened) -> None:
    first, second = opened(), opened()

    ends = await asyncio.gather(*(store.put_if_absent("lease/0.1", f"{store}".encode()) for store in (first, second)))

    assert set(ends) == {Put.EXISTS, Put.STORED}


@pytest.mark.parametrize("opened", ["s3", "oss"], indirect=True)
async def test_what_is_written_is_read_and_listed(opened: Opened, tmp_path: Path) -> None:
    store, large = opened(), tmp_path / "large"
    await asyncio.to_thread(large.write_bytes, b"rows" * 1000)

    before = await store.get("segments/0.1.1")
    written = [await store.overwrite("segments/0.1.1", text) for text in (b"old", b"new", large)]
    await store.put_if_absent("segments/0.1.2", b"other")
    await store.put_if_absent("lease/0.1", b"other folder")

    assert before is ABSENT
    assert written == [Put.STORED] * 3
    assert await store.get("segments/0.1.1") == b"rows" * 1000
    assert await store.names("segments") == ("segments/0.1.1", "segments/0.1.2")


@pytest.mark.parametrize("opened", ["s3", "oss"], indirect=True)
async def test_store_that_honours_put_if_absent_passes_and_keeps_nothing_of_the_check(opened: Opened) -> None:
    check = await check_store(opened(), opened(), url="a store")

    assert check.verdict is Verdict.PASSED
    assert await opened().names("doctor") == ()


@pytest.mark.parametrize("opened", ["s3", "oss"], indirect=True)
async def test_store_that_ignores_put_if_absent_fails(opened: Opened, bucket: Bucket) -> None:
    bucket.honours = False

    check = await check_store(opened(), opened(), url="a gateway")

    assert check.verdict is Verdict.FAILED
    assert "both were let through" in check.detail


@pytest.mark.parametrize("opened", ["s3", "oss"], indirect=True)
async def test_write_whose_answer_is_lost_is_an_outage_and_its_repetition_finds_itself(
    opened: Opened, bucket: Bucket
) -> None:
    store = opened()
    bucket.loses_answers = 1

    lost = await store.put_if_absent("lease/0.1", b"mine")
    writes = bucket.writes
    again = await store.put_if_absent("lease/0.1", b"mine")
    others = await store.put_if_absent("lease/0.1", b"another's")

    assert isinstance(lost, Outage)
    assert writes == 1, "obstore repeated a write by itself"
    assert (again, others) == (Put.STORED, Put.EXISTS)


async def test_bucket_that_is_not_there_is_an_outage_of_one_line() -> None:
    store = open_store("oss://bucket/fleet", environment={"OSS_ENDPOINT": "http://127.0.0.1:9"})

    ends = [await store.get("a"), await store.put_if_absent("a", b""), await store.overwrite("a", b"")]

    for end in (*ends, await store.names("a")):
        assert isinstance(end, Outage)
        assert "\n" not in end.why


def test_doctor_tries_the_store_and_prints_it_as_one_more_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = main(["doctor", "--sandbox", "--json", "--store", str(tmp_path)])

    check = json.loads(capsys.readouterr().out)["checks"][-1]
    assert (code, check["name"], check["verdict"]) == (0, "store", "passed")


def test_doctor_refuses_a_url_with_a_key_before_anything_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--sandbox", "--store", "s3://AKID:hunter2@bucket"])

    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert "hunter2" not in printed.err


@pytest.mark.parametrize("_attempt", range(8))
async def test_process_that_ends_right_after_an_answer_ends_in_order(_attempt: int, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(100_000))
    program = f"""
import asyncio
from bulk.fleet.store_url import open_store

async def main():
    store = open_store({str(tmp_path)!r})
    await store.get("large")

asyncio.run(main())
"""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", program)

    assert await child.wait() == 0
