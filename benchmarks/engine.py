"""Compare the engine's requests a second with a bare HTTP loop's, and with two ways in which such jobs are often done.

    python benchmarks/engine.py [--quick] [--loop asyncio|uvloop] [--repeats N] [--json FILE]

No rate limits anything; the tiny platform answers at once, on the other CPU. All send POST requests to it:

- engine: `bulk run`'s own function from reading a CSV of 20,000 rows on 4,000 products to its summary. A listing a
  product, a create a row, everything recorded at ``synchronous=FULL``. Counted twice: *sending* begins when the input
  is in the ledger and ends with the summary; *whole* begins with nothing.
- bare: the same requests byte for byte but for nonce and time, signed beforehand, sent by 64 tasks on one aiohttp
  session that read each body and drop it.
- transport: the same once more by the engine's `HttpTransport` alone: what is left when aiohttp's session is gone.
- cookbook: a create a row, no listings: one aiohttp session, ``gather`` behind a semaphore of 64, signed with urllib's
  quoting, a JSON line appended and flushed for each row.
- official SDK: creates by 64 threads, for as long as a sample takes.

Contenders take turns, so that a busy moment of the machine hits all of them; ratios are taken inside a turn. Engine and
bare loop are compared by CPU time as well, which other processes disturb less: kept on one CPU, both are bound by it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
from ingest_timed import ingest_timed
from inputs import module_of, write_csv
from loops import loop_factory
from reporting import Verdict, middle, options_of, report
from tiny_platform import on_first_cpu, tiny_platform
from yarl import URL

from bulk.cloud.credentials import Credentials, StaticCredentials
from bulk.cloud.dialects import common_parameters, create_parameters, list_parameters
from bulk.cloud.signing import Signer, timestamp
from bulk.cloud.transport import HttpTransport, SignedRequest
from bulk.engine.run import run
from bulk.model import Dialect, OtaModule, Target
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

TASKS = 64
ROWS_A_PRODUCT = 5
KEYS = Credentials("benchmark", "benchmark-secret")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Requests a second of each contender in one turn; the fields are keys of the JSON."""

    loop: str
    bare_per_s: float
    bare_cpu_us: float
    """Of this process, for each request."""

    transport_per_s: float
    transport_cpu_us: float
    sending_per_s: float
    sending_cpu_us: float
    whole_per_s: float
    cookbook_per_s: float
    sdk_per_s: float | None
    """``None``: the SDK is not installed."""


def engine(source: Path, endpoint: str, loop: str) -> tuple[float, float, float]:
    """Return the requests a second of a run, while it sends and as a whole, and the CPU µs of each while it sends."""
    settings = Settings(endpoint=endpoint, qps=0, list_qps=0, ledger=f"{source}.{time.monotonic_ns()}.db")
    started = time.perf_counter()
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner, ingest_timed() as ingest:
        summary = runner.run(run(str(source), settings, credentials=StaticCredentials(KEYS)))
        ended, cpu_s = time.perf_counter(), time.process_time()
    assert summary.outcomes["created"] == summary.rows, summary
    requests = sum(summary.requests.values())
    return requests / (ended - ingest.ended_s), requests / (ended - started), 1e6 * (cpu_s - ingest.cpu_s) / requests


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
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=TASKS)) as session:
            return await by_tasks(queries, lambda waiting: send(session, waiting))

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(send_all())


def transport(queries: list[str], endpoint: str, loop: str) -> tuple[float, float]:
    """Return the same of the engine's transport alone."""

    async def send(carrier: HttpTransport, waiting: Iterator[str]) -> None:
        for query in waiting:
            await carrier.send(SignedRequest("POST", endpoint, query), timeout_s=10)

    async def send_all() -> tuple[float, float]:
        async with HttpTransport(limit=TASKS) as carrier:
            return await by_tasks(queries, lambda waiting: send(carrier, waiting))

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(send_all())


async def by_tasks(queries: list[str], send: Callable[[Iterator[str]], Awaitable[None]]) -> tuple[float, float]:
    """Let tasks share the queries; return the requests a second, and the CPU µs of each."""
    waiting = iter(queries)
    started, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(send(waiting) for _ in range(TASKS)))
    cpu_us = 1e6 * (time.process_time() - cpu_s) / len(queries)
    return len(queries) / (time.perf_counter() - started), cpu_us


def signed_queries(rows: int, products: int) -> list[str]:
    """Return what the engine sends for the rows: a listing a product, then its creates."""
    target = Target(Dialect.ALIBABA, "http://127.0.0.1")
    wanted = []
    for product in range(products):
        modules = [OtaModule(*module_of(index, products=products)) for index in range(product, rows, products)]
        wanted += [list_parameters(modules[0].product_key), *map(create_parameters, modules)]
    at, nonce = timestamp(int(time.time())), uuid.uuid4().hex
    signer = Signer("POST", common_parameters(target, KEYS), secret=KEYS.access_key_secret)
    return [signer.sign(each, nonce=nonce, timestamp=at) for each in wanted]


