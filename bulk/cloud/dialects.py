"""Say where requests go and how each of the twin platforms wants them written. Pure.

``--dialect`` chooses the dialect; without it, the endpoint does. A host under ``aliyuncs.com`` is Alibaba. A host with
``tuya`` in its name, or port 8686, on which Tuya's instances listen, is Tuya. Any other host, such as your own test
server, is Alibaba. The sandbox speaks both and is called as Tuya, unless an instance id says Alibaba.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, assert_never
from urllib.parse import SplitResult, urlsplit

from bulk.errors import SettingsError
from bulk.model import Action, ChangeKind, Dialect, Target
from bulk.redaction import shown_address

if TYPE_CHECKING:
    from bulk.cloud.keys.credentials import Credentials
    from bulk.model import Change
    from bulk.settings import Settings

__all__ = [
    "change_parameters",
    "checked_endpoint",
    "common_parameters",
    "http_method",
    "is_loopback",
    "list_parameters",
    "package_parameters",
    "product_parameters",
    "product_query_parameters",
    "resolve_target",
]

_TUYA_PORT = 8686
_DEFAULT_PORTS = {"http": 80, "https": 443}
_REGION = re.compile(r"[a-z]+(-[a-z0-9]+)+")


def resolve_target(settings: Settings) -> Target:
    """Decide which platform a run talks to.

    Raises:
        SettingsError: No platform is named, or its endpoint, region, dialect and instance don't go together.
    """
    if settings.sandbox:
        dialect = settings.dialect or (Dialect.ALIBABA if settings.instance_id else Dialect.TUYA)
        return _checked(Target(dialect, "sandbox", settings.instance_id))
    if settings.region:
        if settings.dialect is Dialect.TUYA:
            raise SettingsError(
                "{0} names an Alibaba region: with {1} tuya give {2} instead", "--region", "--dialect", "--endpoint"
            )
        return Target(Dialect.ALIBABA, _endpoint_of_region(settings.region), settings.instance_id)
    if not settings.endpoint:
        raise SettingsError("no platform is named: give --endpoint URL (or BULK_ENDPOINT), --region ID, or --sandbox")
    url = _encrypted(settings.endpoint, insecure_http=settings.insecure_http)
    return _checked(Target(settings.dialect or _dialect_of(url), _origin(url), settings.instance_id))


def checked_endpoint(endpoint: str, *, insecure_http: bool) -> str:
    """Return a URL without path in its plain form.

    Args:
        endpoint: As it was given.
        insecure_http: Allow an http:// address of another machine.

    Raises:
        SettingsError: Requests to it could not be signed or kept secret.
    """
    return _origin(_encrypted(endpoint, insecure_http=insecure_http))


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def http_method(dialect: Dialect) -> str:
    """Return the method of every action: GET as in Tuya's samples, POST as Alibaba's SDK sends creates."""
    return "GET" if dialect is Dialect.TUYA else "POST"


def list_parameters(product_key: str) -> dict[str, str]:
    """Return the parameters of a listing, without the common ones."""
    return {"Action": Action.LIST, "ProductKey": product_key}


def package_parameters(product_key: str | None, *, page: int, size: int) -> dict[str, str]:
    """Return the parameters of a page of update packages; without a product: of all the account's packages."""
    parameters = {"Action": Action.LIST_PACKAGES, "CurrentPage": str(page), "PageSize": str(size)}
    return parameters | ({"ProductKey": product_key} if product_key else {})


def product_parameters(*, page: int, size: int) -> dict[str, str]:
    """Return the parameters of a page of products."""
    return {"Action": Action.LIST_PRODUCTS, "CurrentPage": str(page), "PageSize": str(size)}


def product_query_parameters(product_key: str) -> dict[str, str]:
    """Return the parameters of a question about one product."""
    return {"Action": Action.SHOW_PRODUCT, "ProductKey": product_key}


def change_parameters(change: Change) -> dict[str, str]:
    """Return the parameters of a change, without the common ones.

    A create does not send what the row leaves out. An update sends both fields. If the row leaves one out, the update
    sends the value that was found: no document says what an update does to a field that it does not name.
    """
    module = change.wanted
    parameters = {
        "Action": change.action,
        "ProductKey": module.product_key,
        "ModuleName": module.module_name,
    }
    match change.kind:
        case ChangeKind.CREATE:
            if module.alias_name is not None:
                parameters["AliasName"] = module.alias_name
            if module.desc is not None:
                parameters["Desc"] = module.desc
        case ChangeKind.UPDATE:
            found = change.found or module
            parameters["AliasName"] = _given(module.alias_name, found.alias_name)
            parameters["Desc"] = _given(module.desc, found.desc)
        case ChangeKind.DELETE:
            pass
        case _:
            assert_never(change.kind)
    return parameters


