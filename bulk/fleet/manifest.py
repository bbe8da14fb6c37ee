"""What a fleet works on: shards with their accounts, counts and hashes. Written once, after the shards."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson

from bulk.fleet.lease import Terms

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MANIFEST", "Manifest", "Shard", "sha256_of"]

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
            return cls(**{**found, "terms": Terms(**found["terms"]), "shards": shards})
        except (TypeError, KeyError) as exc:
            raise ValueError(str(exc)) from exc


def sha256_of(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
