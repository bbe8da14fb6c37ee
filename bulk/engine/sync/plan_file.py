"""The file of a plan: JSON lines, only readable by its owner. The first line is the header, each other a change."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from bulk.conditions import explain_os_error
from bulk.errors import SettingsError
from bulk.ledger.planning import PlannedEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "PlanHeader",
    "read_entries",
    "read_header",
    "write_plan",
]

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeader:
    """The first line of a plan: what it applies to."""

    plan_id: str
    """ID of the run that made it."""

    ledger: str
    """Full path of the ledger."""

    ledger_id: str | None
    """ID of the first run of the ledger; ``None``: it had none yet."""

    last_run: str | None
    """ID of the ledger's last run when the plan was made. An older copy of the ledger does not have that run."""

    input: str
    """Full path of the input."""

    input_sha256: str
    targets: Mapping[str, str]
    """Account → target."""

    flags: Mapping[str, Any]
    """Options of the plan: ``prune``, ``adopt``, ``prune_products``, ``only``, ``limit``, ``accounts``."""

    made_at: str
    """UTC, ISO 8601."""

    digest: str = ""
    """Digest of all other fields, as they were written."""

    def written(self) -> dict[str, Any]:
        """Return the fields that the digest covers."""
        fields = asdict(self)
        del fields["digest"]
        return fields

    @property
    def is_as_written(self) -> bool:
        """Whether nobody has edited the header. You may remove lines from a plan, but not edit its header."""
        return self.digest == _digest(self.written())


def write_plan(path: Path, header: PlanHeader, entries: Iterable[PlannedEntry]) -> int:
    """Write a plan, completely or not at all, readable only by its owner; return how many changes it lists.

    Raises:
        OSError: It can't be written.
    """
    part = Path(f"{path}.part")
    written = 0
    with suppress(FileNotFoundError):
        part.unlink()
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        fields = header.written()
        first = {"bulk_plan": _FORMAT, **fields, "digest": _digest(fields)}
        out.write(orjson.dumps(first, option=orjson.OPT_APPEND_NEWLINE))
        for entry in entries:
            out.write(orjson.dumps(_as_object(entry), option=orjson.OPT_APPEND_NEWLINE))
            written += 1
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    return written


def read_header(path: Path) -> PlanHeader:
    """Read the header of a plan.

    Raises:
        SettingsError: The file is no plan, or can't be read.
    """
    try:
        with path.open("rb") as file:
            fields = orjson.loads(file.readline())
    except FileNotFoundError as exc:
        raise SettingsError(
            f"{path}: there is no such plan; `bulk status LEDGER` shows the command with the one that waits"
        ) from exc
    except OSError as exc:
        raise SettingsError(
            f"{path}: the plan can't be read ({explain_os_error(exc)}); `bulk status LEDGER` names the one that waits"
        ) from exc
    except ValueError as exc:
        raise SettingsError(f"{path}: its first line is not that of a plan; name one that bulk has written") from exc
    if not isinstance(fields, dict) or fields.pop("bulk_plan", None) != _FORMAT:
        raise SettingsError(f"{path}: its first line is not that of a plan; name one that bulk has written")
    if fields.keys() != _KINDS.keys() or not all(isinstance(fields[name], kind) for name, kind in _KINDS.items()):
        raise SettingsError(f"{path}: its first line is not that of a plan of this version: run the sync again")
    return PlanHeader(**fields)


def read_entries(path: Path, account: str) -> Iterator[PlannedEntry]:
    """Yield the changes of an account that a plan lists.

    Raises:
        SettingsError: A line is no change.
    """
    with path.open("rb") as file:
        next(file)
        for number, line in enumerate(file, 2):
            if not line.strip():
                continue
            entry = _entry(path, number, line)
            if entry.account == account:
                yield entry


_KINDS: Mapping[str, Any] = MappingProxyType(
    {
        "plan_id": str,
        "ledger": str,
        "ledger_id": str | None,
        "last_run": str | None,
        "input": str,
        "input_sha256": str,
        "targets": dict,
        "flags": dict,
        "made_at": str,
        "digest": str,
    }
)


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _as_object(entry: PlannedEntry) -> dict[str, object]:
    found = {"module_name": entry.found_name, "alias_name": entry.found_alias, "desc": entry.found_desc}
    deletes = entry.kind == "delete"
    wanted = {"alias_name": entry.wanted_alias, "desc": entry.wanted_desc}
    return {
        "account": entry.account,
        "product_key": entry.product_key,
        "module_name": entry.module_name,
        "kind": entry.kind,
        "wanted": None if deletes else wanted,
        "found": None if entry.found_name is None else found,
        "line": entry.line,
        "withheld": entry.withheld,
        "frees_slot_for": entry.frees_slot_for,
    }


def _entry(path: Path, number: int, line: bytes) -> PlannedEntry:
    try:
        fields = orjson.loads(line)
        wanted, found = fields["wanted"] or {}, fields["found"] or {}
        return PlannedEntry(
            str(fields["account"]),
            str(fields["product_key"]),
            str(fields["module_name"]),
            str(fields["kind"]),
            wanted.get("alias_name"),
            wanted.get("desc"),
            found.get("module_name"),
            found.get("alias_name"),
            found.get("desc"),
            fields.get("line"),
            fields.get("withheld"),
            fields.get("frees_slot_for"),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise SettingsError(f"{path}, line {number}: it is no change of a plan ({exc!r})") from exc
