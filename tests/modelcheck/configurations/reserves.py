"""Reserving: single holds, baskets and single holds under one f, an R1 with a settlement, ids used twice."""

from typing import Final

from tests.modelcheck.calls import FAR
from tests.modelcheck.configurations.stock import A1, A2, A3, B1, B2
from tests.modelcheck.programs import expire, flush
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import CodeConfiguration, V, W, hold, product, reserve, stored

ONE: Final = CodeProcess("p", flush(reserve("r1", "u1", "A"), known=[A2]))
TWO: Final = CodeProcess("p", flush(reserve("r1", "u1", "A"), reserve("r2", "u2", "A"), known=[A2]))

SINGLES: Final = (
    CodeConfiguration(
        "t1",
        "one hold, recovery, a reply lost",
        CodeSetting(documents=stored(A2), processes=(ONE, V), losses=1),
    ),
    CodeConfiguration(
        "t2",
        "two holds of a flush, two recoverers, a reply lost",
        CodeSetting(documents=stored(A2), processes=(TWO, V, W), losses=1),
    ),
    CodeConfiguration(
        "t3",
        "one hold, recovery, three losses, calls may fail",
        CodeSetting(documents=stored(A2), processes=(ONE, V), losses=3, unavailable=True),
    ),
    CodeConfiguration(
        "t4",
        "two holds of a flush, another's flush, one unit, recovery, a reply lost",
        CodeSetting(
            documents=stored(A1),
            processes=(TWO, CodeProcess("q", flush(reserve("r3", "u3", "A"), known=[A1])), V),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "l3",
        "a product takes one open reserve: two flushes, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2),
            processes=(
                CodeProcess("p", flush(reserve("r1", "u1", "A"), known=[A2], now=0)),
                CodeProcess("q", flush(reserve("r2", "u2", "A"), known=[A2], now=0)),
                V,
            ),
            losses=1,
            bounds={"open reserves": 1, "tries of a flush": 3},
        ),
    ),
)

MIXED: Final = CodeProcess("p", flush(reserve("r1", "u1", "A", "B"), reserve("r2", "u2", "A"), known=[A2, B1]))
"""A basket and a single hold in one flush."""

BASKETS: Final = (
    CodeConfiguration(
        "a1",
        "a basket and a single hold, another's single hold, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2, B1),
            processes=(MIXED, CodeProcess("q", flush(reserve("r3", "u3", "B"), known=[B1])), V),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "a2",
        "a basket and a single hold, two recoverers",
        CodeSetting(documents=stored(A2, B1), processes=(MIXED, V, W)),
    ),
    CodeConfiguration(
        "a3",
        "a basket and a single hold, recovery, a loss, calls may fail",
        CodeSetting(documents=stored(A2, B1), processes=(MIXED, V), losses=1, unavailable=True),
    ),
    CodeConfiguration(
        "a4",
        "a basket falls out since B is gone, a single hold stays; two recoverers, a reply lost",
        CodeSetting(
            documents=stored(A2, product("B", 1, 1), reservations=[hold("h", "u9", "B", expires_at=FAR)]),
            processes=(MIXED, V, W),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "a5",
        "two flushes of a basket and a single hold, one unit each, recovery, a reply lost",
        CodeSetting(
            documents=stored(A1, B1),
            processes=(
                MIXED,
                CodeProcess("q", flush(reserve("r3", "u3", "A", "B"), reserve("r4", "u4", "B"), known=[A1, B2])),
                V,
            ),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "a6",
        "a basket and a single hold of each product, recovery, two replies lost",
        CodeSetting(
            documents=stored(A2, B2),
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u1", "A", "B"),
                        reserve("r2", "u2", "A"),
                        reserve("r3", "u3", "B"),
                        known=[A2, B2],
                    ),
                ),
                V,
            ),
            losses=2,
            in_order=True,
        ),
    ),
)

TWO_FLUSHES: Final = CodeProcess(
    "p", flush(reserve("r1", "u1", "A"), known=[A2], now=0, then=[[reserve("r2", "u2", "A")]])
)

RIDES: Final = (
    CodeConfiguration(
        "e1",
        "a settlement rides on the next flush; recovery, two replies lost",
        CodeSetting(documents=stored(A2), processes=(TWO_FLUSHES, V), losses=2),
    ),
    CodeConfiguration(
        "e2",
        "the same, two recoverers, a reply lost",
        CodeSetting(documents=stored(A2), processes=(TWO_FLUSHES, V, W), losses=1),
    ),
    CodeConfiguration(
        "e3",
        "the same, one unit, another's flush, recovery, a reply lost",
        CodeSetting(
            documents=stored(A1),
            processes=(TWO_FLUSHES, CodeProcess("q", flush(reserve("r3", "u3", "A"), known=[A1], now=0)), V),
            losses=1,
        ),
    ),
    CodeConfiguration(
        "e4",
        "the same with three flushes, recovery, a loss, calls may fail",
        CodeSetting(
            documents=stored(A3),
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u1", "A"),
                        known=[A3],
                        now=0,
                        then=[[reserve("r2", "u2", "A")], [reserve("r3", "u3", "A")]],
                    ),
                ),
                V,
            ),
            losses=1,
            unavailable=True,
        ),
    ),
    CodeConfiguration(
        "e5",
        "two flushes, the first one's hold is swept, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2),
            processes=(TWO_FLUSHES, CodeProcess("s", expire(now=1000)), V),
            losses=1,
        ),
    ),
)

SAME_ID: Final = (
    CodeProcess("p", flush(reserve("r1", "u1", "A"), known=[A2], now=0, others={"u1": 9})),
    CodeProcess("q", flush(reserve("r1", "u1", "A"), known=[A2], now=0, others={"u1": 9})),
)

IDS: Final = (
    CodeConfiguration(
        "j1",
        "one id in two processes, recovery, a reply lost",
        CodeSetting(documents=stored(A2), processes=(*SAME_ID, V), losses=1),
    ),
    CodeConfiguration(
        "j2",
        "one id in two processes, two recoverers",
        CodeSetting(documents=stored(A2), processes=(*SAME_ID, V, W)),
    ),
)

RESERVES: Final = (*SINGLES, *BASKETS, *RIDES, *IDS)
