"""The play of a script: a safety phase under faults, then healing, then a liveness phase until all is at rest."""

import gc
import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

import structlog
from msgspec import structs
from tests.proof.auditor import Violation, audit
from tests.proof.records import Ended, Healed, Record, Subscription, Terms, Trouble
from tests.simulation.crowd import SimulatedCrowd
from tests.simulation.faults import SimulatedFault
from tests.simulation.mongo.server import SimulatedMongoServer
from tests.simulation.mongo_shop import MongoShop
from tests.simulation.processes import Board, SimulatedProcess
from tests.simulation.receivers import SimulatedReceivers, endpoints_of, short_times
from tests.simulation.script import EPOCH_MS, SeedScript
from tests.simulation.shop import SimulatedShop
from tests.simulation.sqlite_shop import SqliteShop
from tests.simulation.world import World

LOOK_EVERY_S: Final = 0.5
LIVENESS_S: Final = 60.0
"""The longest time from the healing, and the end of the last hold, until all must be at rest."""

FAILING: Final = 0.3
"""The share of deliveries that their receivers refuse."""

RECOVERY_S: Final = 45.0
RECOVERIES_IN_A_ROW: Final = 8
"""If a product takes few releases at a time, unfinished releases are recovered one after the other."""
FEW_AT_ONCE: Final = 2

SWEEP_MS: Final = 2_500.0
LATENCIES_OF_SWEEP: Final = 100
EAGER_MS: Final = 7_500.0


class PlayedScript(NamedTuple):
    """The result of a play."""

    script: SeedScript
    history: list[Record]
    violations: list[Violation]
    operations: int
    seconds: float
    faults: Counter[str]

    @property
    def hash(self) -> str:
        """A digest of the history: equal for equal histories."""
        return hashlib.sha256(repr(self.history).encode()).hexdigest()[:16]


