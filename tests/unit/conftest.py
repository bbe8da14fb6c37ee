"""Summaries to show, and platforms without a socket: their transport hands each request to them in this process."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import pytest

from bulk.cloud.keys.credentials import Credentials, StaticCredentials
from bulk.cloud.wire.transport import Reply, at_once
from bulk.control.retry import RetryPolicy
from bulk.errors import NotSentError, OutcomeUnknownError, TurnMissedError
from bulk.model import RESERVED_MODULE_NAME, AccountSummary, Dialect, Outcome, Summary
from bulk.sandbox import Box, SandboxConfig
from bulk.sandbox.call import read_call
from bulk.sandbox.faults import Effect
from bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bulk.cloud.wire.transport import Leave, SignedRequest

_UNANSWERED = frozenset({Effect.RESET, Effect.HANG, Effect.TRUNCATE})


@pytest.fixture
def make_summary() -> Callable[..., Summary]:
    def make(*, outcomes: dict[str, int] | None = None, **fields: Any) -> Summary:
        counts = dict.fromkeys(map(str, Outcome), 0) | (outcomes or {})
        usual: dict[str, Any] = {
            "run_id": "r1",
            "ledger": "modules.csv.ledger.db",
            "input": "modules.csv",
            "target": "https://h (tuya)",
            "rows": sum(counts.values()),
            "absent": 0,
            "requests": {"list": 2, "create": 10},
            "retries": 0,
            "throttled": 0,
            "recovered": 0,
            "elapsed_s": 5.0,
            "exit_code": 0,
        }
        return Summary(outcomes=counts, **(usual | fields))

    return make


TROUBLES = (
    ("InvalidAccessKeyId.NotFound: the key is not known. Give the account another key.", {"pending": 60}, 3),
    ("iot.system.BillIsOverDue: the bill is overdue. Pay it, then run again.", {"created": 20, "pending": 40}, 3),
    ("the platform is out of reach: 12 requests in 44 s without an answer. Run again later.", {"pending": 60}, 3),
    (None, {"created": 50, "over_budget": 10}, 1),
    (None, {"created": 59, "invalid": 1}, 1),
)
"""Why an account stopped, its rows, its exit code: accounts in trouble of different kinds."""


@pytest.fixture
def make_accounts() -> Callable[[int], dict[str, AccountSummary]]:
    """Return so many accounts, up to five of them in trouble: of three, the middle one stopped and the last is full."""

    def make(count: int) -> dict[str, AccountSummary]:
        places = {1: 0, 2: 3} if count <= len(TROUBLES) else {7: 0, 31: 1, 60: 2, 90: 3, 120: 4}
        well: tuple[str | None, dict[str, int], int] = (None, {"created": 60}, 0)
        accounts = {}
        for number in range(count):
            stopped, outcomes, exit_code = TROUBLES[places[number]] if number in places else well
            accounts[f"factory-{number:03}"] = AccountSummary(
                outcomes=dict.fromkeys(map(str, Outcome), 0) | outcomes,
                requests={"list": 6, "create": outcomes.get("created", 0)},
                throttled=0,
                stopped=stopped,
                exit_code=exit_code,
            )
        return accounts

    return make


@pytest.fixture
def make_summary_of(
    make_summary: Callable[..., Summary], make_accounts: Callable[[int], dict[str, AccountSummary]]
) -> Callable[..., Summary]:
    """Return the summary of a run with so many accounts, up to five of them in trouble."""

    def make(count: int, **fields: Any) -> Summary:
        accounts = make_accounts(count)
        outcomes: Counter[str] = Counter()
        for account in accounts.values():
            outcomes.update(account.outcomes)
        stopped = [f"account {name}: {one.stopped}" for name, one in accounts.items() if one.stopped]
        usual = {"accounts": accounts, "exit_code": 3, "stopped": stopped[0]}
        return make_summary(outcomes=dict(outcomes), **(usual | fields))

    return make


class MemoryBox(Box):
    """A platform in this process, what a run needs to reach it, and what a test asks of it."""

    def settings(self, **changes: Any) -> Settings:
        usual: dict[str, Any] = {"endpoint": self.endpoint, "dialect": Dialect.ALIBABA, "qps": 0, "list_qps": 0}
        return Settings(**(usual | changes))

    def keys(self, account: str = "") -> StaticCredentials:
        keys = self.credentials_of(account)
        return StaticCredentials(Credentials(keys.access_key_id, keys.access_key_secret))

    def fill(self, modules: Iterable[tuple[str, ...]], *, account: str = "") -> None:
        """Make modules, each (product, name, alias, description), the last two where given; or a product alone."""
        console, world = self.console(account), self.world(account)
        for product_key, *module in modules:
            if product_key not in world.products():
                console.add_product(product_key, product_name=f"Product {product_key}")
            if module:
                name, alias, desc = (*module, None, None)[:3]
                console.create(product_key, str(name), alias_name=alias, desc=desc)

    def texts(self, product_key: str, account: str = "") -> dict[str, tuple[str, str]]:
        """Return alias and description of each custom module of a product."""
        return {
            module.module_name: (module.alias_name or "", module.desc or "")
            for module in self.modules(product_key, account)
            if module.module_name != RESERVED_MODULE_NAME
        }

    def actions(self, since: int = 0) -> Counter[str]:
        """Return how many requests of each action arrived after the first so many."""
        return Counter(str(seen.action) for seen in list(self.seen)[since:])


class MemoryTransport:
    """Carries requests to boxes by their endpoint; what the way there does to a request, a box's faults say."""

    def __init__(self, boxes: Mapping[str, MemoryBox], **_: object) -> None:
        self._boxes = boxes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, request: SignedRequest, *, timeout_s: float, leave: Leave = at_once) -> Reply:
        assert timeout_s > 0
        box = self._boxes.get(request.endpoint.rstrip("/"))
        if box is None or box.refuses():
            raise NotSentError(f"{request.endpoint} refused the connection", code="not_connected")
        if not leave():
            raise TurnMissedError("too late")
        visit = box.visit(read_call(request.method, f"/?{request.query}", headers={}, body=b"", dialect=None))
        reply = box.answer(visit)
        if visit.fault and visit.fault.effect in _UNANSWERED:
            raise OutcomeUnknownError("the connection was lost")
        date = {"date": formatdate(box.now(visit.plan), usegmt=True)}
        return Reply(reply.status, reply.body, date | dict(reply.headers))


