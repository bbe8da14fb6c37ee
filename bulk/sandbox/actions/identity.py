"""The actions of STS: temporary keys for a role, and the caller's identity."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bulk.sandbox.actions.desk import Api, ApiAction, always
from bulk.sandbox.results import Done, Refusal

if TYPE_CHECKING:
    from bulk.sandbox.accounts.account import Account, Role
    from bulk.sandbox.actions.desk import Desk
    from bulk.sandbox.results import Result

__all__ = ["ASSUME_ROLE", "CALLER"]

_ROLE_ARN: Final = re.compile(r"acs:ram::(?P<uid>[^:/]+):role/(?P<role>[\w.@-]+)")
_SESSION_NAME: Final = re.compile(r"[A-Za-z0-9.@_-]{2,64}")
_SHORTEST_S: Final = 900
_LONGEST_S: Final = 3600
"""A role's default; the sandbox has no roles that allow up to twelve hours."""

_STS_QPS: Final = 100.0
"""The help pages give it for all actions of STS together; that it applies to each here is an assumption."""


def _assume(desk: Desk) -> Result:
    refused = _check_params(desk)
    if refused:
        return refused
    arn = _ROLE_ARN.fullmatch(desk.params["RoleArn"])
    account = desk.directory.account_of(arn["uid"], arn["role"]) if arn else None
    role = account.role(arn["role"]) if account and arn else None
    if account is None or role is None:
        return Refusal(404, "EntityNotExist.Role", f"The role not exists: {desk.params['RoleArn']}.")
    if not _is_trusted(desk, role):
        return Refusal(
            403, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM."
        )
    return _issue(desk, account, role)


def _check_params(desk: Desk) -> Refusal | None:
    for name in ("RoleArn", "RoleSessionName"):
        if not desk.params.get(name):
            return Refusal(400, f"Missing{name}", f"{name} is mandatory for this action.")
    if not _ROLE_ARN.fullmatch(desk.params["RoleArn"]):
        return Refusal(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
    if not _SESSION_NAME.fullmatch(desk.params["RoleSessionName"]):
        return Refusal(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
    if not _SHORTEST_S <= _duration_s(desk) <= _LONGEST_S:
        bounds = f"The Min/Max value of DurationSeconds is {_SHORTEST_S}s/{_LONGEST_S}s."
        return Refusal(400, "InvalidParameter.DurationSeconds", bounds)
    return None


def _is_trusted(desk: Desk, role: Role) -> bool:
    is_named = role.trusts is None or desk.caller.account.name in role.trusts
    return is_named and role.external_id in (None, desk.params.get("ExternalId"))


def _issue(desk: Desk, account: Account, role: Role) -> Done:
    session = desk.params["RoleSessionName"]
    ends_at = int(desk.now) + (desk.config.token_life_s or _duration_s(desk))
    keys = desk.directory.issue(account, role=role.name, session=session, ends_at=ends_at)
    caller = {
        "Arn": f"acs:ram::{account.uid}:assumed-role/{role.name}/{session}",
        "AssumedRoleId": f"{role.principal_id}:{session}",
    }
    credentials = {
        "AccessKeyId": keys.access_key_id,
        "AccessKeySecret": keys.access_key_secret,
        "SecurityToken": keys.security_token,
        "Expiration": datetime.fromtimestamp(ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return Done(fields={"AssumedRoleUser": caller, "Credentials": credentials}, is_bare=True)


def _duration_s(desk: Desk) -> int:
    text = desk.params.get("DurationSeconds", str(_LONGEST_S))
    return int(text) if text.isascii() and text.isdigit() else 0


def _who(desk: Desk) -> Result:
    return Done(fields=desk.caller.identity(), is_bare=True)


ASSUME_ROLE: Final = ApiAction(
    name="AssumeRole", prefix="role", window=always("role", lambda _: _STS_QPS), perform=_assume, api=Api.STS
)
CALLER: Final = ApiAction(
    name="GetCallerIdentity",
    prefix="identity",
    window=always("identity", lambda _: _STS_QPS),
    perform=_who,
    api=Api.STS,
)