def _given(wanted: str | None, found: str | None) -> str:
    return wanted if wanted is not None else found or ""


def common_parameters(target: Target, credentials: Credentials) -> dict[str, str]:
    """Return the parameters that all requests of the dialect share. Each request adds nonce, time and signature.

    Args:
        target: Its dialect and instance.
        credentials: Their key id is sent, and their token if they have one.
    """
    parameters = {"AccessKeyId": credentials.access_key_id, "SignatureMethod": "HMAC-SHA1"}
    if credentials.security_token:
        parameters["SecurityToken"] = credentials.security_token
    match target.dialect:
        case Dialect.TUYA:
            pass  # its samples show no others, and whether it would accept them is not known
        case Dialect.ALIBABA:
            parameters |= {"Format": "JSON", "SignatureVersion": "1.0", "Version": "2018-01-20"}
            if target.instance_id:
                parameters["IotInstanceId"] = target.instance_id
        case _:
            assert_never(target.dialect)
    return parameters


def _endpoint_of_region(region: str) -> str:
    if not _REGION.fullmatch(region):
        raise SettingsError(f"{{0}} {region!r} is not a region's id, such as cn-shanghai or ap-southeast-1", "--region")
    return f"https://iot.{region}.aliyuncs.com"


def _encrypted(endpoint: str, *, insecure_http: bool) -> SplitResult:
    url = _split(endpoint)
    if url.scheme == "http" and not (insecure_http or is_loopback(url.hostname or "")):
        raise SettingsError(
            f"endpoint {_origin(url)} is not encrypted: use https://, or --insecure-http if you know the network"
        )
    return url


def _split(endpoint: str) -> SplitResult:
    """Split an endpoint, and refuse one for which a request could not be signed or kept secret."""
    try:
        url = urlsplit(endpoint.strip())
        host, _ = url.hostname, url.port
    except ValueError as exc:
        raise SettingsError("the endpoint is not a URL: its host or port can't be read") from exc
    if "@" in url.netloc:
        raise SettingsError("the endpoint holds a user name or password: give keys by environment variables instead")
    if url.scheme not in _DEFAULT_PORTS or not host:
        raise SettingsError(
            f"endpoint {shown_address(endpoint)!r} is not a URL: write it as https://HOST or https://HOST:PORT"
        )
    if url.path not in {"", "/"} or url.query or url.fragment:
        raise SettingsError(f"endpoint {_origin(url)} is followed by a path, query or fragment: leave them out")
    if reason := _host_mistake(host):
        raise SettingsError(f"endpoint {shown_address(endpoint)!r} has a host name that can't be right: {reason}")
    if url.port == 0:
        raise SettingsError(f"endpoint {shown_address(endpoint)!r} has port 0, which no server listens on")
    return url


def _host_mistake(host: str) -> str | None:
    if not re.fullmatch(r"[a-z0-9._:-]+", host):
        return f"it may hold a-z, 0-9, '-' and '.'{_ascii_form(host)}"
    if not all(host.removesuffix(".").split(".")):
        return "there is nothing between two dots, or before the first"
    if re.fullmatch(r"[0-9.]+", host) and not _is_address(host):
        return "an IPv4 address has four numbers of 0 to 255"
    return None


def _ascii_form(host: str) -> str:
    """Return the name that DNS has for a host that is written in other than ASCII letters."""
    try:
        return "" if host.isascii() else f"; in DNS it is {host.encode('idna').decode()}"
    except UnicodeError:
        return ""


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _origin(url: SplitResult) -> str:
    host = url.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = "" if url.port in {None, _DEFAULT_PORTS[url.scheme]} else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def _dialect_of(url: SplitResult) -> Dialect:
    host = (url.hostname or "").removesuffix(".")
    if host.endswith(".aliyuncs.com"):
        return Dialect.ALIBABA
    return Dialect.TUYA if url.port == _TUYA_PORT or "tuya" in host else Dialect.ALIBABA


def _checked(target: Target) -> Target:
    if target.instance_id and target.dialect is Dialect.TUYA:
        raise SettingsError(
            "{0} is Alibaba's IotInstanceId: leave it out, or give {1} alibaba", "--instance-id", "--dialect"
        )
    return target
