"""Returns and confirmations of fewer units, under every fence: no promise may be broken."""

from typing import Final

from msgspec.structs import replace

from model.configuration import LIMIT, Configuration, database, flusher, held, products, wants
from model.configurations.releases import BASKET, CANCEL, CONFIRM, ONE_OF_EACH
from model.configurations.reserves import V_BOTH, W_BOTH, S, V, W
from model.documents import ReservationDoc
from model.erasure import erase
from model.processes import Program
from model.return_movement import confirm_some, return_purchase
from model.space import Setting


def bought(name: str, lines: dict[str, int], *, claims: tuple[str, ...] = ()) -> ReservationDoc:
    """A purchase that was made long ago."""
    return replace(held(name, lines, 9, claims=claims), status="CONFIRMED")


def returns(name: str, key: str, *, tries: int = 1, **units: int) -> Program:
    """A process that returns these units of the purchase `h` under the key."""
    return Program(name, return_purchase, ("h", tuple(sorted(units.items())), key, tries))


def buys(name: str, *, tries: int = 1, **units: int) -> Program:
    """A process that confirms these units of the hold `h`."""
    return Program(name, confirm_some, ("h", tuple(sorted(units.items())), tries))


TWO: Final = bought("h", {"A": 2})
BOUGHT_BASKET: Final = bought("h", {"A": 1, "B": 1})
TWO_HELD: Final = held("h", {"A": 2}, 1)
TWO_HELD_LONG: Final = replace(TWO_HELD, expires_at=9)
TWO_LIMITED: Final = ("limit:A:0", "limit:A:1")

OF_PURCHASES: Final = (
    Configuration(
        "return",
        "a unit of a purchase is returned, any two replies lost",
        Setting(database=database(products(A=2), TWO), processes=(returns("G", "k", A=1), V), losses=2),
    ),
    Configuration(
        "return-again",
        "the same, asked for again with the same key while the outcome is unknown",
        Setting(database=database(products(A=2), TWO), processes=(returns("G", "k", tries=2, A=1), V), losses=2),
    ),
    Configuration(
        "return-one-key-by-two",
        "two processes are asked at once with one key",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", tries=2, A=1), returns("H", "k", A=1), V),
            losses=1,
        ),
    ),
    Configuration(
        "return-by-two",
        "two processes return more than there is, under two keys",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", tries=2, A=2), returns("H", "l", A=1), V),
            losses=1,
        ),
    ),
    Configuration(
        "return-two-recoverers",
        "a return that two processes recover at once",
        Setting(database=database(products(A=2), TWO), processes=(returns("G", "k", A=1), V, W), losses=1),
    ),
    Configuration(
        "return-basket",
        "a basket's units of two products are returned",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), V_BOTH),
            losses=1,
        ),
    ),
    Configuration(
        "return-basket-lost",
        "the same, any two replies lost",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), V_BOTH),
            losses=2,
        ),
        size="full",
    ),
    Configuration(
        "return-basket-two-recoverers",
        "the same, two processes recover",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), V_BOTH, W_BOTH),
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "return-basket-by-two",
        "a basket is returned whole under one key, and a product of it under another",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), returns("H", "l", B=1), V_BOTH),
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "return-and-reserve-limited",
        "a unit is returned while its customer reserves the one that the limit then allows",
        Setting(
            database=database(products(A=2), bought("h", {"A": 1}, claims=LIMIT)),
            processes=(returns("G", "k", A=1), flusher("P", (wants("r", "A", claims=LIMIT),)), V),
            losses=1,
        ),
    ),
    Configuration(
        "election-return",
        "a return under a key that is asked for twice, and an election comes between",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", tries=2, A=1), V),
            losses=1,
            election=True,
        ),
    ),
)

OF_HOLDS: Final = (
    Configuration(
        "confirm-some",
        "one of two held units is bought, any two replies lost",
        Setting(database=database(products(A=2), TWO_HELD), processes=(buys("C", tries=2, A=1), V), losses=2),
    ),
    Configuration(
        "confirm-some-swept",
        "the same while a sweep releases the hold",
        Setting(
            database=database(products(A=2), TWO_HELD),
            processes=(buys("C", tries=2, A=1), S, V),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "confirm-some-cancelled",
        "the same while its customer cancels it",
        Setting(database=database(products(A=2), TWO_HELD), processes=(buys("C", A=1), CANCEL, V), losses=1),
        size="full",
    ),
    Configuration(
        "confirm-some-and-all",
        "one process confirms one unit, another both",
        Setting(
            database=database(products(A=2), TWO_HELD_LONG),
            processes=(buys("C", A=1), Program("D", CONFIRM.run, ("h",)), V),
            losses=1,
        ),
    ),
    Configuration(
        "confirm-some-of-basket",
        "a basket is swept while one of its two products is bought",
        Setting(
            database=database(ONE_OF_EACH, BASKET),
            processes=(buys("C", A=1), S, V_BOTH),
            clock_max=1,
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "confirm-some-limited",
        "the claim that a smaller purchase frees is wanted by the customer's next hold",
        Setting(
            database=database(products(A=3), held("h", {"A": 2}, 9, claims=TWO_LIMITED)),
            processes=(buys("C", A=1), flusher("P", (wants("r", "A", claims=("limit:A:1",)),)), V),
            losses=1,
        ),
    ),
)

OF_JUST_CONFIRMED: Final = (
    Configuration(
        "election-return-confirmed",
        "a hold is confirmed, a unit of it is returned, and an election comes between",
        Setting(
            database=database(products(A=2), TWO_HELD_LONG),
            processes=(Program("D", CONFIRM.run, ("h",)), returns("G", "k", A=1), V),
            losses=1,
            election=True,
        ),
    ),
    Configuration(
        "election-return-twice",
        "a unit is returned, then another one under another key, and an election comes between",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", A=1), returns("H", "l", A=1), V),
            losses=1,
            election=True,
        ),
        size="full",
    ),
)

ERASER: Final = Program("X", erase, ("h", 2))

OF_ERASED: Final = (
    Configuration(
        "return-erased",
        "a unit is returned while the customer is erased, any two replies lost",
        Setting(
            database=database(products(A=2), TWO), processes=(returns("G", "k", tries=2, A=1), ERASER, V), losses=2
        ),
    ),
    Configuration(
        "return-basket-erased",
        "a basket's units of two products are returned while the customer is erased",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), ERASER, V_BOTH),
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "return-limited-erased",
        "the customer is erased while a unit goes back, and its limit's claim is wanted",
        Setting(
            database=database(products(A=2), bought("h", {"A": 1}, claims=LIMIT)),
            processes=(returns("G", "k", A=1), ERASER, flusher("P", (wants("r", "A", claims=LIMIT),)), V),
            losses=1,
        ),
        size="full",
    ),
    Configuration(
        "election-return-erased",
        "a unit is returned while the customer is erased, and an election comes between",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", A=1), ERASER, V),
            losses=1,
            election=True,
        ),
    ),
)

RETURNS: Final = (*OF_PURCHASES, *OF_HOLDS, *OF_JUST_CONFIRMED, *OF_ERASED)
