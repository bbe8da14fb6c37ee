"""Which URLs are a store, and that no secret in one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk.errors import SettingsError
from bulk.fleet.store import BucketStore, FolderStore
from bulk.fleet.store_url import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKID:hunter2@bucket/path",
        "s3://AKID@bucket/path",
        "file://user:hunter2@host/path",
        "https://user:hunter2@host/path",
        "s3://bucket/path?X-Amz-Signature=hunter2",
        "oss://bucket/path?Signature=hunter2&Expires=1",
        "az://container/path?sig=hunter2",
        "gs://bucket/path#hunter2",
    ],
)
def test_url_with_user_info_or_a_signature_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        open_store(url)

    assert "hunter2" not in str(refused.value)
    assert "AKID" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["ftp://host/path", "https://host/path", "memory://", "s3:///path", "file://host/path", ""]
)
def test_what_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        open_store(url)


@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file://localhost{}"])
def test_folder_is_a_store_by_path_and_by_url(spelling: str, tmp_path: Path) -> None:
    assert isinstance(open_store(spelling.format(tmp_path)), FolderStore)


def test_folder_whose_name_has_signs_of_a_url_is_that_folder(tmp_path: Path) -> None:
    odd = tmp_path / "a@b?c#d%20e"

    open_store(str(odd), make=True)

    assert odd.is_dir()


def test_folder_that_is_missing_is_made_only_when_asked(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="mounted"):
        open_store(str(tmp_path / "missing"))

    open_store(str(tmp_path / "missing"), make=True)

    assert (tmp_path / "missing").is_dir()


def test_bucket_of_oss_needs_a_region_or_an_endpoint() -> None:
    with pytest.raises(SettingsError, match="OSS_REGION"):
        open_store("oss://bucket/path", environment={})

    assert isinstance(open_store("oss://bucket/path", environment={"OSS_REGION": "cn-shanghai"}), BucketStore)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OSS_REGION": "cn-hangzhou"}, "https://job.s3.oss-cn-hangzhou.aliyuncs.com"),
        ({"OSS_ENDPOINT": "s3.oss-eu-central-1.aliyuncs.com"}, "https://job.s3.oss-eu-central-1.aliyuncs.com"),
        ({"OSS_ENDPOINT": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"OSS_ENDPOINT": "http://[::1]:9000", "OSS_REGION": "cn-beijing"}, "http://[::1]:9000"),
        ({"OSS_ENDPOINT": "http://localhost:9000"}, "http://localhost:9000"),
    ],
)
def test_bucket_of_oss_is_part_of_the_host_unless_that_is_an_address(
    environment: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []

    def note(*bucket: str, **options: Any) -> object:
        opened.append({"bucket": bucket, **options})
        return object()

    monkeypatch.setattr("obstore.store.S3Store", note)
    keys = {"OSS_ACCESS_KEY_ID": "LTAI", "OSS_ACCESS_KEY_SECRET": "hunter2", "OSS_SESSION_TOKEN": "token"}

    open_store("oss://job/fleet/a", environment=environment | keys)

    usual, creating = opened
    assert (usual["bucket"], usual["prefix"], usual["endpoint"]) == (("job",), "fleet/a", said)
    assert usual["virtual_hosted_style_request"] == ("job." in said)
    assert (usual["access_key_id"], usual["session_token"]) == ("LTAI", "token")
    assert usual["retry_config"]["max_retries"] == 0
    assert "default_headers" not in usual["client_options"]
    assert creating["client_options"]["default_headers"] == {"x-oss-forbid-overwrite": "true"}
    assert usual["client_options"]["allow_http"] == said.startswith("http://")


def test_keys_of_oss_that_are_not_set_are_left_to_what_the_client_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr("obstore.store.S3Store", lambda *_, **options: opened.append(options))

    open_store("oss://job", environment={"OSS_REGION": "cn-shanghai"})

    assert opened[0]["prefix"] is None
    assert not {"access_key_id", "access_key_secret", "session_token"} & opened[0].keys()


@pytest.mark.parametrize(
    ("url", "endpoint", "is_plain"),
    [
        ("s3://bucket/job", "http://127.0.0.1:9000", True),
        ("s3://bucket/job", "https://s3.example", False),
        ("s3://bucket/job", "", False),
        ("gs://bucket/job", "http://127.0.0.1:9000", False),
    ],
)
def test_only_a_bucket_whose_endpoint_is_plain_is_spoken_to_without_tls(
    url: str, endpoint: str, is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr("obstore.store.from_url", lambda url, **options: opened.append({"url": url, **options}))

    open_store(url, environment={"AWS_ENDPOINT": endpoint} if endpoint else {})

    assert opened[0]["url"] == url
    assert opened[0]["client_options"]["allow_http"] == is_plain
    assert opened[0]["retry_config"]["max_retries"] == 0


def test_client_that_refuses_a_bucket_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise ValueError("Generic S3 error: no region\nDebug source: Missing")

    monkeypatch.setattr("obstore.store.from_url", refuse)

    with pytest.raises(SettingsError, match=r"the store s3://bucket can't be opened: Generic S3 error: no region$"):
        open_store("s3://bucket", environment={})


def test_package_of_stores_that_is_missing_is_named_with_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk.fleet.store_url.find_spec", lambda _: None)

    with pytest.raises(SettingsError, match=r"pip install '.*\[fleet\]'"):
        open_store(str(tmp_path))


def test_folder_that_can_not_be_made_is_named_with_the_systems_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"file/store can't be used: .*[Nn]ot a directory"):
        open_store(str(tmp_path / "file" / "store"), make=True)


def test_url_that_is_none_is_refused_by_its_kinds() -> None:
    with pytest.raises(SettingsError, match="can't be read as a URL; name a folder"):
        open_store("s3://[bucket")


def test_answers_are_released_before_python_ends_once_however_many_stores_were_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_exit: dict[Callable[[], None], int] = {}
    pauses: list[float] = []
    monkeypatch.setattr("atexit.register", lambda release: at_exit.update({release: at_exit.get(release, 0) + 1}))
    monkeypatch.setattr("atexit.unregister", lambda release: at_exit.pop(release, None))
    monkeypatch.setattr("time.sleep", pauses.append)
    for _ in range(3):
        open_store(str(tmp_path))

    for release in at_exit:
        release()

    assert [*at_exit.values()] == [1]
    assert pauses == [0.1]
