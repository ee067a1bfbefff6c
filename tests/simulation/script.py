"""The script of a seed: the shop, the crowd's requests and the faults.

All of it is drawn before anything runs. So the shrinker can leave out any request or fault and play the rest.
"""

from random import Random
from typing import Final, Literal, NamedTuple

from tests.proof.records import Goods, Kind, Lines
from tests.simulation.faults import AT_A_READ, AT_A_WRITE, SimulatedFault

from flashreserve.clock import LASTING_MS
from flashreserve.core.quotas import NO_QUOTAS, Quotas

StoreName = Literal["mongo", "sqlite"]
EPOCH_MS: Final = 1_795_000_000_000
ADMIN: Final = "admin"

OPERATIONS: Final = 50
FAULTS_MIN: Final = 3
COMPARED_MS: Final = 130
"""The most that a clock differs from the database's after a comparison: half of the slowest comparison."""
JUMP_MS: Final = 60_000
"""The most that a clock jumps."""


class ScriptedOperation(NamedTuple):
    """A request to one process. `target` picks one of the reservations that the customer knows of.

    A customer who isn't told the outcome retries at most `retries` times. With `gone_after`, the customer hangs up
    after that many seconds. With `stray`, the reservation is another customer's.
    """

    number: int
    at: float
    process: int
    kind: Kind
    user: str
    lines: Lines = ()
    key: str | None = None
    target: int = 0
    stray: bool = False
    part: float = 0.0
    """The share of the reservation's units that a return gives back, or a confirmation doesn't buy; 0 for none."""
    product: str = ""
    change: int = 0
    rules: tuple[tuple[str, int | None], ...] = ()
    label: str | None = None
    retries: int = 0
    gone_after: float | None = None


class Options(NamedTuple):
    """The conditions of a play; a failing seed prints them."""

    seed: int
    store: StoreName
    apis: int
    workers: int
    latency_s: float
    scattered: float
    torn: float
    storm_rate: float
    ties_at_random: bool
    refreshing: bool
    eager_recovery_s: float | None
    shared_clock: bool
    siblings: bool
    """Whether processes on one file compare their clocks."""
    offsets_ms: tuple[int, ...]
    skew_ms: int
    stock_only: bool
    elections: bool
    flush_max: int
    part_min: int
    """A write of at least this many documents is sent in two parts side by side."""
    sweep_max: int
    """Holds that a sweep releases at a time."""
    release_intents_max: int
    """While a product has this many open intents, nothing more of it is released."""
    queue_max: int
    healed_at: float
    quotas: Quotas = NO_QUOTAS


class SeedScript(NamedTuple):
    """Everything that a seed decides, except the network's small delays."""

    options: Options
    goods: tuple[Goods, ...]
    operations: tuple[ScriptedOperation, ...]
    faults: tuple[SimulatedFault, ...]
    faults_min: int = FAULTS_MIN
    """If fewer faults have happened before the healing, processes crash to make up the number."""


def draw(seed: int, store: StoreName) -> SeedScript:
    """The script of the seed."""
    random = Random(f"{store} {seed}")
    goods = _draw_goods(random)
    bursts = _draw_bursts(random, goods)
    kinds = _OF_SHOPS[seed % len(_OF_SHOPS)]
    if "return" in kinds:  # Enough is bought before it is returned.
        goods = tuple(each._replace(units=max(each.units, _UNITS_MIN)) for each in goods)
    if kinds is _PAUSING:  # So much that processes plan on what they know of a product, without reading it first.
        goods = tuple(each._replace(units=_AMPLE, limit=None) for each in goods)
    if kinds is _RETURNING_BASKETS:
        bursts = [bursts[0] + later for later in _TURNS_S]
    apis = random.choice((3, 3, 3, 4))
    workers = random.choice((1, 1, 2))
    faults = _draw_faults(random, apis + workers, bursts[-1], store)
    if store == "mongo":
        faults = _with_replica_set_faults(faults, seed, apis + workers, bursts[-1])
    operations = _draw_operations(random, apis, goods, bursts, kinds)
    options = _draw_options(random, seed, store, apis, workers, max(bursts[-1], faults[-1].at) + 1)
    if kinds is _RETURNING_BASKETS:  # A return is announced on one of its products only, so that it stops half way.
        options = options._replace(part_min=1, release_intents_max=2 if seed % 2 else options.release_intents_max)
    if kinds is _PAUSING:  # So many holds lapse at once that small steps, one after the other, would take too long.
        options = options._replace(sweep_max=1_000)
    options = options._replace(elections=any(fault.kind == "election" for fault in faults))
    # A short jump affects nobody, and a machine's jump affects no process that follows the database's clock.
    jumps = sum(fault.kind == "clock" and fault.seconds * 1_000 >= LASTING_MS for fault in faults)
    if jumps and not options.shared_clock:
        options = options._replace(stock_only=True, skew_ms=options.skew_ms + jumps * JUMP_MS)
    return SeedScript(options, goods, operations, faults)


