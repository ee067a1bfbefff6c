"""Releasing, confirming and extending; and bounds on open releases."""

from typing import Final

from tests.modelcheck.configurations.stock import BASKET_AND_SINGLE, ONE_BASKET, ONE_HOLD, TWO_HOLDS
from tests.modelcheck.programs import expire, flush, sweep
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import CodeConfiguration, V, W

from flashreserve.core.commands import Cancel, Confirm, Extend

S: Final = CodeProcess("s", expire())
S_LATE: Final = CodeProcess("s", expire(now=1000))
CANCEL: Final = CodeProcess("c", flush(Cancel("h1", "u1")))
CANCEL_EARLY: Final = CodeProcess("c", flush(Cancel("h1", "u1"), now=0))
FEW_TRIES: Final = {"tries of a flush": 2}

SWEEPS: Final = (
    CodeConfiguration(
        "b1",
        "a basket and a single hold lapse, recovery, a reply lost",
        CodeSetting(documents=BASKET_AND_SINGLE, processes=(S, V), losses=1, ticks=(1000,), bounds=FEW_TRIES),
    ),
    CodeConfiguration(
        "b2",
        "the same, two recoverers, a reply lost",
        CodeSetting(
            documents=BASKET_AND_SINGLE,
            processes=(S_LATE, V, W),
            losses=1,
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b3",
        "the same while the basket is confirmed, recovery, a reply lost",
        CodeSetting(
            documents=BASKET_AND_SINGLE,
            processes=(S, CodeProcess("c", flush(Confirm("h1", "u1"))), V),
            losses=1,
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b4",
        "the same, recovery, two replies lost",
        CodeSetting(
            documents=BASKET_AND_SINGLE,
            processes=(S_LATE, V),
            losses=2,
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b5",
        "the same while both are cancelled, recovery",
        CodeSetting(
            documents=BASKET_AND_SINGLE,
            processes=(S, CodeProcess("c", flush(Cancel("h1", "u1"), Cancel("h2", "u2"))), V),
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b6",
        "a basket is swept and cancelled, recovery, a reply lost",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(S, CANCEL, V),
            losses=1,
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b7",
        "a basket is swept and cancelled, two recoverers",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(S_LATE, CANCEL_EARLY, V, W),
            ticks=(1000,),
            bounds=FEW_TRIES,
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b8",
        "two sweepers, one hold at a time, recovery",
        CodeSetting(
            documents=TWO_HOLDS,
            processes=(CodeProcess("s", sweep(now=1000)), CodeProcess("S", sweep(now=1000)), V),
            bounds={"holds in a sweep": 1},
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b9",
        "two sweepers, one hold at a time, a reply lost",
        CodeSetting(
            documents=TWO_HOLDS,
            processes=(CodeProcess("s", sweep(now=1000)), CodeProcess("S", sweep(now=1000))),
            losses=1,
            bounds={"holds in a sweep": 1},
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "b10",
        "a sweep in two parts side by side, recovery, a reply lost",
        CodeSetting(
            documents=TWO_HOLDS,
            processes=(CodeProcess("s", sweep(now=1000)), V),
            losses=1,
            bounds={"commands in a part": 1},
            in_order=True,
        ),
    ),
)

CONFIRM: Final = CodeProcess("c", flush(Confirm("h", "u")))
EXTEND_E: Final = CodeProcess("e", flush(Extend("h", "u")))
EXTEND_F: Final = CodeProcess("f", flush(Extend("h", "u")))
EXTENSION_TICKS: Final = (500, 1000, 1500)

HOLDERS: Final = (
    CodeConfiguration(
        "h1",
        "a hold is confirmed, swept and cancelled, recovery, a reply lost",
        CodeSetting(
            documents=ONE_HOLD,
            processes=(CONFIRM, S, CodeProcess("k", flush(Cancel("h", "u"))), V),
            losses=1,
            ticks=(1000,),
        ),
    ),
    CodeConfiguration(
        "h2",
        "a hold is confirmed twice and swept, recovery, two replies lost",
        CodeSetting(
            documents=ONE_HOLD,
            processes=(CodeProcess("c", flush(Confirm("h", "u"), then=[[Confirm("h", "u")]])), S, V),
            losses=2,
            ticks=(1000,),
        ),
    ),
    CodeConfiguration(
        "h3",
        "two extensions and a sweep, recovery, a reply lost",
        CodeSetting(documents=ONE_HOLD, processes=(EXTEND_E, EXTEND_F, S, V), losses=1, ticks=EXTENSION_TICKS),
    ),
    CodeConfiguration(
        "h4",
        "an extension, a confirmation and a sweep, two replies lost",
        CodeSetting(
            documents=ONE_HOLD,
            processes=(EXTEND_E, CONFIRM, CodeProcess("s", sweep())),
            losses=2,
            ticks=EXTENSION_TICKS,
        ),
    ),
    CodeConfiguration(
        "h5",
        "clocks apart: confirmed at 0, extended at 900, swept at 5000; recovery, a reply lost",
        CodeSetting(
            documents=ONE_HOLD,
            processes=(
                CodeProcess("c", flush(Confirm("h", "u"), now=0)),
                CodeProcess("e", flush(Extend("h", "u"), now=900)),
                CodeProcess("s", expire(now=5000)),
                V,
            ),
            losses=1,
        ),
    ),
)

BOUNDED: Final = (
    CodeConfiguration(
        "l1",
        "a product takes two open releases: a basket is swept, recovery, a reply lost",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(CodeProcess("s", sweep(now=1000)), V),
            losses=1,
            ticks=(1000,),
            bounds={"open releases": 2},
            in_order=True,
        ),
    ),
    CodeConfiguration(
        "l2",
        "a product takes two open releases: a basket is swept and cancelled, recovery",
        CodeSetting(
            documents=ONE_BASKET,
            processes=(CodeProcess("s", sweep(now=1000)), CANCEL_EARLY, V),
            ticks=(1000,),
            bounds={"open releases": 2},
            in_order=True,
        ),
    ),
)

RELEASES: Final = (*SWEEPS, *HOLDERS, *BOUNDED)
