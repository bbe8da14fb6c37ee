"""Say what waits for a person: which changes, why, until when, and the command that approves them. Pure: no I/O."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bulk.control.reasons import withheld_words
from bulk.report.tones import Tone, plain
from bulk.report.wording import cut, spell_count, wrapped
from bulk.shell import shell_join, shell_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from bulk.ledger.views.approvals import Approval, CutOff
    from bulk.report.tones import Paint

__all__ = [
    "Waiting",
    "apply_command",
    "approval_lines",
    "change_noun",
    "change_words",
    "cut_off_lines",
    "waiting_of",
]

_NOUNS = {"create": "create", "update": "update", "delete": "delete", "adopt": "adoption"}
"""Kind of change → its noun, in the order of screens."""

_SHOWN_ACCOUNTS = 5


@dataclass(slots=True, kw_only=True)
class Waiting:
    """Changes of one plan that wait for approval."""

    plan: str | None
    """Path of the plan; ``None``: it does not exist."""

    until: datetime
    is_old: bool
    """Whether that time is over."""

    command: str | None
    """Command that approves it, with the settings of the sync; ``None``: there is no plan."""

    in_sandbox: bool = False
    """Whether it is about a sandbox, which the command names."""

    accounts: dict[str, Mapping[str, int]] = field(default_factory=dict)
    """Account → kind → changes; one account with an empty name if none are named."""

    reasons: Counter[str] = field(default_factory=Counter)
    """Reason → changes."""

    @property
    def changes(self) -> Counter[str]:
        """Kind → changes of all accounts."""
        return sum(map(Counter, self.accounts.values()), Counter())

    @property
    def needs_settings(self) -> bool:
        """Whether the command needs the settings of the sync: a platform's, or those that have its accounts."""
        return not self.in_sandbox or list(self.accounts) != [""]


def waiting_of(
    approvals: Iterable[Approval],
    *,
    now: datetime | None = None,
    program: Sequence[str] = ("bulk",),
    sandbox: Sequence[str] = (),
) -> list[Waiting]:
    """Return what waits, plan by plan: one command approves all accounts of a plan.

    Args:
        approvals: As the ledger has them.
        now: Aware time; ``None``: treat no plan as too old.
        program: What starts `bulk` here.
        sandbox: Options that lead to the ledger's sandbox; none: it belongs to a real platform.
    """
    plans: dict[tuple[str | None, str], Waiting] = {}
    for one in approvals:
        # Accounts of one sync start their plans a moment apart: the plan's name shows that they belong together.
        key = (one.plan, "" if one.plan else one.made_at)
        if key not in plans:
            plans[key] = _waiting(one, now, program, sandbox)
        waiting = plans[key]
        waiting.accounts[one.account] = one.changes
        waiting.reasons.update(one.reasons)
    return list(plans.values())


def approval_lines(waiting: Iterable[Waiting], *, width: int, paint: Paint = plain) -> list[str]:
    """Return the first lines of a screen. A command stays on one line, so that it can be copied."""
    return [line for one in waiting for line in (*_lines(one, width, paint), "")]


def cut_off_lines(
    cut_off: CutOff | None,
    *,
    width: int,
    paint: Paint = plain,
    program: Sequence[str] = ("bulk",),
    sandbox: Sequence[str] = (),
) -> list[str]:
    """Return the lines about an apply that was cut off; none if there is no such apply."""
    if cut_off is None:
        return []
    left = f": {spell_count(cut_off.changes, 'change')} left" if cut_off.changes else ""
    head = [paint(line, Tone.WARNING) for line in wrapped(f"The last apply was cut off{left}.", width)]
    if cut_off.plan is None:
        return [*head, *wrapped("  To go on, run the same `bulk apply PLAN` again.", width), ""]
    return [*head, "  To go on, with the same settings:", f"  {apply_command(cut_off.plan, program, sandbox)}", ""]


def change_noun(kind: str) -> str:
    """Return the noun for a kind of change."""
    return _NOUNS[kind]


def change_words(changes: Mapping[str, int]) -> str:
    """Return ``27 updates, 6 deletes``."""
    return ", ".join(spell_count(changes[kind], noun) for kind, noun in _NOUNS.items() if changes.get(kind))


def apply_command(plan: str, program: Sequence[str], sandbox: Sequence[str] = ()) -> str:
    """Return the command that carries out a plan; ``sandbox``: options that lead to the ledger's sandbox."""
    return " ".join([f"{shell_join(program)} apply {shell_path(plan)}", *([shell_join(sandbox)] if sandbox else [])])


def _waiting(approval: Approval, now: datetime | None, program: Sequence[str], sandbox: Sequence[str]) -> Waiting:
    until = datetime.fromisoformat(approval.until)
    is_old = now is not None and now >= until
    command = None
    if approval.plan is not None:
        command = apply_command(approval.plan, program, sandbox)
        if is_old and now is not None:
            age_s = (now - datetime.fromisoformat(approval.made_at)).total_seconds()
            command += f" --max-age {math.ceil(age_s / 3_600) + 1}h"
    return Waiting(plan=approval.plan, until=until, is_old=is_old, command=command, in_sandbox=bool(sandbox))


def _lines(one: Waiting, width: int, paint: Paint) -> Iterator[str]:
    until = f"{one.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    what = change_words(one.changes)
    head = f"Waited for your approval until {until}: {what}" if one.is_old else f"Waiting for your approval: {what}"
    yield from (paint(line, Tone.WARNING) for line in wrapped(head, width))
    if list(one.accounts) != [""]:
        yield from _accounts(one.accounts, width)
    digits = max((len(f"{count:,}") for count in one.reasons.values()), default=0)
    for reason, count in one.reasons.most_common():
        changes = spell_count(count, "change")
        yield from wrapped(f"  {changes:>{digits + len(changes) - len(f'{count:,}')}}: {withheld_words(reason)}", width)
    if one.command is None:
        yield from wrapped("  Its plan is not there: run the sync again, from a file, for a new one.", width)
        return
    if one.is_old:
        how = "The next sync decides again. To approve what this one decided"
    else:
        how = f"Read the plan. Approve it by {until}"
    settings = ", with the sync's settings" if one.needs_settings else ""
    yield from wrapped(f"  {how}{settings}:", width)
    yield f"  {one.command}"


def _accounts(accounts: Mapping[str, Mapping[str, int]], width: int) -> Iterator[str]:
    ordered = sorted(accounts, key=lambda name: -sum(accounts[name].values()))
    for name in ordered[:_SHOWN_ACCOUNTS]:
        yield cut(f"  {name}: {change_words(accounts[name])}", width)
    if len(ordered) > _SHOWN_ACCOUNTS:
        rest = sum((Counter(accounts[name]) for name in ordered[_SHOWN_ACCOUNTS:]), Counter())
        yield cut(f"  and {spell_count(len(ordered) - _SHOWN_ACCOUNTS, 'more account')}: {change_words(rest)}", width)
