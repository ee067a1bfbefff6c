"""Reserving, under every fence: no promise may be broken."""

from typing import Final

from msgspec.structs import replace

from model.configuration import KEYED, LIMIT, Configuration, database, flusher, held, products, wants
from model.holders import confirm
from model.processes import Program
from model.recovery import recover
from model.release_movement import sweep
from model.space import Setting

V: Final = Program("V", recover, (("A",),))
W: Final = Program("W", recover, (("A",),))
V_BOTH: Final = Program("V", recover, (("A", "B"),))
W_BOTH: Final = Program("W", recover, (("A", "B"),))
S: Final = Program("S", sweep)

LAPSING: Final = held("h", {"A": 1}, 1, claims=LIMIT)
"""A hold that lapses at 1, and has the claim that others want."""

ONE: Final = flusher("P", (wants("r", "A"),))
MIXED: Final = flusher("P", (wants("r1", "A", "B"), wants("r2", "A", user="w")))
"""A flush of a basket and a single hold, under one f."""

SINGLES: Final = (
    Configuration(
        "reserve",
        "one hold, any two replies lost",
        Setting(database=database(products(A=2)), processes=(ONE, V), losses=2),
    ),
    Configuration(
        "reserve-again",
        "one hold, tried again under a new f and a new id",
        Setting(database=database(products(A=2)), processes=(flusher("P", (wants("r", "A"),), tries=2), V), losses=2),
    ),
    Configuration(
        "reserve-two-recoverers",
        "one hold that two processes recover at once",
        Setting(database=database(products(A=2)), processes=(ONE, V, W), losses=2),
        size="full",
    ),
    Configuration(
        "reserve-two-of-a-customer",
        "two holds of one flush, of which the limit allows one; two processes recover",
        Setting(
            database=database(products(A=2)),
            processes=(flusher("P", (wants("r1", "A", claims=LIMIT), wants("r2", "A", claims=LIMIT))), V, W),
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "reserve-id-twice",
        "two processes use one id for two holds",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, flusher("Q", (replace(wants("q", "A"), id="r"),)), V),
            losses=1,
        ),
    ),
    Configuration(
        "reserve-over-lapsed",
        "the limit's claim is held by a hold that lapses; the flush and a sweep release it",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),), tries=2), S, V),
            clock_max=1,
        ),
    ),
    Configuration(
        "reserve-over-lapsed-lost",
        "the same, any two replies lost",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),), tries=2), S, V),
            clock_max=1,
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "reserve-over-lapsed-two-recoverers",
        "the same, two processes recover",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),), tries=2), S, V, W),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "reserve-limit-by-two",
        "two processes want the one unit that the limit allows; what the first gets may lapse",
        Setting(
            database=database(products(A=2)),
            processes=(
                flusher("P", (wants("r1", "A", claims=LIMIT, expires_at=1),)),
                flusher("Q", (wants("r2", "A", claims=LIMIT),)),
                S,
                V,
            ),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
)

KEYS: Final = (
    Configuration(
        "key-by-two",
        "two processes are asked at once with one idempotency key, and there is one unit",
        Setting(
            database=database(products(A=1)),
            processes=(
                flusher("P", (wants("r1", "A", claims=KEYED),)),
                flusher("Q", (wants("r2", "A", claims=KEYED),)),
                V,
            ),
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "key-again",
        "a customer whose outcome is unknown asks again with the same key, and there is one unit",
        Setting(
            database=database(products(A=1)),
            processes=(flusher("P", (wants("r", "A", claims=KEYED),), tries=2), V),
            losses=2,
        ),
    ),
    Configuration(
        "key-again-limited",
        "the same with a limit of one, enough units, and two recoverers",
        Setting(
            database=database(products(A=2)),
            processes=(flusher("P", (wants("r", "A", claims=(*KEYED, *LIMIT)),), tries=2), V, W),
            losses=1,
        ),
    ),
)

BASKETS: Final = (
    Configuration(
        "basket-and-single",
        "a basket and another's single hold want the last unit",
        Setting(
            database=database(products(A=1, B=1)),
            processes=(
                flusher("P", (wants("r1", "A", "B", claims=LIMIT),)),
                flusher("Q", (wants("r2", "B", user="w"),)),
                V_BOTH,
            ),
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "basket-life",
        "a basket is reserved, confirmed, and swept",
        Setting(
            database=database(products(A=1, B=1)),
            processes=(
                flusher("P", (wants("r", "A", "B", expires_at=1),)),
                S,
                Program("C", confirm, ("r.1",)),
                V_BOTH,
            ),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "basket-over-lapsed-basket",
        "the limit's claim is held by a basket that lapses",
        Setting(
            database=database(products(A=2, B=1), held("h", {"A": 1, "B": 1}, 1, claims=LIMIT)),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),), tries=2), S, V_BOTH),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "mixed",
        "a flush of a basket and a single hold",
        Setting(database=database(products(A=2, B=1)), processes=(MIXED, V_BOTH), losses=1),
    ),
    Configuration(
        "mixed-lost",
        "the same, any two replies lost",
        Setting(database=database(products(A=2, B=1)), processes=(MIXED, V_BOTH), losses=2),
        size="full",
    ),
    Configuration(
        "mixed-two-recoverers",
        "the same, two processes recover",
        Setting(database=database(products(A=2, B=1)), processes=(MIXED, V_BOTH, W_BOTH), losses=1),
        size="full",
    ),
    Configuration(
        "mixed-swept",
        "the same, and what was granted lapses and is swept",
        Setting(
            database=database(products(A=2, B=1)),
            processes=(
                flusher("P", (wants("r1", "A", "B", expires_at=1), wants("r2", "A", user="w", expires_at=1))),
                S,
                V_BOTH,
            ),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "mixed-by-two",
        "two such flushes, and not enough for both",
        Setting(
            database=database(products(A=2, B=1)),
            processes=(
                MIXED,
                flusher("Q", (wants("r3", "A", "B", user="x"), wants("r4", "B", user="y"))),
                V_BOTH,
            ),
            losses=1,
        ),
        size="full",
    ),
)

TWO_FLUSHES: Final = flusher("P", (wants("r1", "A"),), (wants("r2", "A", user="w"),))

RIDES: Final = (
    Configuration(
        "ride",
        "the settlement of a flush rides on the R1 of the next one; there is a unit for one of them",
        Setting(database=database(products(A=1)), processes=(TWO_FLUSHES, V), losses=2),
    ),
    Configuration(
        "ride-enough",
        "the same, with units for both",
        Setting(database=database(products(A=2)), processes=(TWO_FLUSHES, V), losses=2),
    ),
    Configuration(
        "ride-two-recoverers",
        "the same, two processes recover",
        Setting(database=database(products(A=2)), processes=(TWO_FLUSHES, V, W), losses=1),
        size="full",
    ),
    Configuration(
        "ride-by-two",
        "the same, and another process's flush",
        Setting(
            database=database(products(A=2)),
            processes=(TWO_FLUSHES, flusher("Q", (wants("r3", "A", user="x"),)), V),
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "ride-swept",
        "the same, and what was granted lapses and is swept",
        Setting(
            database=database(products(A=2)),
            processes=(
                flusher("P", (wants("r1", "A", expires_at=1),), (wants("r2", "A", user="w", expires_at=1),)),
                S,
                V,
            ),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
)

RESERVES: Final = (*SINGLES, *KEYS, *BASKETS, *RIDES)
