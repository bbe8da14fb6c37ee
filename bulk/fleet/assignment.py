"""The task of a worker: the fleet's manifest, its shard, its own settings for that shard, the rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bulk.engine.accounts import accounts_of
from bulk.engine.threads import in_thread
from bulk.errors import SettingsError
from bulk.fleet.manifest import MANIFEST, Manifest, Shard, read_manifest, sha256_of
from bulk.fleet.recovery import answered
from bulk.fleet.splitting import member_of

if TYPE_CHECKING:
    from pathlib import Path

    from bulk.engine.stop import StopSignal
    from bulk.fleet.manifest import Member
    from bulk.fleet.store import Store
    from bulk.settings import Settings

__all__ = ["Assignment", "assignment_of", "fetch_slice", "wait_for_manifest"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One shard of a fleet, with this machine's settings for it."""

    manifest: Manifest
    shard: Shard
    settings: Settings
    """Only the shard's accounts: other accounts in this machine's settings belong to other workers."""


async def wait_for_manifest(store: Store, url: str, stop: StopSignal) -> Manifest:
    """Return the fleet's manifest, once the store answers.

    Raises:
        SettingsError: There is no manifest in this store, or another version wrote it.
        StoppedError: A stop was requested before the store answered.
    """
    await answered(lambda: store.get(MANIFEST), stop)
    return await read_manifest(store, url)


def assignment_of(manifest: Manifest, number: int, settings: Settings) -> Assignment:
    """Return the task of a worker.

    Args:
        manifest: The fleet's manifest.
        number: Number of the shard.
        settings: This machine's settings.

    Raises:
        SettingsError: There is no such shard, or the settings lack one of its accounts.
    """
    shard = next((shard for shard in manifest.shards if shard.number == number), None)
    if shard is None:
        raise SettingsError(f"--shard {number}: there are shards 0 to {len(manifest.shards) - 1}")
    missing = [name for name in shard.accounts if name not in settings.accounts]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SettingsError(
            f"this machine's settings lack [accounts.{missing[0]}]{others}, which shard {number} needs: give each"
            " machine the bulk.toml that the fleet was split with"
        )
    own = replace(
        settings,
        accounts={name: settings.accounts[name] for name in shard.accounts},
        only_accounts=(),
        # The next holder of the lease waits as long as a request may be on its way.
        timeout_s=min(settings.timeout_s, manifest.terms.request_timeout_s),
    )
    for account in accounts_of(own):
        _refuse_another(account.name, member_of(account), manifest.members.get(account.name))
    return Assignment(manifest, shard, own)


def _refuse_another(name: str, here: Member, member: Member | None) -> None:
    """Refuse an account that has changed since the input was split: shards could share a limit, or mix platforms.

    Raises:
        SettingsError: It is a different account, or has a higher rate.
    """
    if member is None:
        return
    advice = "give each machine the bulk.toml that the fleet was split with"
    if here.target != member.target:
        raise SettingsError(f"account {name!r} is for {here.target} here, and was for {member.target}: {advice}")
    if here.group != member.group:
        raise SettingsError(f"account {name!r} has rate group {here.group!r} here, and had {member.group!r}: {advice}")
    if _is_faster(here.create_per_s, member.create_per_s) or _is_faster(here.list_per_s, member.list_per_s):
        raise SettingsError(
            f"account {name!r} is given more requests a second here than when the fleet was split"
            f" ({member.create_per_s:g} creates, {member.list_per_s:g} listings): lower --qps or --list-qps, or"
            f" {advice}"
        )


def _is_faster(per_s: float, than_per_s: float) -> bool:
    return than_per_s > 0 and (per_s > than_per_s or not per_s)  # 0: unlimited


async def fetch_slice(store: Store, shard: Shard, path: Path, stop: StopSignal) -> None:
    """Fetch a shard's rows, unless this machine has them already.

    Raises:
        SettingsError: The store's rows do not match the manifest.
        StoppedError: A stop was requested before the store answered.
    """
    if await in_thread(_has, path, shard.sha256):
        return
    await answered(lambda: store.save(shard.file, path), stop)
    if not await in_thread(_has, path, shard.sha256):
        raise SettingsError(f"the store's {shard.file} is not what the manifest says: split the input into a new store")


def _has(path: Path, sha256: str) -> bool:
    return path.exists() and sha256_of(path) == sha256
