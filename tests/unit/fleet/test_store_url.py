"""Which URLs are a store, and that no secret in one is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.fleet.store import BucketStore, FolderStore
from bulk.fleet.store_url import open_store

if TYPE_CHECKING:
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
