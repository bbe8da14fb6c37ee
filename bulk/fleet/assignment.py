"""What a worker is to do: the fleet's manifest, its shard of it, its own settings for that, the rows."""

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
    """One shard of a fleet, as this machine is to work on it."""

    manifest: Manifest
    shard: Shard
    settings: Settings
    """Its accounts alone: what else this machine's settings name is another worker's."""


async def wait_for_manifest(store: Store, url: str, stop: StopSignal) -> Manifest:
    """Return what a fleet works on, once the store answers.

    Raises:
        SettingsError: There is none in this store, or it is another version's.
        StoppedError: A stop was requested before the store answered.
    """
    await answered(lambda: store.get(MANIFEST), stop)
    return await read_manifest(store, url)


def assignment_of(manifest: Manifest, number: int, settings: Settings) -> Assignment:
    """Return what a worker is to do.

    Args:
        manifest: The fleet's.
        number: Of the shard.
        settings: This machine's.

    Raises:
        SettingsError: There is no such shard, or the settings lack an account of it.
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
        # How long a request may be on its way is what the next holder of the lease waits for.
        timeout_s=min(settings.timeout_s, manifest.terms.request_timeout_s),
    )
    for account in accounts_of(own):
        _refuse_another(account.name, member_of(account), manifest.members.get(account.name))
    return Assignment(manifest, shard, own)


def _refuse_another(name: str, here: Member, member: Member | None) -> None:
    """Refuse an account that is not what it was when the input was split: shards could share a limit, or mix platforms.

    Raises:
        SettingsError: It is another, or faster.
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
    """Bring a shard's rows here, unless they are here already.

    Raises:
        SettingsError: The store does not have them as the manifest says.
        StoppedError: A stop was requested before the store answered.
    """
    if await in_thread(_has, path, shard.sha256):
        return
    await answered(lambda: store.save(shard.file, path), stop)
    if not await in_thread(_has, path, shard.sha256):
        raise SettingsError(f"the store's {shard.file} is not what the manifest says: split the input into a new store")


def _has(path: Path, sha256: str) -> bool:
    return path.exists() and sha256_of(path) == sha256