def cookbook(rows: int, products: int, endpoint: str, record: Path, loop: str) -> float:
    """Return the requests a second of the arrangement that recipes show."""

    async def create(session: aiohttp.ClientSession, index: int, free: asyncio.Semaphore, log: Any) -> None:  # noqa: ANN401 - an open text file
        async with free:
            key, name, alias, desc = module_of(index, products=products)
            async with session.post(f"{endpoint}/?{_signed_plainly(key, name, alias, desc)}") as response:
                answer = await response.json()
            log.write(json.dumps({"ProductKey": key, "ModuleName": name, "reply": answer}) + "\n")
            log.flush()

    async def create_all() -> float:
        free = asyncio.Semaphore(TASKS)
        with record.open("w", encoding="utf-8") as log:
            async with aiohttp.ClientSession() as session:
                started = time.perf_counter()
                await asyncio.gather(*(create(session, index, free, log) for index in range(rows)))
                return rows / (time.perf_counter() - started)

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(create_all())


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


def official_sdk(rows: int, endpoint: str) -> float | None:
    """Return the creates a second of the official SDK's client with 64 threads."""
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

    with ThreadPoolExecutor(TASKS) as pool:
        list(pool.map(create, range(TASKS)))
        started = time.perf_counter()
        list(pool.map(create, range(rows)))
        return rows / (time.perf_counter() - started)


def take_turn(folder: Path, endpoint: str, loop: str, *, rows: int) -> Turn:
    """Let all contenders run once."""
    products = rows // ROWS_A_PRODUCT
    source = write_csv(folder / "modules.csv", rows, products=products)
    queries = signed_queries(rows, products)
    sending_per_s, whole_per_s, sending_cpu_us = engine(source, endpoint, loop)
    bare_per_s, bare_cpu_us = bare(queries, endpoint, loop)
    transport_per_s, transport_cpu_us = transport(queries, endpoint, loop)
    return Turn(
        loop=loop,
        sending_per_s=sending_per_s,
        sending_cpu_us=sending_cpu_us,
        whole_per_s=whole_per_s,
        bare_per_s=bare_per_s,
        bare_cpu_us=bare_cpu_us,
        transport_per_s=transport_per_s,
        transport_cpu_us=transport_cpu_us,
        cookbook_per_s=cookbook(rows // 4, products, endpoint, folder / "cookbook.jsonl", loop),
        sdk_per_s=official_sdk(rows // 20, endpoint),
    )


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    options = options_of(__doc__, loops=True, repeats=5)
    on_first_cpu()
    turns: list[Turn] = []
    with tempfile.TemporaryDirectory() as folder, tiny_platform() as endpoint:
        for _ in range(options.repeats):
            for loop in options.loops:
                turns.append(take_turn(Path(folder), endpoint, loop, rows=1_000 if options.quick else 20_000))
                print(turns[-1], flush=True)
    verdicts = [verdict for loop in options.loops for verdict in _judge(loop, turns)]
    report(options, verdicts, [asdict(turn) for turn in turns])


def _judge(loop: str, every_turn: list[Turn]) -> Iterator[Verdict]:
    turns = [turn for turn in every_turn if turn.loop == loop]

    def verdict(claim: str, limit: float, ours: str, theirs: str) -> Verdict:
        ratio = middle(getattr(turn, ours) / getattr(turn, theirs) for turn in turns)
        speeds = [middle(getattr(turn, name) for turn in turns) for name in (ours, theirs)]
        return Verdict(
            claim=f"{loop}: {claim}", figure=ratio, limit=limit, detail="{:,.0f} / {:,.0f} a second".format(*speeds)
        )

    least = 0.80 if loop == "asyncio" else 0.70
    yield verdict("sending / bare loop", least, "sending_per_s", "bare_per_s")
    ours_us = middle(turn.sending_cpu_us for turn in turns)
    yield Verdict(
        claim=f"{loop}: the same by CPU time",
        figure=middle(turn.bare_cpu_us / turn.sending_cpu_us for turn in turns),
        limit=least,
        detail=f"{middle(turn.bare_cpu_us for turn in turns):.0f} / {ours_us:.0f} µs a request",
    )
    yield verdict("transport alone / bare loop", 0.0, "transport_per_s", "bare_per_s")
    yield verdict("whole run / bare loop", 0.0, "whole_per_s", "bare_per_s")
    yield verdict("sending / cookbook", 2.0, "sending_per_s", "cookbook_per_s")
    if turns[0].sdk_per_s is not None:
        yield verdict("sending / official SDK", 5.0, "sending_per_s", "sdk_per_s")


if __name__ == "__main__":
    main()
