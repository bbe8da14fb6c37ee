"""Give each error code its class, and the remedy that the operator needs. Pure: one table and the rules around it.

The codes and classes are those of the platform's documents (2020 to 2023). HTTP statuses of business errors are not
documented, so the code decides. Assumptions are marked as such. Codes are compared without letter case, because the
documents don't agree on it.

Pages: "Error codes" of Alibaba Cloud IoT Platform (document 87387; its part on OTA updates names those of the actions
on modules, and ``iot.firmware.ListOTAFirmwareFailed``); Tuya's page of that name repeats it. "How do I troubleshoot an
access denied error?" of RAM (``NoPermission``, ``Forbidden.RAM``, ``NotAuthorized``). "RAM authorization for IoT
Platform": rights are granted for each API separately. "GetCallerIdentity" of STS: no right is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bulk.model import Action, FailureKind

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CLOCK_CODE",
    "NO_CODE",
    "SIGNATURE_CODE",
    "TABLE",
    "Verdict",
    "classify",
    "code_for_status",
    "is_about_keys",
    "look_up",
]

NO_CODE = "no_code"
CLOCK_CODE = "InvalidTimeStamp.Expired"
SIGNATURE_CODE = "SignatureDoesNotMatch"

_EXISTS, _QUOTA, _PRODUCT = FailureKind.EXISTS, FailureKind.QUOTA, FailureKind.PRODUCT
_REFUSED, _FATAL, _CLOCK = FailureKind.REFUSED, FailureKind.FATAL, FailureKind.CLOCK
_DOUBTFUL, _THROTTLED, _NOT_SENT = FailureKind.DOUBTFUL, FailureKind.THROTTLED, FailureKind.NOT_SENT
_DENIED, _UNRECOGNISED = FailureKind.DENIED, FailureKind.UNRECOGNISED

_CHECK_ENDPOINT = "Check that --endpoint or --region is the IoT Platform's API and that --dialect fits it."
_CHECK_INSTANCE = "Check --instance-id against the ID on the instance's overview page, and that it lies in this region."
_CHECK_KEY = "The key must exist, be enabled and belong to this platform."
_CHECK_PERMISSION = (
    "Grant the key's user iot:CreateOTAModule and iot:ListOTAModuleByProduct, or use the key of a user who has them."
)
_DELETE_PACKAGES_FIRST = (
    "The module holds an update package: delete its packages on the console first, or leave the module as it is."
)
_DEFAULT_STAYS = "The module default is the firmware of the whole device: the platform keeps it."
_CHECK_CERTIFICATE = "Check the endpoint; behind a proxy that inspects TLS, set SSL_CERT_FILE to its certificate."
_SET_AUTHORITIES = (
    "Install the package ca-certificates, or set SSL_CERT_FILE to a PEM file with the authorities' certificates."
)
_CHECK_PROXY = "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, and that the proxy is up."
_LOG_IN_AT_PROXY = (
    "Write the proxy variable as http://USER:PASSWORD@HOST:PORT, special characters percent-encoded (@ as %40), "
    "before you run it again: proxies lock accounts after a few wrong passwords."
)
_ASK_PROXY = (
    "Ask for this host and port to be allowed at the proxy (many allow 443 alone), or list the host in NO_PROXY if it "
    "can be reached without."
)
_CHECK_REDIRECT = (
    "Check --endpoint, and whether this network wants you to log in on a page first. Redirects are not followed, since "
    "they could lead the signed request away."
)
_CHECK_PRODUCT = "Check the ProductKey and that the product belongs to this account, region and instance."
_CHECK_SIGNATURE = "Check that the AccessKey secret belongs to the key id."
_CHECK_TOKEN = "The security token of these temporary keys is wrong, missing or expired: get new ones."  # noqa: S105 - a sentence
_CHECK_NETWORK = "Check the network and that the endpoint is up."
_SHORTEN = "Shorten the row's ProductKey, names and Desc: they make one address, and it is too long for the endpoint."
_OUR_BUG = "This is a fault in bulk or in a proxy that changes requests: report it with the RequestId."
_PAY = "Settle the account's bill; then run the same command again."
_VERIFY_ACCOUNT = "Log in to the platform's console with this account and follow what it asks for."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error code means for the run."""

    kind: FailureKind
    remedy: str | None = None
    """What the operator can do; always set for ``FATAL``."""

    permission: str | None = None
    """The right that the key lacks, if that is the cause: see `bulk.model.Failure.permission`."""


