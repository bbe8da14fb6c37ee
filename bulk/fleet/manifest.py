"""The description of a fleet's work: shards with accounts, counts and hashes. Written once, after the shards."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from bulk.errors import SettingsError
from bulk.fleet.lease import Terms
from bulk.fleet.store import ABSENT, Outage
from bulk.model import Dialect, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bulk.fleet.store import Store

__all__ = ["MANIFEST", "Manifest", "Member", "Shard", "read_manifest", "sha256_of"]

MANIFEST = "manifest.json"
"""Its name in the store. If it exists, all shards that it names exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of the input: whole rate groups, with the rows of their accounts."""

    number: int
    accounts: tuple[str, ...]
    rows: int
    """Number of rows, valid and invalid."""

    sha256: str
    """Hash of its slice."""

    file: str
    """Name of its slice in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account, as it was when the input was split. Workers use the accounts of their own settings."""

    group: str
    """Its rate group."""

    target: Target
    create_per_s: float
    """Rate of its rate group; 0: unlimited."""

    list_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The shards and accounts of one input. It contains names, and no keys."""

    split: str
    """Random ID of this split."""

    input: str
    shape: str
    """Shape of the input, as a ledger keeps it: a results file has the input's format."""

    rows: int
    terms: Terms
    shards: tuple[Shard, ...]
    members: Mapping[str, Member] = field(default_factory=dict)
    """Account → what the merge needs to know about it."""

    def is_same_input(self, other: Manifest) -> bool:
        """Whether both assign the same rows to the same shards, under the same terms."""
        return self._without_names() == other._without_names()

    def _without_names(self) -> Manifest:
        return replace(self, split="", input="", shards=tuple(replace(shard, file="") for shard in self.shards))

    def encoded(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2)

    @classmethod
    def decoded(cls, data: bytes) -> Manifest:
        """Return what was encoded.

        Raises:
            ValueError: It is no manifest of a known version.
        """
        try:
            found = orjson.loads(data)
            shards = tuple(Shard(**{**shard, "accounts": tuple(shard["accounts"])}) for shard in found["shards"])
            members = {name: _member(member) for name, member in found.get("members", {}).items()}
            return cls(**{**found, "terms": Terms(**found["terms"]), "shards": shards, "members": members})
        except (TypeError, KeyError, AttributeError) as exc:
            raise ValueError(str(exc)) from exc


def _member(found: dict[str, Any]) -> Member:
    target = found["target"]
    return Member(**{**found, "target": Target(**{**target, "dialect": Dialect(target["dialect"])})})


async def read_manifest(store: Store, url: str) -> Manifest:
    """Return the fleet's manifest.

    Args:
        store: The fleet's store.
        url: Its URL, for messages.

    Raises:
        SettingsError: The store does not answer, or has no fleet of this version.
    """
    found = await store.get(MANIFEST)
    if isinstance(found, Outage):
        raise SettingsError(f"the store {url} can't be used: {found.why}")
    if found is ABSENT:
        raise SettingsError(f"no fleet is in the store {url}: make one with `bulk fleet split INPUT --store URL`")
    try:
        return Manifest.decoded(found)
    except ValueError as exc:
        raise SettingsError(
            f"{MANIFEST} in the store {url} can't be read ({exc}): a later version of bulk wrote it, or it is damaged;"
            " use that version, or split the input again into an empty folder or path"
        ) from exc


def sha256_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