def _with_replica_set_faults(
    faults: tuple[SimulatedFault, ...], seed: int, processes: int, last: float
) -> tuple[SimulatedFault, ...]:
    """The faults plus, in some seeds, those that only a replica set has. These have draws of their own, as below."""
    random = Random(f"replica set {seed}")
    more = []
    if random.random() < 0.5:
        more += [
            SimulatedFault(
                random.uniform(0, last), "sent-again", random.randrange(processes), random.uniform(0.05, 4), skip
            )
            for skip in random.sample(range(6), k=3)
        ]
    if random.random() < 0.2:
        more += [
            SimulatedFault(random.uniform(0, last), "election", 0, random.choice((0.05, 0.5, 3.0))) for _ in range(2)
        ]
    for kind, durations_s in _IN_FLIGHT_S.items():
        random = Random(f"{kind} {seed}")
        if random.random() < 0.5:
            more += [
                SimulatedFault(
                    random.uniform(0, last), kind, random.randrange(processes), random.choice(durations_s), skip
                )
                for skip in random.sample(range(6), k=3)
            ]
    return tuple(sorted((*faults, *more)))


def _draw_options(random: Random, seed: int, store: StoreName, apis: int, workers: int, healed_at: float) -> Options:
    shared_clock = store == "mongo" and random.random() < 0.25
    skew_ms = random.choice((0, 0, 0, 40, 500, 500, 40_000))
    offsets = tuple(random.randint(-skew_ms, skew_ms) for _ in range(apis + workers))
    if shared_clock:  # Then the machines' clocks don't matter.
        skew_ms = COMPARED_MS
        offsets = tuple(random.choice((-1, 1)) * random.randint(1_500, 40_000) for _ in offsets)
    return Options(
        seed=seed,
        store=store,
        apis=apis,
        workers=workers,
        latency_s=random.choice((0.0003, 0.001, 0.001, 0.004, 0.02)),
        scattered=random.choice((0.0, 0.1, 0.5)),
        torn=random.choice((0.0, 0.0, 0.1, 0.5)),
        storm_rate=random.choice((0.2, 0.4, 0.7)),
        ties_at_random=random.random() < 0.5,
        refreshing=random.random() < 0.2,
        eager_recovery_s=random.choice((None, None, 0.1, 0.3, 1.0)),
        shared_clock=shared_clock,
        siblings=store == "sqlite" and bool(seed // 2 % 2),  # not drawn, as below
        offsets_ms=offsets,
        skew_ms=skew_ms,
        stock_only=skew_ms > 1_000,
        elections=False,
        flush_max=random.choice((1, 3, 512, 512)),
        part_min=random.choice((1, 64)),
        sweep_max=(3, 1_000)[seed % 2],  # not drawn, so that older seeds keep their scripts
        release_intents_max=1_000 if seed % 20 else 1,  # not drawn, as above
        queue_max=3 if random.random() < 0.05 else 10_000,
        healed_at=healed_at,
        quotas=(NO_QUOTAS, NO_QUOTAS, _draw_quotas(seed))[seed % 3],  # not drawn, as above
    )


def _draw_quotas(seed: int) -> Quotas:
    """Quotas so small that some customers reach them. The whole play lies within one hour."""
    random = Random(f"quotas {seed}")
    return Quotas(
        open_holds_max=random.choice((0, 1, 2, 3)),
        holds_per_hour_max=random.choice((0, 3, 5, 8)),
        lapses_per_hour_max=random.choice((0, 1, 2)),
    )


def _draw_goods(random: Random) -> tuple[Goods, ...]:
    goods = []
    for place in range(random.choice((2, 2, 2, 3))):
        window = random.random() < 0.1
        goods.append(
            Goods(
                id=f"product-{place}",
                units=random.choice((1, 2, 4, 8, 15)),
                limit=random.choice((None, None, 1, 2, 3)),
                hold_ms=random.choice((1_000, 1_000, 2_000, 2_000, 3_000, 3_000, 5_000, 8_000, 40_000)),
                extensions_max=random.choice((0, 1, 2)),
                sale_starts_at=EPOCH_MS + random.choice((0, 20, 1_000)) if window else None,
                sale_ends_at=EPOCH_MS + 1_000 * random.randint(4, 10) if window else None,
            )
        )
    return tuple(goods)


def _draw_bursts(random: Random, goods: tuple[Goods, ...]) -> list[float]:
    """When customers come: all at once, and again at about the time when earlier holds lapse."""
    bursts = [random.uniform(0.0, 0.3)]
    for _ in range(random.choice((1, 2, 4, 7))):
        pause = random.choice((0.004, 0.05, 0.3, 1.0, random.choice(goods).hold_ms / 1_000))
        bursts.append(bursts[-1] + pause)
    return bursts


_KINDS: Final[dict[Kind, int]] = {
    "reserve": 50,
    "confirm": 14,
    "cancel": 10,
    "extend": 8,
    "read": 4,
    "list": 2,
    "stock": 4,
    "restock": 4,
    "edit": 2,
    "audit": 2,
    "label": 2,
}


_RESTOCKING: Final[dict[Kind, int]] = {**_KINDS, "restock": 40}
"""For shops with many restocks."""

_RETURNING: Final[dict[Kind, int]] = {**_KINDS, "confirm": 40, "return": 40}
"""For shops with many returns, and confirmations of fewer units than are held."""

_RETURNING_BASKETS: Final[dict[Kind, int]] = {**_KINDS, "confirm": 40, "cancel": 4, "return": 60}
"""For shops with many returns of whole baskets."""

_EXTENDING: Final[dict[Kind, int]] = {**_KINDS, "extend": 40}
"""For shops with many extensions, some of them just before the hold lapses."""


_LABELLING: Final[dict[Kind, int]] = {**_KINDS, "label": 40}
"""For shops that often change their own ids of reservations."""


_PAUSING: Final[dict[Kind, int]] = {**_KINDS, "pause": 12, "resume": 10}
"""For shops that often pause and resume their sales."""


_OF_SHOPS: Final = (_KINDS, _RETURNING, _PAUSING, _RESTOCKING, _RETURNING_BASKETS, _EXTENDING, _LABELLING)


_BASKETS_MOST: Final = 0.9
_ALL_PAUSED: Final = 0.3
_AMPLE: Final = 60
_UNITS_MIN: Final = 12
_TURNS_S: Final = (0.0, 0.1, 0.3, 0.5, 0.8)
_FIRST_TURN: Final[dict[Kind, int]] = {"reserve": 0, "confirm": 2, "return": 3}
"""In a shop with many returns of baskets, the first of `_TURNS_S` in which customers ask for it."""


def _draw_operations(
    random: Random, apis: int, goods: tuple[Goods, ...], bursts: list[float], weights: dict[Kind, int]
) -> tuple[ScriptedOperation, ...]:
    users = [f"user-{place}" for place in range(random.choice((2, 4, 8)))]
    spread = random.choice((0.001, 0.02, 0.2))
    baskets = random.choice((0.1, 0.3, 0.8))
    parts: tuple[float, ...] = (0.0, 0.4, 0.7, 1.0) if "return" in weights else (0.0,)
    if weights is _RETURNING_BASKETS:
        baskets, parts = _BASKETS_MOST, (0.0, 0.0, 0.0, 1.0)
    kinds = random.choices(list(weights), list(weights.values()), k=OPERATIONS)
    if "reserve" not in kinds[:5]:
        kinds[0] = "reserve"
    drawn = []
    for number, kind in enumerate(kinds):
        of_kind = bursts[_FIRST_TURN.get(kind, 0) :][:2] if weights is _RETURNING_BASKETS else bursts
        at = random.choice(of_kind) + random.uniform(0, spread)
        operation = ScriptedOperation(number, at, random.randrange(apis), kind, random.choice(users))
        drawn.append(_complete(random, operation, goods, baskets, parts))
    drawn.sort(key=lambda operation: operation.at)
    return tuple(drawn)


def _complete(  # noqa: C901 - one match over all kinds
    random: Random, operation: ScriptedOperation, goods: tuple[Goods, ...], baskets: float, parts: tuple[float, ...]
) -> ScriptedOperation:
    """The operation with the fields that its kind needs."""
    retries = random.choice((0, 0, 1, 2))
    gone_after = random.uniform(0, 0.02) if random.random() < 0.03 else None
    match operation.kind:
        case "reserve":
            among = random.sample(goods, k=2 if random.random() < baskets else 1)
            quantities = (1, 2, 3, 3) if len(parts) > 1 else (1, 1, 1, 2)
            lines = tuple(sorted((each.id, random.choice(quantities)) for each in among))
            key = random.choice((None, "k1", "k2", "k3"))
            if key is None:
                retries = min(retries, 1)
            return operation._replace(lines=lines, key=key, retries=retries, gone_after=gone_after)
        case "confirm" | "cancel" | "extend" | "read" | "return" | "label":
            operation = operation._replace(
                target=random.choice((0, 0, 0, 1, 2, 5)), stray=random.random() < 0.04, retries=retries
            )
            if operation.kind == "return":
                return operation._replace(
                    part=random.choice([part for part in parts if part]), key=random.choice(("g1", "g2", "g3"))
                )
            if operation.kind == "label":
                return operation._replace(label=random.choice((None, "l1", "l2", f"l{operation.number + 3}")))
            if operation.kind == "confirm" and len(parts) > 1:
                return operation._replace(part=random.choice(parts))
            return operation
        case "stock":
            return operation._replace(product=random.choice(goods).id)
        case "restock":
            return operation._replace(
                user=ADMIN,
                product=random.choice(goods).id,
                change=random.choice((-2, -1, 1, 1, 2, 3)),
                key=random.choice(("r1", "r2", "r3")),
                retries=retries,
            )
        case "pause" | "resume":
            product = "" if random.random() < _ALL_PAUSED else random.choice(goods).id
            return operation._replace(user=ADMIN, product=product, retries=retries)
        case "edit":
            return operation._replace(
                user=ADMIN, product=random.choice(goods).id, rules=(_draw_rule(random),), retries=retries
            )
        case _:
            return operation


def _draw_rule(random: Random) -> tuple[str, int | None]:
    rule = random.choice(("limit", "limit", "hold_ms", "extensions_max"))
    values: dict[str, tuple[int | None, ...]] = {
        "limit": (None, 1, 2, 4),
        "hold_ms": (1_000, 2_000, 5_000),
        "extensions_max": (0, 1, 3),
    }
    return rule, random.choice(values[rule])


_IN_FLIGHT_S: Final = {"stranded": (2.1, 2.5), "crash-late": (0.05, 0.3, 2.0, 6.0)}
"""Faults after which a write is still in flight when somebody retries, and for how long (seconds)."""

_OF_MONGO: Final = {
    "crash": 3,
    "stop": 1,
    "freeze": 3,
    "cut": 3,
    "slow": 2,
    "server-crash": 2,
    "clock": 1,
    "storm": 8,
    **dict.fromkeys([kind for kind in AT_A_WRITE if kind not in {"sent-again", *_IN_FLIGHT_S}], 3),
    **dict.fromkeys(AT_A_READ, 1),
    "part": 6,
    "crash-part": 5,
}
_OF_SQLITE: Final = {
    "crash": 3,
    "stop": 1,
    "freeze": 3,
    "slow": 2,
    "clock": 1,
    "crash-before": 4,
    "crash-after": 4,
    "freeze-before": 2,
    "freeze-after": 2,
    "busy": 3,
    "full": 3,
    "disk-fails-before": 5,
    "disk-fails-after": 5,
    "delayed": 3,
    "read-fails": 1,
}


_DURATIONS_S: Final = (*(0.003, 0.05, 0.3, 2.0, 6.0) * 4, 35.0)
"""The last is longer than the 30 s after which a movement counts as abandoned."""
_WEATHER_S: Final = (0.5, 3.0, 8.0)


def _draw_faults(random: Random, processes: int, last: float, store: StoreName) -> tuple[SimulatedFault, ...]:
    kinds = _OF_MONGO if store == "mongo" else _OF_SQLITE
    calm_s = random.choice((0.0, 0.0, 0.0, last * 0.7))
    faults = []
    for _ in range(random.choice((FAULTS_MIN, FAULTS_MIN, 4, 6, 9))):
        (kind,) = random.choices(list(kinds), list(kinds.values()))
        seconds = random.choice(_WEATHER_S if kind in {"slow", "storm"} else _DURATIONS_S)
        at = random.uniform(calm_s, last + 0.1)
        faults.append(SimulatedFault(at, kind, random.randrange(processes), seconds, random.choice((0, 0, 1, 2, 5))))
    faults.sort()
    return tuple(faults)
