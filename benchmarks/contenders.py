"""What the engine is measured against: the bare HTTP loop, and ways in which such jobs are often done.

Each returns requests a second; all send to a platform that answers every request with success.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
from inputs import module_of
from loops import loop_factory
from yarl import URL

from bulk.cloud.dialects import change_parameters, common_parameters, list_parameters
from bulk.cloud.keys.credentials import Credentials
from bulk.cloud.signing import Signer, timestamp
from bulk.cloud.wire.transport import HttpTransport, SignedRequest
from bulk.model import Change, ChangeKind, Dialect, OtaModule, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

__all__ = [
    "KEYS",
    "bare",
    "cookbook_flushing",
    "cookbook_opening",
    "core_sdk",
    "iot_sdk",
    "signed_queries",
    "transport",
]

KEYS = Credentials("benchmark", "benchmark-secret")
_TASKS = 64


def signed_queries(rows: int, products: int) -> list[str]:
    """Return what the engine sends for the rows: a listing a product, then its creates."""
    target = Target(Dialect.ALIBABA, "http://127.0.0.1")
    wanted = []
    for product in range(products):
        modules = [OtaModule(*module_of(index, products=products)) for index in range(product, rows, products)]
        wanted += [
            list_parameters(modules[0].product_key),
            *(change_parameters(Change(ChangeKind.CREATE, module)) for module in modules),
        ]
    at, nonce = timestamp(int(time.time())), uuid.uuid4().hex
    signer = Signer("POST", common_parameters(target, KEYS), secret=KEYS.access_key_secret)
    return [signer.sign(each, nonce=nonce, timestamp=at) for each in wanted]


def bare(queries: list[str], endpoint: str, loop: str) -> tuple[float, float]:
    """Return the requests a second, and the CPU µs of each, of tasks that only send what was signed before."""
    url = URL(endpoint)

    async def send(session: aiohttp.ClientSession, waiting: Iterator[str]) -> None:
        for query in waiting:
            target = URL.build(
                scheme="http", host="127.0.0.1", port=url.port, path="/", query_string=query, encoded=True
            )
            async with session.post(target) as response:
                await response.read()

    async def send_all() -> tuple[float, float]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_TASKS)) as session:
            return await _by_tasks(queries, lambda waiting: send(session, waiting))

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(send_all())


def transport(queries: list[str], endpoint: str, loop: str) -> tuple[float, float]:
    """Return the same of the engine's transport alone."""

    async def send(carrier: HttpTransport, waiting: Iterator[str]) -> None:
        for query in waiting:
            await carrier.send(SignedRequest("POST", endpoint, query), timeout_s=10)

    async def send_all() -> tuple[float, float]:
        async with HttpTransport(limit=_TASKS) as carrier:
            return await _by_tasks(queries, lambda waiting: send(carrier, waiting))

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(send_all())


async def _by_tasks(queries: list[str], send: Callable[[Iterator[str]], Awaitable[None]]) -> tuple[float, float]:
    """Let tasks share the queries; return the requests a second, and the CPU µs of each."""
    waiting = iter(queries)
    started, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send(waiting) for _ in range(_TASKS)))
    cpu_us = 1e6 * (time.process_time() - cpu_s) / len(queries)
    return len(queries) / (time.perf_counter() - started), cpu_us


def _cookbook(rows: int, products: int, endpoint: str, loop: str, *, append: Callable[[str], None]) -> float:
    """Return the creates a second of the arrangement that recipes show: one session, a JSON line appended a row.

    Args:
        rows: How many creates.
        products: Over how many products.
        endpoint: Of the platform.
        loop: Name of the event loop.
        append: Writes a line to the record.
    """

    async def create(session: aiohttp.ClientSession, index: int, free: asyncio.Semaphore) -> None:
        async with free:
            key, name, alias, desc = module_of(index, products=products)
            async with session.post(f"{endpoint}/?{_signed_plainly(key, name, alias, desc)}") as response:
                answer = await response.json()
            append(json.dumps({"ProductKey": key, "ModuleName": name, "reply": answer}) + "\n")

    async def create_all() -> float:
        free = asyncio.Semaphore(_TASKS)
        async with aiohttp.ClientSession() as session:
            started = time.perf_counter()
            await asyncio.gather(*(create(session, index, free) for index in range(rows)))
            return rows / (time.perf_counter() - started)

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(create_all())