class _Play:
    def __init__(self, script: SeedScript, server: SimulatedMongoServer | None) -> None:
        self.script = script
        options = script.options
        self.world = World(options.seed, ties_at_random=options.ties_at_random)
        self.history: list[Record] = []
        self.faults: Counter[str] = Counter()
        self.quiet_at = 0.0
        self.out_of_balance: list[str] = []
        self.shop = self._open_shop(server)
        endpoints = endpoints_of(options.seed)
        self.shop.subscribe(endpoints)
        self.subscriptions = tuple(Subscription(each.url, tuple(each.types)) for each in endpoints)
        self.receivers = SimulatedReceivers(self.world, FAILING) if endpoints else None
        board: Board = {}
        self.processes = [
            SimulatedProcess(self.world, number, options, self.shop.connect, board, self.receivers)
            for number in range(options.apis + options.workers)
        ]
        for process in self.processes:
            process.on_takeover = partial(self._note_takeover, process.name)
        self.crowd = SimulatedCrowd(self.world, self.processes, self.history)

    def _open_shop(self, server: SimulatedMongoServer | None) -> SimulatedShop:
        options, goods = self.script.options, self.script.goods
        if options.store == "mongo":
            return MongoShop(self.world, options, goods, self.note, server)
        return SqliteShop(self.world, options, goods, self.note)

    def _note_takeover(self, process: str, began: float) -> None:
        """Record a takeover: until it ended, units were neither held nor available. It is no fault, but shows."""
        self.history.append(Trouble(began * 1_000, self.world.now * 1_000, "takeover", process, passing=True))

    def note(self, kind: str, process: str, seconds: float) -> None:
        """Record a fault that has happened."""
        now = self.world.now
        self.faults[kind] += 1
        self.quiet_at = max(self.quiet_at, now + seconds)
        self.history.append(Trouble(now * 1_000, (now + seconds) * 1_000, kind, process))

    def _meet(self, fault: SimulatedFault) -> None:
        process = self.processes[fault.process]
        if fault.kind in {"crash", "stop", "freeze", "clock"}:
            if process.loop.dead:
                return
            self.note(fault.kind, process.name, fault.seconds)
        match fault.kind:
            case "crash":
                process.crash(min(fault.seconds, 8.0))
            case "stop":
                process.stop(min(fault.seconds, 8.0))
            case "freeze":
                process.freeze(fault.seconds)
            case "clock":
                process.machine.jump(self.world.random.choice((-60_000, -3_000, 3_000, 60_000)), fault.seconds)
            case _:
                if self.shop.meet(process, fault):
                    self.note(fault.kind, process.name, fault.seconds)

    def play(self) -> PlayedScript:
        """Play both phases and let the auditor judge the history."""
        world, options = self.world, self.script.options
        for operation in self.script.operations:
            world.at(operation.at, self.crowd.ask, operation)
        for fault in self.script.faults:
            world.at(fault.at, self._meet, fault)
        self._run_watched(options.healed_at)
        while sum(self.faults.values()) < self.script.faults_min:
            process = world.random.randrange(len(self.processes))
            self._meet(SimulatedFault(world.now, "crash", process, 0.3))
            self._run_watched(world.now + 0.4)
        self._heal()
        self._run_watched(max(self.quiet_at, self.shop.quiet_at()) + 0.001)
        self.history.append(Healed(world.now * 1_000))
        self._run_until_at_rest()
        balanced = self.shop.balance()
        self._check_balance()
        self.history.append(
            Ended(
                world.now * 1_000,
                self.shop.products(),
                self.shop.reservations(),
                books_balance=balanced is None,
                log=self.shop.log(),
                read=tuple(tuple(process.read) for process in self.processes),
                subscriptions=self.subscriptions,
                received=tuple(self.receivers.received) if self.receivers is not None else (),
            )
        )
        violations = audit(self.history, self._terms())
        violations += [Violation("loop", complaint) for complaint in world.complaints]
        violations += [Violation("books", wrong) for wrong in self.out_of_balance[:1]]
        return PlayedScript(self.script, self.history, violations, self.crowd.asked, world.now, self.faults)

    def _run_watched(self, until: float) -> None:
        """Run, and check the balance of the books from time to time."""
        world = self.world
        while world.now < until:
            world.run(min(until, world.now + LOOK_EVERY_S * world.random.random() + 0.001))
            self._check_balance()

    def _check_balance(self) -> None:
        wrong = self.shop.balance()
        if wrong is not None:
            self.out_of_balance.append(f"at {self.world.now:.3f} s {wrong}")

    def _heal(self) -> None:
        self.shop.heal()
        for process in self.processes:
            process.heal()

    def _run_until_at_rest(self) -> None:
        world = self.world
        # A clock that was set back first has to reach the end of the holds again.
        deadline = world.now + LIVENESS_S + self._recovery_s() + 2 * self.script.options.skew_ms / 1_000
        while world.now < deadline and not self._at_rest():
            world.run(world.now + LOOK_EVERY_S)

    def _at_rest(self) -> bool:
        return (
            self.crowd.waiting == 0
            and self.crowd.asked >= len(self.script.operations)
            and not any(product.moving for product in self.shop.products())
            and not any(each.status == "PENDING" for each in self.shop.reservations())
            and not self.shop.unlogged()
            and not self.shop.undelivered()
        )

    def _recovery_s(self) -> float:
        return RECOVERY_S * (RECOVERIES_IN_A_ROW if self._few_at_once() else 1)

    def _few_at_once(self) -> bool:
        """Whether a product takes so few releases at a time that unfinished ones hold up the others."""
        return self.script.options.release_intents_max <= FEW_AT_ONCE

    def _terms(self) -> Terms:
        options = self.script.options
        # A sweep takes long over a slow network, and starts again after an eager recovery.
        sweep_ms = SWEEP_MS + options.latency_s * 1_000 * LATENCIES_OF_SWEEP
        if options.eager_recovery_s is not None:
            sweep_ms += EAGER_MS
        if self._few_at_once():
            sweep_ms = self._recovery_s() * 1_000  # Two sweeps that meet may leave a basket to recovery.
        return Terms(
            self.script.goods,
            EPOCH_MS,
            options.skew_ms,
            stock_only=options.stock_only,
            sweep_ms=sweep_ms,
            recovery_ms=self._recovery_s() * 1_000,
            stale_reads=options.elections,
            **structs.asdict(options.quotas),
        )

    def discard(self) -> None:
        for process in self.processes:
            process.discard()
        self.shop.discard()


def play(script: SeedScript, server: SimulatedMongoServer | None = None) -> PlayedScript:
    """Play the script from beginning to end. A test passes in a `server` to examine it afterwards."""
    with short_times():
        running = _Play(script, server)
        try:
            return running.play()
        finally:
            running.discard()


@contextmanager
def quietly() -> Iterator[None]:
    """Switch off the service's log, and the garbage collector, whose times no seed decides."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        structlog.configure(**before)
