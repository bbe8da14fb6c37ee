"""Show the state of a fleet on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.fleet.standing import Standing
from bulk.report.accounts import AccountLine, Gravity, account_line, account_table
from bulk.report.summary import outcome_lines
from bulk.report.tones import Tone, plain
from bulk.report.wording import cut, filled, spell_count, spell_duration
from bulk.shell import shell_join

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk.fleet.standing import AccountStatus, FleetStatus, ShardStatus
    from bulk.report.tones import Paint

__all__ = ["status_lines"]

_SHOWN_SHARDS = 4
"""Most shards that are shown of each standing."""

_ACCOUNT_LINES = 14
_LEFT = (Standing.GIVEN_UP, Standing.STOPPED, Standing.SILENT, Standing.WAITING)
"""Standings of shards that nobody works on."""

_MEANINGS = {
    Standing.GIVEN_UP: ("given up after several failed tries", Tone.BAD),
    Standing.STOPPED: ("ended early, with rows left to do", Tone.BAD),
    Standing.SILENT: ("silent for longer than its lease", Tone.WARNING),
    Standing.WAITING: ("not started", Tone.WARNING),
    Standing.WORKING: ("at work", Tone.GOOD),
    Standing.INCOMPLETE: ("finished, some rows not provisioned", Tone.WARNING),
    Standing.DONE: ("finished, every row provisioned", Tone.GOOD),
}


def status_lines(status: FleetStatus, *, width: int = 80, paint: Paint = plain) -> list[str]:
    """Return the screen that shows a fleet.

    Args:
        status: What was read from its store.
        width: Columns of the terminal.
        paint: Adds colours, or nothing.
    """
    accounts = spell_count(len(status.accounts), "account")
    return [
        paint(
            cut(f"{status.store}: {spell_count(status.rows, 'row')} of {status.input}, {accounts}", width), Tone.HEADING
        ),
        *([f"Now: {status.per_s:,.1f} rows a second"] if status.per_s else []),
        "",
        *outcome_lines(status.outcomes, width=width, paint=paint),
        "",
        paint(f"Shards: {len(status.shards):,}", Tone.HEADING),
        *_shards(status, width, paint),
        "",
        *account_table(
            [_account_line(name, account) for name, account in status.accounts.items()],
            ("shard", "provisioned"),
            width=width,
            room=_ACCOUNT_LINES,
            all_by=shell_join(["bulk", "fleet", "status", status.store, "--json"]),
            paint=paint,
        ),
        "",
        *_what_to_do(status),
    ]


def _account_line(name: str, account: AccountStatus) -> AccountLine:
    if account.rows is None:
        return AccountLine(name=name, gravity=Gravity.OPEN, cells=(f"{account.shard}", "-"), note="not started")
    known = {**account.outcomes}
    known["pending"] = known.get("pending", 0) + max(0, account.rows - sum(known.values()))
    return account_line(name, known, exit_code=account.shard, stopped=account.stopped)


def _shards(status: FleetStatus, width: int, paint: Paint) -> Iterator[str]:
    for standing, shards in status.by_standing.items():
        meaning, tone = _MEANINGS[standing]
        yield paint(cut(f"{len(shards):>6,}  {standing:<10}  {meaning}", width), tone)
        if standing in {Standing.DONE, Standing.INCOMPLETE, Standing.WAITING}:
            continue
        for shard in shards[:_SHOWN_SHARDS]:
            yield cut(f"          {shard.number}: {_about(shard)}", width)
            if shard.why:
                yield from filled(shard.why, width, first=" " * 13, rest=" " * 13, lines=3)
        if len(shards) > _SHOWN_SHARDS:
            yield f"          and {spell_count(len(shards) - _SHOWN_SHARDS, 'more shard')}"


def _about(shard: ShardStatus) -> str:
    done = shard.rows - shard.outcomes.get("pending", 0)
    parts = [
        f"{done:,} of {spell_count(shard.rows, 'row')}",
        f"{shard.per_s:,.1f}/s" if shard.per_s else "",
        shard.holder or "",
        f"heard {spell_duration(shard.heard_s_ago)} ago" if shard.heard_s_ago is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _what_to_do(status: FleetStatus) -> list[str]:
    kinds = status.by_standing
    if left := [shard.number for standing in _LEFT for shard in kinds.get(standing, ())]:
        which = ", ".join(map(str, left[:_SHOWN_SHARDS])) + (", …" if len(left) > _SHOWN_SHARDS else "")
        how = "Fix the cause that is named above, and let" if _has_cause(kinds) else "Let"
        return [
            f"To do: nobody works on {spell_count(len(left), 'shard')} ({which}).",
            f"  {how} your engine continue, or work here:",
            _command("work", status.store, "--shard", str(left[0])),
        ]
    if Standing.WORKING in kinds:
        return ["To do: nothing; work is under way. Look again later."]
    return ["To do: make one ledger of all shards, and read it:", _command("merge", status.store, "-o", "LEDGER")]


def _has_cause(kinds: Mapping[Standing, Sequence[ShardStatus]]) -> bool:
    return any(shard.why for standing in _LEFT for shard in kinds.get(standing, ()))


def _command(*words: str) -> str:
    return f"  {shell_join(['bulk', 'fleet', *words])}"
