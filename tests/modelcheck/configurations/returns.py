"""Returns of purchases, and confirmations of fewer units than are held."""

from typing import Final

from tests.modelcheck.configurations.stock import B_HELD
from tests.modelcheck.programs import ask_again, erase, expire, flush
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import (
    CodeConfiguration,
    V,
    W,
    bought,
    buy,
    give_back,
    hold,
    limit_claims,
    product,
    reserve,
    stored,
)

from flashreserve.core.commands import Cancel, Confirm

TWO: Final = stored(product("A", 2, 2), reservations=[bought("h", "u", "A", quantity=2)])
BASKET: Final = stored(product("A", 1, 1), B_HELD, reservations=[bought("h", "u", "A", "B")])
BASKET_HELD: Final = stored(product("A", 1, 1), B_HELD, reservations=[hold("h", "u", "A", "B")])
TWO_HELD: Final = stored(product("A", 2, 1), reservations=[hold("h", "u", "A")])
LIMITED: Final = stored(
    product("A", 2, 1, per_customer_limit=1), reservations=[bought("h", "u", "A", claims=limit_claims(0))]
)
FEW_TRIES: Final = {"tries of a flush": 2}
G: Final = CodeProcess("g", flush(give_back("k", "A"), now=0))
ERASER: Final = CodeProcess("x", erase("u"))
G_BASKET: Final = CodeProcess("g", flush(give_back("k", "A", "B"), now=0))

RETURNS: Final = (
    CodeConfiguration(
        "y1",
        "a unit of a purchase is returned, recovery, two replies lost",
        CodeSetting(documents=TWO, processes=(G, V), losses=2, bounds=FEW_TRIES),
    ),
    CodeConfiguration(
        "y2",
        "the same, asked for again with the same key while the outcome is unknown",
        CodeSetting(
            documents=TWO,
            processes=(CodeProcess("g", ask_again(give_back("k", "A"), give_back("k", "A"))), V),
            losses=2,
            bounds=FEW_TRIES,
        ),
    ),
    CodeConfiguration(
        "y3",
        "two processes return more than there is, under two keys, recovery, a reply lost",
        CodeSetting(
            documents=TWO,
            processes=(G, CodeProcess("h", flush(give_back("l", "A", quantity=2), now=0)), V),
            losses=1,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y4",
        "two processes are asked at once with one key, recovery, a reply lost",
        CodeSetting(
            documents=TWO,
            processes=(G, CodeProcess("h", flush(give_back("k", "A"), now=0)), V),
            losses=1,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y5",
        "a basket is returned, two recoverers, a reply lost",
        CodeSetting(documents=BASKET, processes=(G_BASKET, V, W), losses=1, bounds=FEW_TRIES, in_order=True),
    ),
    CodeConfiguration(
        "y6",
        "a basket is returned under one key, a product of it under another, recovery, a reply lost",
        CodeSetting(
            documents=BASKET,
            processes=(G_BASKET, CodeProcess("h", flush(give_back("l", "B"), now=0)), V),
            losses=1,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y7",
        "a return frees the limit's claim, which a reserve wants, recovery, a reply lost",
        CodeSetting(
            documents=LIMITED,
            processes=(G, CodeProcess("p", flush(reserve("r1", "u", "A"), others={"u": 9}, now=0)), V),
            losses=1,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y8",
        "one product of a basket is bought while a sweep releases it, recovery, a reply lost",
        CodeSetting(
            documents=BASKET_HELD,
            processes=(CodeProcess("c", flush(buy("A"))), CodeProcess("s", expire()), V),
            losses=1,
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y9",
        "one process buys a product of a basket, one buys all of it, and one cancels it, recovery",
        CodeSetting(
            documents=BASKET_HELD,
            processes=(
                CodeProcess("c", flush(buy("A"), now=0)),
                CodeProcess("d", flush(Confirm("h", "u"), now=0)),
                CodeProcess("k", flush(Cancel("h", "u"), now=0)),
                V,
            ),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y10",
        "a return under a key that is asked for twice, and an election comes between",
        CodeSetting(
            documents=TWO,
            processes=(CodeProcess("g", ask_again(give_back("k", "A"), give_back("k", "A"))), V),
            losses=1,
            election=True,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y11",
        "a hold is confirmed, a unit of it is returned, and an election comes between",
        CodeSetting(
            documents=TWO_HELD,
            processes=(CodeProcess("d", flush(Confirm("h", "u"), now=0)), G, V),
            losses=1,
            election=True,
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "y12",
        "a unit is returned while the customer is erased, recovery, two replies lost",
        CodeSetting(documents=TWO, processes=(G, ERASER, V), losses=2, bounds=FEW_TRIES, in_order=True),
    ),
    CodeConfiguration(
        "y13",
        "the same, and an election comes between",
        CodeSetting(documents=TWO, processes=(G, ERASER, V), losses=1, election=True, bounds=FEW_TRIES, in_order=True),
    ),
    CodeConfiguration(
        "y14",
        "a return frees the limit's claim of a customer who is erased, recovery, a reply lost",
        CodeSetting(documents=LIMITED, processes=(G, ERASER, V), losses=1, bounds=FEW_TRIES, in_order=True),
    ),
    CodeConfiguration(
        "y15",
        "a basket is returned while the customer is erased, recovery, a reply lost",
        CodeSetting(documents=BASKET, processes=(G_BASKET, ERASER, V), losses=1, bounds=FEW_TRIES, in_order=True),
    ),
)
