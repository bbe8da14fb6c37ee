"""What a fleet works on: shards with their accounts, counts and hashes. Written once, after the shards."""

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
"""Its name in the store. Where it is, all shards that it names are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Whole rate groups, with their slice of the input."""

    number: int
    accounts: tuple[str, ...]
    rows: int
    """Valid and invalid ones."""

    sha256: str
    """Of its slice."""

    file: str
    """Where its slice is in the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account, as it was when the input was split. Workers take theirs from their own settings."""

    group: str
    """Its rate group."""

    target: Target
    create_per_s: float
    """Of its rate group; 0: unlimited."""

    list_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All of one input. It holds names, and no key."""

    split: str
    """Random, of this split."""

    input: str
    shape: str
    """Of the input, as a ledger keeps it: a results file has the input's format."""

    rows: int
    terms: Terms
    shards: tuple[Shard, ...]
    members: Mapping[str, Member] = field(default_factory=dict)
    """Account → what the merge needs to know of it."""

    def is_same_input(self, other: Manifest) -> bool:
        """Whether both say that the same rows go to the same shards, under the same terms."""
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
            ValueError: It is no manifest of a version that is known.
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
    """Return what a fleet works on.

    Args:
        store: The fleet's.
        url: Its name, for messages.

    Raises:
        SettingsError: The store does not answer, or no fleet of this version is in it.
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
