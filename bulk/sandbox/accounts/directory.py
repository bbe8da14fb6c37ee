"""Say whose key signs a request. Give out temporary keys without storing them: the signed token holds everything."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from bulk.sandbox.accounts.account import Account, Role, number_of
from bulk.sandbox.results import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk.sandbox.call import Call

__all__ = ["Caller", "Directory", "TemporaryKeys"]

_TEMPORARY_PREFIX: Final = "STS."


@dataclass(frozen=True, slots=True)
class TemporaryKeys:
    """What AssumeRole gives out."""

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller: an account's own key, or temporary keys of a role."""

    account: Account
    access_key_secret: str = field(repr=False)
    role: Role | None = None
    session: str = ""

    @property
    def denied(self) -> frozenset[str]:
        """Names of the actions that it may not call."""
        return self.role.denied if self.role else self.account.denied

    def identity(self) -> dict[str, str]:
        """Return what GetCallerIdentity says."""
        uid = self.account.uid
        if self.role:
            return {
                "IdentityType": "AssumedRoleUser",
                "AccountId": uid,
                "PrincipalId": f"{self.role.principal_id}:{self.session}",
                "RoleId": self.role.principal_id,
                "Arn": f"acs:ram::{uid}:assumed-role/{self.role.name}/{self.session}",
            }
        user = self.account.name or "sandbox"
        number = number_of(f"user/{user}")
        arn = f"acs:ram::{uid}:user/{user}"
        return {"IdentityType": "RAMUser", "AccountId": uid, "PrincipalId": number, "UserId": number, "Arn": arn}


class Directory:
    """Every key that the sandbox knows."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts = tuple(accounts)
        self._by_name = {account.name: account for account in self.accounts}
        self._callers = {
            account.access_key_id: Caller(account=account, access_key_secret=account.access_key_secret)
            for account in self.accounts
        }

    def account_of(self, uid: str, role: str) -> Account | None:
        """Return the first account of this UID that has the role."""
        return next((account for account in self.accounts if account.uid == uid and account.role(role)), None)

    def find(self, call: Call, *, now: float) -> Caller | Refusal:
        """Return who signs a request, or the platform's answer to a key that it does not know.

        A token beside a long-lived key is ignored: an assumption, the documents don't say.

        Args:
            call: The request; its signature is not checked here.
            now: The platform's time, in seconds since the epoch.
        """
        caller = self._callers.get(call.access_key_id)
        if caller:
            return caller
        if not call.access_key_id.startswith(_TEMPORARY_PREFIX):
            return Refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if not call.security_token:
            return Refusal(400, "MissingSecurityToken", "SecurityToken is mandatory for this action.")
        return self._find_temporary(call, now)

    def issue(self, account: Account, *, role: str, session: str, ends_at: int) -> TemporaryKeys:
        """Give out keys that act for an account until ``ends_at``, in seconds since the epoch."""
        said = {"account": account.name, "role": role, "session": session, "ends_at": ends_at}
        content = orjson.dumps(said | {"number": secrets.token_hex(8)})
        token = f"{_encode(content)}.{_derive(account, 'token', content)}"
        return _keys_of(account, token)

    def _find_temporary(self, call: Call, now: float) -> Caller | Refusal:
        content = _decode(call.security_token.partition(".")[0])
        account = self._by_name.get(str(content.get("account")))
        role = account.role(str(content.get("role"))) if account else None
        if account is None or role is None or not _is_genuine(account, call.security_token):
            return Refusal(400, "InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
        keys = _keys_of(account, call.security_token)
        if keys.access_key_id != call.access_key_id:
            message = "Specified SecurityToken mismatch with the AccessKey."
            return Refusal(400, "InvalidSecurityToken.MismatchWithAccessKey", message)
        if now >= content["ends_at"]:
            return Refusal(400, "InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return Caller(account=account, access_key_secret=keys.access_key_secret, role=role, session=content["session"])


def _keys_of(account: Account, token: str) -> TemporaryKeys:
    key_id = _derive(account, "id", token.encode())[:24]
    return TemporaryKeys(f"{_TEMPORARY_PREFIX}{key_id}", _derive(account, "secret", token.encode()), token)


def _is_genuine(account: Account, token: str) -> bool:
    body, _, seal = token.partition(".")
    expected = _derive(account, "token", base64.urlsafe_b64decode(body + "=="))
    return hmac.compare_digest(seal.encode(), expected.encode())


def _derive(account: Account, purpose: str, content: bytes) -> str:
    return hmac.new(account.access_key_secret.encode(), purpose.encode() + b"|" + content, "sha256").hexdigest()


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _decode(text: str) -> dict[str, Any]:
    try:
        said = orjson.loads(base64.urlsafe_b64decode(text + "=="))
    except (binascii.Error, ValueError):
        return {}
    return said if isinstance(said, dict) and said.keys() >= {"account", "ends_at", "session"} else {}
