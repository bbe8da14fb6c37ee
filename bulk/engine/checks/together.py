"""Judge the accounts of one run: can they be in one run, and are their rate groups right? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.engine.checks.diagnosis import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["accounts_check", "listed", "rate_groups_check"]

_MOST_NAMES = 8
_MOST_MISTAKES = 5


def accounts_check(refusal: str | None) -> Check:
    """Judge whether all accounts can be in one run.

    Args:
        refusal: Why they can't; ``None``: they can.
    """
    if refusal:
        return Check("accounts", Verdict.FAILED, refusal)
    return Check("accounts", Verdict.PASSED, "all are different, and those of a rate group have the same rates")


def rate_groups_check(groups: Mapping[str, str], uids: Mapping[str, str]) -> Check:
    """Judge whether each rate group is what the platform limits: the accounts of one UID.

    Args:
        groups: Account → its rate group.
        uids: Account → its UID, if known.
    """
    mistakes = [*_parted(groups, uids), *_thrown_together(groups, uids)]
    if mistakes:
        more = [f"and {len(mistakes) - _MOST_MISTAKES} more like these"] if len(mistakes) > _MOST_MISTAKES else []
        remedy = "Write the UID as rate_group of each of these accounts."
        return Check("rates", Verdict.WARNED, "\n".join([*mistakes[:_MOST_MISTAKES], *more]), remedy)
    if not groups:
        return Check("rates", Verdict.SKIPPED, "no keys to tell rate groups by")
    count = len(set(groups.values()))
    told = f"the UIDs of {len(uids)} of {len(groups)} accounts are known"
    return Check("rates", Verdict.PASSED, f"{count} rate group{'' if count == 1 else 's'}; {told}")


def listed(names: Sequence[str]) -> str:
    """Name accounts in a sentence; only the first ones if there are very many."""
    if len(names) > _MOST_NAMES:
        return f"{', '.join(names[:_MOST_NAMES])} and {len(names) - _MOST_NAMES} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _parted(groups: Mapping[str, str], uids: Mapping[str, str]) -> Iterator[str]:
    for uid in sorted(set(uids.values())):
        names = [account for account in groups if uids.get(account) == uid]
        if len({groups[account] for account in names}) > 1:
            yield (
                f"{listed(names)} are one account for the platform, UID {uid}, but are in different rate groups: "
                "together they would send more than it grants"
            )


def _thrown_together(groups: Mapping[str, str], uids: Mapping[str, str]) -> Iterator[str]:
    for group in sorted(set(groups.values())):
        told = {account: uids[account] for account in groups if groups[account] == group and account in uids}
        if len(set(told.values())) > 1:
            each = [f"{account} (UID {uid})" for account, uid in told.items()]
            yield f"{listed(each)} share a rate group but not a UID: each could send at the whole rate"
