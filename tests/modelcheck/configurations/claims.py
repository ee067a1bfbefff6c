"""Limits, quotas and idempotency keys: claims that are taken, given up and taken again."""

from typing import Final

from tests.modelcheck.configurations.stock import A1, A2, B_HELD
from tests.modelcheck.programs import ask_again, expire, flush
from tests.modelcheck.promises import StoredBooks
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import CodeConfiguration, V, hold, limit_claims, product, reserve, stored

from flashreserve.core.commands import Cancel, Confirm
from flashreserve.core.quotas import Quotas

TWO_EACH: Final = product("A", 3, 1, per_customer_limit=2)
ONE_EACH: Final = product("A", 2, per_customer_limit=1)
LAPSING: Final = stored(TWO_EACH, reservations=[hold("h", "u", "A", claims=limit_claims(0))])
LAPSING_BASKET: Final = stored(TWO_EACH, B_HELD, reservations=[hold("h", "u", "A", "B", claims=limit_claims(0))])
OTHERS: Final = {"u": 9}
"""Reservations of the customer by other requests. A refusal doesn't deny these."""

LIMITS: Final = (
    CodeConfiguration(
        "c1",
        "a limit of two: two flushes over a hold that lapses",
        CodeSetting(
            documents=LAPSING,
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A"), others=OTHERS)),
                CodeProcess("q", flush(reserve("r2", "u", "A", quantity=2), others=OTHERS)),
            ),
            ticks=(1000,),
        ),
    ),
    CodeConfiguration(
        "c2",
        "the same, recovery, a reply lost",
        CodeSetting(
            documents=LAPSING,
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A"), others=OTHERS, now=1000)),
                CodeProcess("q", flush(reserve("r2", "u", "A", quantity=2), others=OTHERS, now=1000)),
                V,
            ),
            losses=1,
            ticks=(1000,),
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "c3",
        "a limit of two: two units over a hold that lapses, a sweep, recovery, a reply lost",
        CodeSetting(
            documents=LAPSING,
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A", quantity=2), others=OTHERS)),
                CodeProcess("s", expire()),
                V,
            ),
            losses=1,
            ticks=(1000,),
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "c4",
        "a limit of two: a hold is cancelled, and two flushes want its place; a reply lost",
        CodeSetting(
            documents=LAPSING,
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u", "A", quantity=2),
                        others=OTHERS,
                        known=[product("A", 6, per_customer_limit=2)],
                        now=0,
                    ),
                ),
                CodeProcess("q", flush(Cancel("h", "u"), reserve("r2", "u", "A"), others=OTHERS, now=0)),
            ),
            losses=1,
            ticks=(1000,),
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "c5",
        "a limit of two: two units over a basket that lapses, a sweep, recovery",
        CodeSetting(
            documents=LAPSING_BASKET,
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A", quantity=2), others=OTHERS, now=1000)),
                CodeProcess("s", expire(now=1000)),
                V,
            ),
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "c6",
        "a limit of two: two units over a basket that lapses, recovery, a reply lost",
        CodeSetting(
            documents=LAPSING_BASKET,
            processes=(CodeProcess("p", flush(reserve("r1", "u", "A", quantity=2), others=OTHERS, now=1000)), V),
            losses=1,
            in_order=True,
        ),
    ),
)

KEYS: Final = (
    CodeConfiguration(
        "c7",
        "one key in two processes, a limit of one, recovery, a reply lost",
        CodeSetting(
            documents=stored(ONE_EACH),
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A", key="k"), now=0, others={"u": 1})),
                CodeProcess("q", flush(reserve("r2", "u", "A", key="k"), now=0, others={"u": 1})),
                V,
            ),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "c8",
        "one key in two flushes of a process that knows more units, a limit of one, recovery, two replies lost",
        CodeSetting(
            documents=stored(ONE_EACH),
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u", "A", key="k"),
                        now=0,
                        known=[product("A", 9, per_customer_limit=1)],
                        then=[[reserve("r2", "u", "A", key="k")]],
                        others={"u": 1},
                    ),
                ),
                V,
            ),
            losses=2,
        ),
    ),
    CodeConfiguration(
        "n1",
        "an unknown outcome, then the same key again, one unit, recovery",
        CodeSetting(
            documents=stored(A1),
            processes=(
                CodeProcess(
                    "p", ask_again(reserve("r1", "u1", "A", key="k"), reserve("r2", "u1", "A", key="k"), known=[A2])
                ),
                V,
            ),
            losses=2,
            bounds={"tries to decide": 1},
        ),
    ),
    CodeConfiguration(
        "n2",
        "the same while another takes the unit and gives it back",
        CodeSetting(
            documents=stored(A1),
            processes=(
                CodeProcess(
                    "p", ask_again(reserve("r1", "u1", "A", key="k"), reserve("r2", "u1", "A", key="k"), known=[A2])
                ),
                CodeProcess(
                    "q",
                    flush(
                        reserve("r3", "u2", "A"),
                        now=0,
                        known=[A1],
                        others={"u2": 9},
                        then=[[Cancel("r3", "u2")]],
                    ),
                ),
                V,
            ),
            losses=2,
            in_order=True,
            bounds={"tries to decide": 1},
        ),
    ),
)


def at_most_one(books: StoredBooks) -> str | None:
    """An invariant: no customer has two open holds."""
    holders = [document["user_id"] for document in books.reservations.values() if document["status"] == "PENDING"]
    return "more open holds than allowed" if len(set(holders)) < len(holders) else None


ONE_OPEN: Final = Quotas(open_holds_max=1)
HOLD_OPEN: Final = stored(product("A", 2, 1), reservations=[hold("h", "u", "A", claims=["open:0"])])

QUOTAS: Final = (
    CodeConfiguration(
        "q1",
        "one open hold a customer: two flushes, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2),
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A"), now=0, others=OTHERS)),
                CodeProcess("q", flush(reserve("r2", "u", "A"), now=0, others=OTHERS)),
                V,
            ),
            losses=1,
            quotas=ONE_OPEN,
            check=at_most_one,
        ),
    ),
    CodeConfiguration(
        "q2",
        "one open hold a customer: a flush over one that lapsed, a sweep, recovery",
        CodeSetting(
            documents=HOLD_OPEN,
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A"), now=1000, others=OTHERS)),
                CodeProcess("s", expire(now=1000)),
                V,
            ),
            quotas=ONE_OPEN,
            check=at_most_one,
        ),
    ),
    CodeConfiguration(
        "q3",
        "one open hold a customer: it is confirmed, and another wanted; a sweep, a reply lost",
        CodeSetting(
            documents=HOLD_OPEN,
            processes=(
                CodeProcess("c", flush(Confirm("h", "u"), now=0)),
                CodeProcess("p", flush(reserve("r1", "u", "A"), now=0, others=OTHERS)),
                CodeProcess("s", expire(now=1000)),
            ),
            losses=1,
            quotas=ONE_OPEN,
            check=at_most_one,
        ),
    ),
)

CLAIMS: Final = (*LIMITS, *KEYS, *QUOTAS)