_ROWS: tuple[tuple[str, FailureKind, str | None], ...] = (
    # OTA modules
    ("iot.ota.CreateOTAModuleNameExist", _EXISTS, None),
    ("iot.ota.CreateOTAModuleExceedLimit", _QUOTA, None),
    ("iot.firmware.ModuleCountLimitExceeded", _QUOTA, None),
    ("iot.ota.CreateOTAModuleParamError", _REFUSED, None),
    ("iot.ota.UpdateOTAModuleParamError", _REFUSED, None),
    ("iot.ota.DeleteOTAModuleParamError", _REFUSED, None),
    ("iot.ota.ListOTAModuleParamError", _REFUSED, None),
    ("iot.ota.CreateOTAModuleFailure", _DOUBTFUL, None),
    ("iot.ota.UpdateOTAModuleFailure", _DOUBTFUL, None),
    ("iot.ota.DeleteOTAModuleFailure", _DOUBTFUL, None),
    ("iot.ota.ListOTAModuleFailure", _DOUBTFUL, None),
    ("iot.ota.OTAModuleNotExist", _REFUSED, None),
    ("iot.ota.DeleteOTAModulePackageExist", FailureKind.HELD, _DELETE_PACKAGES_FIRST),
    ("iot.ota.DeleteOtaDefaultModule", _REFUSED, _DEFAULT_STAYS),
    ("iot.firmware.ModuleNameReserved", _REFUSED, None),
    ("iot.firmware.IncorrectFormattedModuleName", _REFUSED, None),
    ("iot.firmware.InvalidProductKey", _PRODUCT, _CHECK_PRODUCT),
    ("iot.firmware.ListOTAModuleFailed", _DOUBTFUL, None),
    ("iot.firmware.ListOTAModuleNameByProductFailed", _DOUBTFUL, None),
    ("iot.firmware.ListOTAFirmwareFailed", _DOUBTFUL, None),
    ("iot.firmware.SystemBusy", _DOUBTFUL, None),
    # System, account and instance
    ("iot.system.SystemException", _DOUBTFUL, None),
    ("iot.system.InstanceNotFound", _FATAL, _CHECK_INSTANCE),
    ("iot.Sre.IotInstanceNotFound", _FATAL, _CHECK_INSTANCE),
    ("iot.system.UidNotFound", _FATAL, "Activate IoT Platform for this account, or use the right account's key."),
    ("iot.system.BillIsOverDue", _FATAL, _PAY),
    ("iot.system.IllegalRequest", _REFUSED, None),
    ("iot.system.InstanceIdSame", _REFUSED, None),
    ("iot.common.RamActionPermissionDeny", _FATAL, _CHECK_PERMISSION),
    ("iot.common.InvalidTenant", _FATAL, _VERIFY_ACCOUNT),
    ("iot.common.AuthActionPermissionDeny", _DENIED, _CHECK_PRODUCT),
    ("iot.common.APINotSupportedInInstance", _FATAL, _CHECK_INSTANCE),
    ("iot.common.InvalidPageParams", _REFUSED, None),
    ("iot.common.InvalidFormattedParameter", _REFUSED, None),
    ("iot.check.ParameterIsNotLessThanMax", _REFUSED, None),
    ("iot.common.QueryProductActionError", _DOUBTFUL, None),
    ("iot.common.QueryProductCountActionError", _DOUBTFUL, None),
    ("iot.messagebroker.RateLimit", _THROTTLED, None),
    ("iot.messageborker.RateLimit", _THROTTLED, None),  # the documents misspell it
    # Products
    ("iot.prod.NotExistedProduct", _PRODUCT, _CHECK_PRODUCT),
    ("iot.Prod.NotProductOwner", _PRODUCT, _CHECK_PRODUCT),
    ("iot.prod.InvalidFormattedProductkey", _PRODUCT, _CHECK_PRODUCT),
    ("iot.prod.NullProductKey", _PRODUCT, _CHECK_PRODUCT),
    ("iot.prod.AlreadyExistedProductName", _EXISTS, None),
    ("iot.prod.ProductCountExceedMax", _QUOTA, None),
    ("iot.prod.QueryProductListActionError", _DOUBTFUL, None),
    ("iot.prod.CreateProductFailed", _DOUBTFUL, None),
    ("iot.prod.UpdateProductFailed", _DOUBTFUL, None),
    # Gateway
    ("Throttling", _THROTTLED, None),
    ("Throttling.User", _THROTTLED, None),
    ("Throttling.Api", _THROTTLED, None),
    ("Rejected.Throttling", _THROTTLED, None),
    ("ServiceUnavailable", _DOUBTFUL, None),
    ("InternalError", _DOUBTFUL, None),
    ("UnknownError", _DOUBTFUL, None),
    ("SignatureNonceUsed", _DOUBTFUL, None),  # resent on the way: the first copy may have been carried out
    (CLOCK_CODE, _CLOCK, "Set this machine's clock, for example by NTP."),
    ("InvalidTimeStamp.Format", _FATAL, _OUR_BUG),
    ("IllegalTimestamp", _FATAL, _OUR_BUG),
    ("IncompleteSignature", _FATAL, _OUR_BUG),
    ("InvalidSignatureMethod", _FATAL, _OUR_BUG),
    (SIGNATURE_CODE, _FATAL, _CHECK_SIGNATURE),
    ("InvalidAccessKeySecret", _FATAL, _CHECK_SIGNATURE),
    ("InvalidAccessKeyId.NotFound", _FATAL, _CHECK_KEY),
    ("InvalidAccessKeyId.Inactive", _FATAL, _CHECK_KEY),
    ("Forbidden.RAM", _FATAL, _CHECK_PERMISSION),
    ("Forbidden", _FATAL, _CHECK_PERMISSION),
    ("ActionUnauthorized", _FATAL, _CHECK_PERMISSION),
    ("NoPermission", _FATAL, _CHECK_PERMISSION),
    ("NotAuthorized", _FATAL, _CHECK_PERMISSION),
    ("1106", _FATAL, _CHECK_PERMISSION),  # "permission deny" of Tuya's other API: an assumption for this one
    ("Forbidden.RiskControl", _FATAL, _VERIFY_ACCOUNT),
    ("Forbidden.UserVerification", _FATAL, _VERIFY_ACCOUNT),
    ("InsufficientBalance", _FATAL, _PAY),
    ("InvalidApi.NotFound", _FATAL, _CHECK_ENDPOINT),
    ("InvalidProduct.NotFound", _FATAL, _CHECK_ENDPOINT),
    ("InvalidAction", _FATAL, _CHECK_ENDPOINT),
    ("NoSuchVersion", _FATAL, _CHECK_ENDPOINT),
    ("UnsupportedHTTPMethod", _FATAL, "Give the other --dialect: they differ in the HTTP method."),
    ("InvalidProtocol.NeedSsl", _FATAL, "Write the endpoint with https://."),
    ("UnsupportedOperation", _REFUSED, None),
    ("MissingParameter", _REFUSED, None),
    ("InvalidParameter", _REFUSED, None),
    # bulk's own codes, used when no code arrived
    ("connection_refused", _NOT_SENT, _CHECK_NETWORK),
    ("connect_timeout", _NOT_SENT, _CHECK_NETWORK),
    ("not_connected", _NOT_SENT, _CHECK_NETWORK),
    ("unreachable", _NOT_SENT, "Check this machine's network, routes, VPN and firewall."),
    ("connection_forbidden", _NOT_SENT, "A firewall or sandbox of this machine forbids the connection: allow it."),
    (
        "no_local_port",
        _NOT_SENT,
        "All local ports are in use: end other connections, or lower --concurrency.",
    ),
    ("too_many_files", _NOT_SENT, "Raise the limit of open files (ulimit -n), or lower --concurrency."),
    ("dns", _NOT_SENT, "Check the endpoint's host name and this machine's name resolution."),
    ("proxy", _NOT_SENT, _CHECK_PROXY),
    ("proxy_login", _FATAL, _LOG_IN_AT_PROXY),
    ("proxy_denied", _FATAL, _ASK_PROXY),
    ("proxy_address", _FATAL, "Write the proxy as http://HOST:PORT or https://HOST:PORT, or unset the variable."),
    ("tls_handshake", _NOT_SENT, "Check that the endpoint speaks https on this port."),
    ("tls", _FATAL, _CHECK_CERTIFICATE),
    ("tls_authorities", _FATAL, _SET_AUTHORITIES),
    ("redirect", _FATAL, _CHECK_REDIRECT),
    (NO_CODE, _REFUSED, None),  # Success is false, and nothing says why
    ("timeout", _DOUBTFUL, None),
    ("connection_lost", _DOUBTFUL, None),
    ("unreadable_reply", _DOUBTFUL, None),
    ("reply_too_large", _DOUBTFUL, None),
    ("pages_shifted", _DOUBTFUL, None),
    ("http_400", _DOUBTFUL, None),  # such requests pass everywhere else: this one was more likely garbled than refused
    ("http_401", _FATAL, _CHECK_KEY),
    ("http_403", _FATAL, "Check the key's permissions, and that no firewall or proxy blocks the endpoint."),
    ("http_407", _FATAL, _LOG_IN_AT_PROXY),
    ("http_408", _DOUBTFUL, None),
    ("http_413", _REFUSED, _SHORTEN),  # these three are about one request: the next one is shorter
    ("http_414", _REFUSED, _SHORTEN),
    ("http_429", _THROTTLED, None),
    ("http_431", _REFUSED, _SHORTEN),
)

