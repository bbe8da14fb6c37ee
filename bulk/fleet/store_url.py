"""Open a store by its URL. A URL contains no secret: keys come from the environment of each machine."""

from __future__ import annotations

import atexit
import os
import time
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from bulk.conditions import explain_os_error
from bulk.distribution import DISTRIBUTION
from bulk.errors import SettingsError
from bulk.fleet.store import TIMEOUT_S, BucketStore, FolderStore, outage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import ClientConfig, RetryConfig

    from bulk.fleet.store import Store

__all__ = ["open_store"]

_KINDS = "a folder, s3://BUCKET/PATH, oss://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH"

_LETTING_GO_S = 0.1
"""How long obstore's threads have to release an answer before Python ends."""


def open_store(url: str, *, make: bool = False, environment: Mapping[str, str] = os.environ) -> Store:
    """Open the store that a URL names; nothing is sent yet.

    Args:
        url: A folder's path, or a URL of ``file``, ``s3``, ``oss``, ``gs`` or ``az``.
        make: Create a missing folder. A worker never does: it would wait alone in a share that is not mounted.
        environment: Has Alibaba OSS's endpoint and keys; for other services obstore reads the environment.

    Raises:
        SettingsError: The URL can't be a store, or contains a secret.
    """
    parts = _split(url)
    if find_spec("obstore") is None:
        raise SettingsError(f"a store needs the package obstore: pip install '{DISTRIBUTION}[fleet]'")
    atexit.unregister(_let_answers_go)  # once is enough
    atexit.register(_let_answers_go)
    if parts.scheme in {"", "file"}:
        return _folder(_path(parts, url), make=make)
    try:
        return _OPENERS[parts.scheme](parts, environment)
    except SettingsError:
        raise
    except Exception as exc:
        raise SettingsError(f"the store {url} can't be opened: {outage(exc).why}") from exc


def _let_answers_go() -> None:
    """Wait for obstore's threads: a thread that still has an answer while Python ends aborts the whole process.

    A thread hands its answer over before it releases Python, and there is no way to see when it has.
    """
    time.sleep(_LETTING_GO_S)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        has_user = "@" in parts.netloc
    except ValueError:
        raise SettingsError(f"the store can't be read as a URL; name {_KINDS}") from None
    scheme = parts.scheme if "://" in url else ""
    if has_user or (scheme and (parts.query or parts.fragment)):
        # Not shown: it may contain a key.
        raise SettingsError(
            "the store's URL has a user, a query or a signature in it; leave them out and set the keys in the"
            " environment of each machine: the URL goes into command lines and logs"
        )
    if not scheme:
        return SplitResult("", "", url, "", "")
    if scheme not in {"file", *_OPENERS}:
        raise SettingsError(f"{scheme}:// is no store; name {_KINDS}")
    if scheme != "file" and not parts.netloc:
        raise SettingsError(f"the store {url} names no bucket; name {_KINDS}")
    return parts


def _path(parts: SplitResult, url: str) -> Path:
    if parts.netloc not in {"", "localhost"}:
        raise SettingsError(f"the store {url} names a machine; write file:///PATH, with three slashes")
    path = unquote(parts.path) if parts.scheme else parts.path
    if not path:
        raise SettingsError(f"the store has no name; name {_KINDS}")
    return Path(path).absolute()


def _folder(folder: Path, *, make: bool) -> FolderStore:
    from obstore.store import LocalStore  # noqa: PLC0415 - an extra, and 16 MB

    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        elif not folder.is_dir():
            raise SettingsError(f"the store {folder} is not there, or is no folder; is its share mounted?")
    except OSError as exc:
        raise SettingsError(f"the store {folder} can't be used: {explain_os_error(exc)}") from exc
    return FolderStore(LocalStore(folder), folder)


def _no_repeats() -> RetryConfig:
    """Never repeat a request: a late copy of an old renewal would look like a new one."""
    return {"max_retries": 0, "retry_timeout": timedelta(seconds=TIMEOUT_S)}


def _client(*, is_plain: bool, headers: Mapping[str, str] | None = None) -> ClientConfig:
    options: ClientConfig = {"timeout": timedelta(seconds=TIMEOUT_S), "allow_http": is_plain}
    if headers:
        options["default_headers"] = dict(headers)
    return options


def _by_obstore(parts: SplitResult, environment: Mapping[str, str]) -> Store:
    from obstore.store import from_url  # noqa: PLC0415 - see above

    is_plain = environment.get("AWS_ENDPOINT_URL", environment.get("AWS_ENDPOINT", "")).startswith("http://")
    options = _client(is_plain=is_plain and parts.scheme == "s3")
    return BucketStore(from_url(parts.geturl(), client_options=options, retry_config=_no_repeats()))


def _oss(parts: SplitResult, environment: Mapping[str, str]) -> Store:
    """Open Alibaba Cloud OSS by its S3-compatible endpoint; OSS has its own header that forbids overwriting."""
    from obstore.store import S3Store  # noqa: PLC0415 - see above

    region, endpoint = environment.get("OSS_REGION"), environment.get("OSS_ENDPOINT")
    if not region and not endpoint:
        raise SettingsError("an oss:// store needs OSS_REGION, such as cn-shanghai, or OSS_ENDPOINT in the environment")
    endpoint = endpoint or f"https://s3.oss-{region}.aliyuncs.com"
    where = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    by_path = _is_address(where.hostname or "")
    config: dict[str, Any] = {
        "region": region or "cn-shanghai",
        "endpoint": where.geturl() if by_path else f"{where.scheme}://{parts.netloc}.{where.netloc}",
        "virtual_hosted_style_request": not by_path,
        "access_key_id": environment.get("OSS_ACCESS_KEY_ID"),
        "secret_access_key": environment.get("OSS_ACCESS_KEY_SECRET"),
        "session_token": environment.get("OSS_SESSION_TOKEN"),
    }
    config = {name: value for name, value in config.items() if value is not None}

    def opened(headers: Mapping[str, str] | None = None) -> S3Store:
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options=_client(is_plain=where.scheme == "http", headers=headers),
            retry_config=_no_repeats(),
            **config,
        )

    return BucketStore(opened(), creating=opened({"x-oss-forbid-overwrite": "true"}))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


_OPENERS: Mapping[str, Callable[[SplitResult, Mapping[str, str]], Store]] = {
    "s3": _by_obstore,
    "gs": _by_obstore,
    "az": _by_obstore,
    "oss": _oss,
}