@pytest.fixture
def make_box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., MemoryBox]]:
    """Return what makes a platform without rates, faults or modules, as `SandboxConfig` says where it is given.

    Whatever a run, a sync or a look sends then goes to these platforms, by their endpoint. Waits are short.
    """
    boxes: dict[str, MemoryBox] = {}
    for sender in ("engine.lanes.sending", "engine.looking.opening", "engine.checks.platform"):
        monkeypatch.setattr(f"bulk.{sender}.HttpTransport", partial(MemoryTransport, boxes))
    for waiter in ("engine.sessions.opening", "engine.looking.opening"):
        monkeypatch.setattr(f"bulk.{waiter}.RetryPolicy", partial(RetryPolicy, first_s=0.001, cap_s=0.002))
    monkeypatch.setattr("bulk.engine.looking.opening.PRODUCTS_PER_S", 0.0)
    monkeypatch.setattr("bulk.cloud.paging.PAUSES_S", (0.0,) * 11)
    with ExitStack() as stack:

        def make(**config: Any) -> MemoryBox:
            free: dict[str, Any] = {
                "qps": 0,
                "list_qps": 0,
                "rates": {"products": 0, "product": 0},
                "starting_world": False,
            }
            box = MemoryBox(SandboxConfig(**(free | config)))
            box.open()
            stack.callback(box.close)
            box.endpoint = f"https://platform-{len(boxes) + 1}.example"
            boxes[box.endpoint] = box
            return box

        yield make