TABLE: Mapping[str, Verdict] = MappingProxyType({code.lower(): Verdict(kind, remedy) for code, kind, remedy in _ROWS})
"""Code in lower case → what it means."""

_BY_ACTION: Mapping[tuple[Action, str], Verdict] = MappingProxyType(
    {
        # The module is gone already; after a lost reply, this delete may have removed it.
        (Action.DELETE, "iot.ota.otamodulenotexist"): Verdict(FailureKind.GONE),
        (Action.UPDATE, "iot.ota.otamodulenotexist"): Verdict(FailureKind.GONE),
    }
)
"""Action and code in lower case → what it means there; elsewhere it means what `TABLE` says."""

_BY_PREFIX = (
    ("throttling", Verdict(_THROTTLED)),
    ("rejected.throttling", Verdict(_THROTTLED)),
    # An assumption: the documents that could be read name no code of the Security Token Service.
    ("invalidsecuritytoken", Verdict(_FATAL, _CHECK_TOKEN)),
    ("missingsecuritytoken", Verdict(_FATAL, _CHECK_TOKEN)),
    ("securitytokenexpired", Verdict(_FATAL, _CHECK_TOKEN)),
    ("invalidaccesskeyid", Verdict(_FATAL, _CHECK_KEY)),
    ("forbidden.", Verdict(_FATAL, _CHECK_PERMISSION)),
    # Missing{Name} and Invalid{Name}: about one request's parameters.
    ("missing", Verdict(_REFUSED)),
    ("invalid", Verdict(_REFUSED)),
)

