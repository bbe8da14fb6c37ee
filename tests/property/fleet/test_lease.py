"""The lease with clocks that drift, in every order of reads and writes: never two who may send, and never nobody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bulk.fleet.contending import Contender
from bulk.fleet.lease import Host, Instant, Note, Pause, Read, State, Terms, Write
from bulk.fleet.store import ABSENT, Outage, Put

if TYPE_CHECKING:
    from collections.abc import Generator

    from bulk.fleet.lease import Answer, Holder, Question

TERMS = Terms()
NODES = 2
RATES = [0.96, 1.0, 1.04]
"""How fast a clock runs: far worse than any quartz."""

SLOWEST = 0.96
WHICH = st.integers(0, NODES - 1)


def kind_of(asked: Question | None) -> str:
    """Name what a node asks for."""
    if isinstance(asked, Write):
        return "make" if asked.only_if_absent else "renew"
    return "look" if isinstance(asked, Read) else "pause"


@dataclass
class Node:
    """A machine with its clocks, and the process on it that wants the shard."""

    host: Host
    rate: float
    boots: int = 0
    set_s: float = 0.0
    """How far somebody has set the wall clock."""

    asked: Question | None = None
    answer: Answer = None
    has_answer: bool = False
    wakes_at_s: float = 0.0
    holder: Holder | None = None
    work: Generator[Question, Answer, None] = field(init=False)


class Leases(RuleBasedStateMachine):
    """Some machines, one store, one shard."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.objects: dict[str, bytes] = {}
        self.late: list[Write] = []
        """Writes that nobody waits for any more, and that may still arrive: each once, or never."""

        self.nodes: list[Node] = []
        self.sent_at_s: dict[int, float] = {}
        """Fence → when it last sent."""

        self.ended_on: dict[int, Host] = {}
        """Fence → where its process was killed."""

    # The world

    def instant(self, node: Node) -> Instant:
        boot_s = self.now_s * node.rate
        return Instant(boot_s, boot_s + node.set_s)

    def put(self, asked: Write) -> Put:
        if asked.only_if_absent and asked.name in self.objects:
            return Put.STORED if self.objects[asked.name] == asked.data else Put.EXISTS
        self.objects[asked.name] = asked.data
        return Put.STORED

    def contender(self, node: Node) -> Contender:
        note = Note(holder=f"{node.host.boot_id}.{node.boots}", host=node.host)
        return Contender("lease/0", note, terms=TERMS, clock=lambda: self.instant(node))

    def start(self, node: Node) -> None:
        node.boots += 1
        node.holder, node.asked, node.answer, node.has_answer = None, None, None, True

        def work() -> Generator[Question, Answer, None]:
            contender = self.contender(node)
            while True:
                node.holder = yield from contender.take()
                while not node.holder.right.is_lost:
                    good = yield from node.holder.renew(State.SENDING)
                    yield Pause(TERMS.renew_every_s if good else TERMS.poll_every_s)
                node.boots += 1
                contender = self.contender(node)

        node.work = work()

    def go_on(self, node: Node) -> None:
        """Give a node its answer, and take its next question."""
        if not node.has_answer:
            return
        asked = next(node.work) if node.asked is None else node.work.send(node.answer)
        node.asked, node.answer, node.has_answer = asked, None, False
        if isinstance(asked, Pause):
            node.wakes_at_s = self.now_s + asked.seconds / node.rate

    def carry_out(self, node: Node) -> None:
        """Let a node's question reach the store; its answer may be on its way for long."""
        if node.has_answer or node.asked is None:
            return
        if isinstance(node.asked, Pause):
            node.has_answer = self.now_s >= node.wakes_at_s
            return
        node.answer = (
            self.objects.get(node.asked.name, ABSENT) if isinstance(node.asked, Read) else self.put(node.asked)
        )
        node.has_answer = True

    def send_all(self) -> None:
        for node in self.nodes:
            if node.holder and node.holder.right.allows(self.instant(node)):
                self.send(node.holder.fence, node.host)

    def send(self, fence: int, host: Host) -> None:
        for earlier, at_s in self.sent_at_s.items():
            assert earlier <= fence, "a fence was broken: an earlier holder sends after a later one"
            if earlier < fence:
                ended_here = self.ended_on.get(earlier) == host
                quiet_s = TERMS.window_s if ended_here else TERMS.quiet_s
                assert self.now_s - at_s >= quiet_s * SLOWEST, "requests of two holders can share a window"
        self.sent_at_s[fence] = self.now_s

    # What happens

    @initialize(rates=st.lists(st.sampled_from(RATES), min_size=NODES, max_size=NODES))
    def begin(self, rates: list[float]) -> None:
        for number, rate in enumerate(rates):
            node = Node(host=Host(boot_id=f"boot-{number}", lock_device=1, lock_inode=2), rate=rate)
            self.start(node)
            self.nodes.append(node)

    @rule(which=WHICH, steps=st.integers(1, 5))
    def one_goes_on(self, which: int, steps: int) -> None:
        for _ in range(steps):
            self.go_on(self.nodes[which])
            self.carry_out(self.nodes[which])

    @rule(which=WHICH, to=st.sampled_from(["make", "renew", "look"]))
    def one_goes_on_up_to(self, which: int, to: str) -> None:
        """Stop right before a question is carried out: where the others can come in between."""
        node, end_s = self.nodes[which], self.now_s + 3 * TERMS.term_s
        self.carry_out(node)
        while self.now_s < end_s:
            self.go_on(node)
            if kind_of(node.asked) == to and not node.has_answer:
                return
            self.carry_out(node)
            if not node.has_answer:
                self.now_s += 0.5
                self.send_all()

    @rule(which=WHICH, arrives=st.sampled_from(["now", "late", "never"]))
    def store_does_not_answer(self, which: int, arrives: str) -> None:
        node = self.nodes[which]
        if node.has_answer or node.asked is None or isinstance(node.asked, Pause):
            return
        if isinstance(node.asked, Write) and arrives == "now":
            self.put(node.asked)
        elif isinstance(node.asked, Write) and arrives == "late":
            self.late.append(node.asked)
        node.answer, node.has_answer = Outage("no answer"), True

    @precondition(lambda self: self.late)
    @rule(which=st.integers(0, 5))
    def late_write_arrives(self, which: int) -> None:
        self.put(self.late.pop(which % len(self.late)))

    @rule(seconds=st.sampled_from([1.0, 5.0, 12.0, 36.0]))
    def all_stand_still(self, seconds: float) -> None:
        # In small steps, as whoever may send does so at any time.
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.5
            self.send_all()

    @rule(awake=st.sets(WHICH, min_size=1), seconds=st.sampled_from([1.0, 12.0, 36.0, 60.0]))
    def some_go_on_for_a_while(self, awake: set[int], seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.5
            for node in [self.nodes[which] for which in sorted(awake)]:
                for _ in range(6):
                    self.go_on(node)
                    self.carry_out(node)
                self.send_all()

    @rule(which=WHICH)
    def process_is_killed_and_another_starts_there(self, which: int) -> None:
        node = self.nodes[which]
        if node.holder is not None:
            self.ended_on[node.holder.fence] = node.host
        if isinstance(node.asked, Write) and not node.has_answer:
            self.late.append(node.asked)
        self.start(node)

    @rule(which=WHICH)
    def holder_releases(self, which: int) -> None:
        node = self.nodes[which]
        if node.holder is None or not node.has_answer:
            return
        for asked in node.holder.release():
            assert isinstance(asked, Write)
            self.put(asked)
        self.start(node)

    @rule(which=WHICH, seconds=st.sampled_from([-3600.0, -2.0, 1.0, 2.0, 3600.0]))
    def wall_clock_is_set(self, which: int, seconds: float) -> None:
        self.nodes[which].set_s += seconds

    @invariant()
    def nobody_breaks_a_fence(self) -> None:
        self.send_all()

    def teardown(self) -> None:
        """Whatever happened: once all is well again, somebody gets to send."""
        if not self.nodes:
            return
        begun_at_s = self.now_s
        while self.now_s < begun_at_s + 8 * TERMS.term_s:
            self.some_go_on_for_a_while(set(range(NODES)), 10.0)
            if any(at_s > begun_at_s for at_s in self.sent_at_s.values()):
                return
        raise AssertionError("nobody may send")


TestLeases = Leases.TestCase
TestLeases.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
