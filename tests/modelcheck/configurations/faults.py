"""Faults of the driver and of the database: retries by the driver, elections, outages."""

from typing import Final

from tests.modelcheck.configurations.products import LIMIT_ONE, RESERVE_AND_CANCEL, RESERVE_TWO, SHOWN, TAKE_OUT
from tests.modelcheck.configurations.releases import CANCEL_EARLY, EXTEND_E, EXTEND_F, EXTENSION_TICKS, S_LATE
from tests.modelcheck.configurations.stock import A1, A2, LAPSING_LIMITED, ONE_BASKET, ONE_HOLD
from tests.modelcheck.programs import flush, sweep
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import CodeConfiguration, V, product, reserve, stored

from flashreserve.core.commands import Cancel

RETRIES: Final = (
    CodeConfiguration(
        "k1",
        "the driver repeats R2; it is refused by a claim, which is freed before the first copy arrives",
        CodeSetting(
            documents=LAPSING_LIMITED,
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u", "A"),
                        known=[product("A", 9, per_customer_limit=1)],
                        now=0,
                        others={"u": 9},
                    ),
                ),
                CodeProcess("s", sweep(now=1000)),
            ),
            losses=1,
            driver_retries=True,
        ),
    ),
    CodeConfiguration(
        "k2",
        "the driver repeats R1 and R4, recovery, two losses",
        CodeSetting(
            documents=stored(A2),
            processes=(CodeProcess("p", flush(reserve("r1", "u1", "A"), known=[A2], now=0)), V),
            losses=2,
            driver_retries=True,
        ),
    ),
    CodeConfiguration(
        "k3",
        "the driver repeats a restock",
        CodeSetting(
            documents=stored(A1),
            processes=(CodeProcess("a", flush(TAKE_OUT, now=0)), RESERVE_AND_CANCEL),
            losses=1,
            driver_retries=True,
        ),
    ),
    CodeConfiguration(
        "k4",
        "the driver repeats an edit",
        CodeSetting(
            documents=stored(A2),
            processes=(RESERVE_TWO, LIMIT_ONE),
            losses=1,
            driver_retries=True,
            moves_count=True,
            rules=SHOWN,
        ),
    ),
    CodeConfiguration(
        "k5",
        "the driver repeats a basket's release, recovery",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(S_LATE, V),
            losses=1,
            ticks=(1000,),
            driver_retries=True,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "k6",
        "the driver repeats one of two extensions, a sweep",
        CodeSetting(
            documents=ONE_HOLD,
            processes=(EXTEND_E, EXTEND_F, CodeProcess("s", sweep())),
            losses=1,
            ticks=EXTENSION_TICKS,
            driver_retries=True,
        ),
    ),
)

ELECTIONS: Final = (
    CodeConfiguration(
        "s1",
        "a hold is reserved and cancelled, an election comes between, recovery",
        CodeSetting(
            documents=stored(A2),
            processes=(
                CodeProcess(
                    "p",
                    flush(
                        reserve("r1", "u", "A"),
                        known=[A2],
                        now=0,
                        then=[[Cancel("r1", "u")]],
                        others={"u": 9},
                    ),
                ),
                V,
            ),
            election=True,
        ),
    ),
    CodeConfiguration(
        "s2",
        "a hold is reserved, an election, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2),
            processes=(CodeProcess("p", flush(reserve("r1", "u", "A"), known=[A2], now=0)), V),
            losses=1,
            election=True,
        ),
    ),
    CodeConfiguration(
        "s3",
        "a basket is swept, an election, recovery",
        CodeSetting(documents=ONE_BASKET, processes=(S_LATE, V), ticks=(1000,), in_order=True, election=True),
    ),
)

OUTAGES: Final = (
    CodeConfiguration(
        "u1",
        "a basket is cancelled while the database goes away, recovery, two losses",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(CANCEL_EARLY, V),
            losses=2,
            ticks=(1000,),
            unavailable=True,
            in_order=True,
            judge_cancel=True,
        ),
    ),
)

FAULTS: Final = (*RETRIES, *ELECTIONS, *OUTAGES)