_ABOUT_KEYS = frozenset({_CHECK_KEY, _CHECK_SIGNATURE, _CHECK_TOKEN})

_FIRST_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


def look_up(code: str, action: Action | None = None) -> Verdict | None:
    """Return what a code means as the answer to ``action``; ``None``: no table has the code."""
    code = code.lower()
    if action is not None and (known := _BY_ACTION.get((action, code))):
        return known
    known = TABLE.get(code) or next((verdict for prefix, verdict in _BY_PREFIX if code.startswith(prefix)), None)
    if known is not None and known.remedy is _CHECK_PERMISSION and action is not None:
        return _forbidden(action)
    return known


def _forbidden(action: Action) -> Verdict:
    """Say what it means that the key is valid but lacks the right to this action."""
    if action.permission is None:
        return Verdict(_FATAL, f"No permission grants {action}: use the key of another user.")
    if action in (Action.CREATE, Action.LIST):  # every run needs both
        return Verdict(_FATAL, _CHECK_PERMISSION, action.permission)
    remedy = f"Grant the key's user {action.permission}, or use the key of a user who has it."
    return Verdict(_FATAL, remedy, action.permission)


def classify(action: Action | None, code: str, status: int | None) -> Verdict:
    """Say what a failure means.

    Args:
        action: What was asked for. One code may refuse an action and mean success for another. ``None``: not known.
        code: The platform's error code, one of bulk's own, or empty where a reply had none.
        status: HTTP status of the reply; ``None`` where none arrived.
    """
    if known := look_up(code, action):
        return known
    if status is None or status >= _FIRST_SERVER_ERROR:
        return Verdict(_DOUBTFUL)
    if code:
        return Verdict(_THROTTLED if status == _TOO_MANY_REQUESTS else _UNRECOGNISED)
    return TABLE.get(code_for_status(status), Verdict(_FATAL, _CHECK_ENDPOINT))


def is_about_keys(code: str) -> bool:
    """Say whether a code of the platform refuses the keys themselves: other keys may be accepted."""
    verdict = look_up(code)
    return verdict is not None and verdict.remedy in _ABOUT_KEYS and not code.startswith("http_")


def code_for_status(status: int) -> str:
    """Return bulk's own code for a reply without one: ``http_502``."""
    return f"http_{status}"
