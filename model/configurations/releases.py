"""Releasing, confirming and extending, under every fence: no promise may be broken."""

from typing import Final

from model.configuration import Configuration, database, held, products
from model.configurations.reserves import LAPSING, ONE, V_BOTH, W_BOTH, S, V
from model.holders import confirm, extend
from model.processes import Program
from model.release_movement import cancel
from model.space import Setting

HOLD: Final = held("h", {"A": 1}, 1)
BASKET: Final = held("h", {"A": 1, "B": 1}, 1)
ONE_OF_EACH: Final = products(A=1, B=1)

CANCEL: Final = Program("K", cancel, ("h",))
CONFIRM: Final = Program("C", confirm, ("h", 2))
EXTENDED: Final = held("h", {"A": 1}, 2)
EXTENSIONS: Final = (Program("E", extend, ("h", 3)), Program("F", extend, ("h", 3)))

RELEASES: Final = (
    Configuration(
        "sweep",
        "a hold that lapses, any two replies lost",
        Setting(database=database(products(A=2), LAPSING), processes=(S, V), clock_max=1, losses=2),
    ),
    Configuration(
        "sweep-two-products",
        "holds of two products under one movement",
        Setting(
            database=database(ONE_OF_EACH, HOLD, held("i", {"B": 1}, 1)),
            processes=(S, V_BOTH),
            clock_max=1,
            losses=1,
        ),
    ),
    Configuration(
        "sweep-and-cancel",
        "a sweep of two holds, one of which is cancelled at once",
        Setting(
            database=database(products(A=2), LAPSING, held("i", {"A": 1}, 1)),
            processes=(S, CANCEL, V),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "cancel",
        "a hold is cancelled, any two replies lost",
        Setting(database=database(products(A=1), HOLD), processes=(CANCEL, V), losses=2),
    ),
    Configuration(
        "cancel-basket",
        "the same with a basket",
        Setting(database=database(ONE_OF_EACH, BASKET), processes=(CANCEL, V_BOTH), losses=2),
        size="full",
    ),
    Configuration(
        "sweep-cancel-confirm",
        "a hold is swept, cancelled and confirmed at once",
        Setting(
            database=database(products(A=2), HOLD),
            processes=(S, CANCEL, CONFIRM, V),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "confirm",
        "a hold is confirmed and swept, any two replies lost",
        Setting(database=database(products(A=2), HOLD), processes=(S, CONFIRM), clock_max=1, losses=2),
    ),
    Configuration(
        "extend",
        "two extensions and a sweep",
        Setting(database=database(products(A=1), EXTENDED), processes=(S, *EXTENSIONS), clock_max=3, losses=1),
    ),
    Configuration(
        "extend-recovered",
        "two extensions, and a sweep that is recovered",
        Setting(database=database(products(A=1), EXTENDED), processes=(S, *EXTENSIONS, V), clock_max=3, losses=1),
        size="full",
    ),
    Configuration(
        "sweep-basket",
        "a basket that lapses",
        Setting(database=database(ONE_OF_EACH, BASKET), processes=(S, V_BOTH), clock_max=1, losses=1),
    ),
    Configuration(
        "sweep-basket-two-recoverers",
        "the same, two processes recover",
        Setting(database=database(ONE_OF_EACH, BASKET), processes=(S, V_BOTH, W_BOTH), clock_max=1, losses=1),
        size="full",
    ),
    Configuration(
        "sweep-and-cancel-basket",
        "a basket is swept and cancelled at once",
        Setting(database=database(ONE_OF_EACH, BASKET), processes=(S, CANCEL, V_BOTH), clock_max=1, losses=1),
        size="full",
    ),
    Configuration(
        "sweep-mixed",
        "a basket and a single hold under one movement",
        Setting(
            database=database(products(A=2, B=1), BASKET, held("i", {"A": 1}, 1)),
            processes=(S, V_BOTH),
            clock_max=1,
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "election-reserve",
        "a hold, and an election",
        Setting(database=database(products(A=2)), processes=(ONE, V), losses=1, election=True),
    ),
    Configuration(
        "election-cancel",
        "a hold is reserved and cancelled, and an election comes between",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, Program("K", cancel, ("r.1",)), V),
            losses=1,
            election=True,
        ),
        size="full",
    ),
    Configuration(
        "election-sweep-basket",
        "a basket lapses, and an election comes between the sweep's steps",
        Setting(database=database(ONE_OF_EACH, BASKET), processes=(S, V_BOTH), clock_max=1, losses=1, election=True),
        size="full",
    ),
)
