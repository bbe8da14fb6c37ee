"""Show a run's accounts while it is at work: those in trouble first, then those that take longest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.events import SyncPhase
from bulk.report.wording import cut, spell_count, spell_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk.report.account_tally import AccountState

__all__ = ["account_words", "accounts_at_work", "phase_words", "progress_lines"]

_WORDS = {SyncPhase.LOOK: " products looked at", SyncPhase.WORK: " changes"}

_SHOWN_WHOLE = 4
"""Up to this many accounts, each has a line, in any state."""

_SHOWN_STOPPED = 3
_SHOWN_SLOWEST = 2


def progress_lines(accounts: Sequence[AccountState], width: int) -> list[str]:
    """Return a few lines: which accounts stopped and why, which take longest, and how many others there are.

    Args:
        accounts: Those that the run works on.
        width: Columns of the terminal.
    """
    ordered = _in_order(accounts)
    if len(ordered) <= _SHOWN_WHOLE:
        return [_line(account, width) for account in ordered]
    stopped = [account for account in ordered if account.stopped]
    at_work = accounts_at_work(ordered)
    shown = [*stopped[:_SHOWN_STOPPED], *at_work[:_SHOWN_SLOWEST]]
    return [*(_line(account, width) for account in shown), *_others(len(ordered), stopped, at_work, width)]


def account_words(accounts: Sequence[AccountState]) -> str:
    """Return the state of the accounts as part of one line."""
    ordered = _in_order(accounts)
    stopped = [account for account in ordered if account.stopped]
    at_work = accounts_at_work(ordered)
    names = ", ".join(account.name for account in stopped[:_SHOWN_STOPPED])
    more = ", …" if len(stopped) > _SHOWN_STOPPED else ""
    parts = [f"{len(at_work):,} at work", f"{len(ordered) - len(stopped) - len(at_work):,} done"]
    parts += [f"{len(stopped):,} stopped ({names}{more})"] if stopped else []
    parts += [f"the slowest is {at_work[0].name}"] if len(at_work) > 1 and at_work[0].left_s else []
    return f"accounts: {', '.join(parts)}"


def phase_words(phase: SyncPhase | None) -> str:
    """Return the noun for what is counted: rows, or what a phase of a sync counts."""
    return _WORDS[phase] if phase else " rows"


def accounts_at_work(accounts: Sequence[AccountState]) -> list[AccountState]:
    """Return the accounts that have something left to do and did not stop."""
    return [account for account in accounts if not account.stopped and not account.is_done]


def _in_order(accounts: Sequence[AccountState]) -> list[AccountState]:
    """Return stopped accounts first, then those that take longest. An unknown time counts as the longest."""

    def weight(account: AccountState) -> tuple[bool, float]:
        return account.stopped is None, float("-inf") if account.left_s is None else -account.left_s

    return sorted(accounts, key=weight)


def _line(account: AccountState, width: int) -> str:
    if account.stopped:
        return cut(f"  {account.name} stopped: {account.stopped}", width)
    percent = 100 * account.settled // account.rows if account.rows else 100
    left = "" if account.left_s is None else f", {spell_duration(round(account.left_s))} left"
    share = f"{account.settled:,} of {account.rows:,}{phase_words(account.phase)} ({percent}%)"
    return cut(f"  {account.name} {share}{', done' if account.is_done else left}", width)


def _others(
    accounts: int, stopped: Sequence[AccountState], at_work: Sequence[AccountState], width: int
) -> Iterator[str]:
    counts = {
        "stopped": len(stopped) - _SHOWN_STOPPED,
        "at work": len(at_work) - _SHOWN_SLOWEST,
        "done": accounts - len(stopped) - len(at_work),
    }
    more = {words: number for words, number in counts.items() if number > 0}
    if more:
        words = ", ".join(f"{number:,} {state}" for state, number in more.items())
        yield cut(f"  and {spell_count(sum(more.values()), 'more account')}: {words}", width)
