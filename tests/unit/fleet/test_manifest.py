"""A manifest is read back as it was written, or the operator hears why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bulk.errors import SettingsError
from bulk.fleet.manifest import MANIFEST, Manifest, read_manifest

if TYPE_CHECKING:
    from tests.unit.fleet.conftest import Fleet, MemoryStore


async def test_manifest_comes_back_as_it_was_stored(fleet: Fleet, store: MemoryStore) -> None:
    assert await read_manifest(store, "url") == fleet.manifest


async def test_store_that_does_not_answer_is_named(store: MemoryStore) -> None:
    store.be_silent()

    with pytest.raises(SettingsError, match="the store nfs can't be used: the share is gone"):
        await read_manifest(store, "nfs")


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff", b'{"shards": [{"accounts": null}]}', b'{"shards": 1}'])
async def test_manifest_that_can_not_be_read_is_called_damaged_or_newer(data: bytes, store: MemoryStore) -> None:
    store.objects[MANIFEST] = data

    with pytest.raises(SettingsError, match="a later version of bulk wrote it, or it is damaged"):
        await read_manifest(store, "url")


async def test_manifest_with_a_field_of_a_later_version_is_not_taken_for_one_of_this(fleet: Fleet) -> None:
    later = fleet.manifest.encoded().replace(b'"split"', b'"sync": true,\n  "split"', 1)

    with pytest.raises(ValueError, match="sync"):
        Manifest.decoded(later)


def test_same_input_is_told_by_rows_shards_and_terms_and_not_by_names(fleet: Fleet) -> None:
    renamed = Manifest.decoded(fleet.manifest.encoded().replace(b"in.csv", b"other.csv"))
    counted = Manifest.decoded(fleet.manifest.encoded().replace(b'"rows": 40', b'"rows": 41'))

    assert renamed.is_same_input(fleet.manifest)
    assert not counted.is_same_input(fleet.manifest)