def cookbook_opening(rows: int, products: int, endpoint: str, loop: str, *, record: Path) -> float:
    """Return the same of a recipe that opens its record for every line."""

    def append(line: str) -> None:
        with record.open("a", encoding="utf-8") as log:
            log.write(line)

    return _cookbook(rows, products, endpoint, loop, append=append)


def cookbook_flushing(rows: int, products: int, endpoint: str, loop: str, *, record: Path) -> float:
    """Return the same of one that keeps it open, and flushes it after every line."""
    with record.open("a", encoding="utf-8") as log:

        def append(line: str) -> None:
            log.write(line)
            log.flush()

        return _cookbook(rows, products, endpoint, loop, append=append)


def _signed_plainly(key: str, name: str, alias: str, desc: str) -> str:
    parameters = {
        "Action": "CreateOTAModule",
        "ProductKey": key,
        "ModuleName": name,
        "AliasName": alias,
        "Desc": desc,
        "AccessKeyId": KEYS.access_key_id,
        "Format": "JSON",
        "Version": "2018-01-20",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(parameters.items()))
    text = f"POST&%2F&{quote(query, safe='')}"
    digest = hmac.new(f"{KEYS.access_key_secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return f"{query}&Signature={quote(base64.b64encode(digest), safe='')}"


def core_sdk(rows: int, endpoint: str) -> float | None:
    """Return the creates a second of the official core SDK (aliyun-python-sdk-core): one client, 64 threads.

    ``None``: it is not installed.
    """
    if find_spec("aliyunsdkcore") is None:
        return None
    from aliyunsdkcore.client import AcsClient  # noqa: PLC0415 - slow to load, and not always there
    from aliyunsdkcore.request import CommonRequest  # noqa: PLC0415 - as above

    url = URL(endpoint)
    client = AcsClient(
        KEYS.access_key_id,
        KEYS.access_key_secret,
        "cn-shanghai",
        port=url.port,
        pool_size=_TASKS,
        auto_retry=False,
    )

    def create(index: int) -> None:
        key, name, alias, desc = module_of(index, products=rows)
        request = CommonRequest(domain=url.host, version="2018-01-20", action_name="CreateOTAModule")
        request.set_method("POST")
        request.set_protocol_type("http")
        for parameter, value in (("ProductKey", key), ("ModuleName", name), ("AliasName", alias), ("Desc", desc)):
            request.add_query_param(parameter, value)
        client.do_action_with_exception(request)

    return _by_threads(rows, create)


def iot_sdk(rows: int, endpoint: str) -> float | None:
    """Return the creates a second of the official SDK made for this product (alibabacloud-iot20180120), as above."""
    if find_spec("alibabacloud_iot20180120") is None:
        return None
    from alibabacloud_iot20180120.client import Client  # noqa: PLC0415 - slow to load, and not always there
    from alibabacloud_iot20180120.models import CreateOTAModuleRequest  # noqa: PLC0415 - as above
    from alibabacloud_tea_openapi.models import Config  # noqa: PLC0415 - as above

    client = Client(
        Config(
            access_key_id=KEYS.access_key_id,
            access_key_secret=KEYS.access_key_secret,
            endpoint=endpoint.removeprefix("http://"),
            protocol="http",
        )
    )

    def create(index: int) -> None:
        key, name, alias, desc = module_of(index, products=rows)
        client.create_otamodule(CreateOTAModuleRequest(product_key=key, module_name=name, alias_name=alias, desc=desc))

    return _by_threads(rows, create)


def _by_threads(rows: int, create: Callable[[int], None]) -> float:
    with ThreadPoolExecutor(_TASKS) as pool:
        list(pool.map(create, range(_TASKS)))
        started = time.perf_counter()
        list(pool.map(create, range(rows)))
        return rows / (time.perf_counter() - started)
