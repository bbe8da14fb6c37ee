"""The page's section of accounts: a table of those that need a person, the others folded. Pure: no I/O, no markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk.model import PROVISIONED_OUTCOMES
from bulk.report.accounts import Gravity, gravity_of, not_provisioned
from bulk.report.tones import Tone
from bulk.report.wording import spell_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk.ledger.views.status import AccountStanding, LedgerStatus

__all__ = ["accounts_view"]

_SHOWN_WHOLE = 10
"""Up to this many accounts, all are shown, even those without problems."""

_TONES: Mapping[Gravity, Tone] = {
    Gravity.STOPPED: Tone.BAD,
    Gravity.IN_TROUBLE: Tone.WARNING,
    Gravity.OPEN: Tone.WARNING,
    Gravity.DONE: Tone.GOOD,
    Gravity.EMPTY: Tone.GOOD,
}


def accounts_view(status: LedgerStatus) -> dict[str, Any] | None:
    """Return the template's values for the accounts; ``None``: the ledger knows no names."""
    if not status.accounts:
        return None
    found = [_account(name, account, status) for name, account in status.accounts.items()]
    ordered = _reasons_once(sorted(found, key=lambda account: (account["gravity"], -account["left"])))
    few = len(ordered) <= _SHOWN_WHOLE
    return {
        # One platform for all is at the top of the page.
        "with_platform": len({account.target for account in status.accounts.values()} - {None}) > 1,
        "in_all": len(ordered),
        "shown": [account for account in ordered if few or account["gravity"] < Gravity.OPEN],
        "folded": [] if few else list(_folded(ordered)),
        "nameless": status.rows - sum(account.rows for account in status.accounts.values()),
    }


def _reasons_once(accounts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put accounts that stopped for one reason together; only the first says it, the others name the first."""
    together: dict[str, list[dict[str, Any]]] = {}
    for account in accounts:
        together.setdefault(account["stopped"] or f"account {account['name']}", []).append(account)
    for first, *others in together.values():
        for other in others:
            other["as"] = first["name"]
    return [account for group in together.values() for account in group]


def _account(name: str, account: AccountStanding, status: LedgerStatus) -> dict[str, Any]:
    stopped = status.reason_of(account)
    done = sum(account.outcomes.get(outcome, 0) for outcome in PROVISIONED_OUTCOMES)
    gravity = gravity_of(account.outcomes, stopped=stopped)
    return {
        "name": name,
        "target": account.target,
        "gravity": gravity,
        "tone": _TONES[gravity],
        "rows": account.rows,
        "done": done,
        "left": account.rows - done,
        # While a run is at work, the end of an earlier one does not matter.
        "exit_code": None if status.holder else account.exit_code,
        "stopped": stopped,
        "as": None,
        "others": not_provisioned(account.outcomes),
    }


def _folded(accounts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    titles = {
        Gravity.OPEN: "with rows that wait for a run",
        Gravity.DONE: "with every row provisioned",
        Gravity.EMPTY: "without a row in the input",
    }
    groups = ((title, [one for one in accounts if one["gravity"] is gravity]) for gravity, title in titles.items())
    return [
        {"title": f"{spell_count(len(group), 'account')} {title}", "accounts": group}
        for title, group in groups
        if group
    ]
