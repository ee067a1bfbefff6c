"""Writes on products: edits of rules, restocks, imports; and the audit."""

from typing import Final

from tests.modelcheck.calls import CallRules
from tests.modelcheck.configurations.stock import A1, A2
from tests.modelcheck.programs import ask_again, audit, expire, flush, import_all
from tests.modelcheck.setting import CodeProcess, CodeSetting
from tests.modelcheck.shop import CodeConfiguration, V, W, hold, product, reserve, stored

from flashreserve.core.commands import Cancel, Edit, Restock

SHOWN: Final = CallRules(shows_available=True)
LIMIT_ONE: Final = CodeProcess("e", flush(Edit("A", per_customer_limit=1), now=0))
RESERVE_TWO: Final = CodeProcess("p", flush(reserve("r1", "u", "A", quantity=2), now=0))
RESERVE_KNOWN: Final = CodeProcess("p", flush(reserve("r1", "u", "A"), now=0, known=[A1]))

EDITS: Final = (
    CodeConfiguration(
        "d1",
        "a limit is set while a reserve is under way, recovery, a reply lost",
        CodeSetting(
            documents=stored(A2), processes=(RESERVE_TWO, LIMIT_ONE, V), losses=1, moves_count=True, rules=SHOWN
        ),
    ),
    CodeConfiguration(
        "d2",
        "a limit is set, two reserves, a reply lost",
        CodeSetting(
            documents=stored(A2),
            processes=(
                CodeProcess("p", flush(reserve("r1", "u", "A"), now=0, known=[A2], others={"u": 1})),
                CodeProcess("q", flush(reserve("r2", "u", "A"), now=0, known=[A2], others={"u": 1})),
                LIMIT_ONE,
            ),
            losses=1,
            moves_count=True,
            rules=SHOWN,
        ),
    ),
    CodeConfiguration(
        "d3",
        "a limit is raised while reserving, recovery, a reply lost",
        CodeSetting(
            documents=stored(product("A", 3, per_customer_limit=1)),
            processes=(RESERVE_TWO, CodeProcess("e", flush(Edit("A", per_customer_limit=2), now=0)), V),
            losses=1,
            moves_count=True,
            rules=SHOWN,
        ),
    ),
    CodeConfiguration(
        "d4",
        "a restock and a limit in one flush, a reserve, a reply lost",
        CodeSetting(
            documents=stored(A1),
            processes=(
                RESERVE_KNOWN,
                CodeProcess("e", flush(Restock("A", "k", 1, "adm"), Edit("A", per_customer_limit=1), now=0)),
            ),
            losses=1,
            moves_count=True,
            rules=SHOWN,
        ),
    ),
    CodeConfiguration(
        "d5",
        "two set a limit differently, a reserve, two replies lost",
        CodeSetting(
            documents=stored(A1),
            processes=(
                RESERVE_KNOWN,
                LIMIT_ONE,
                CodeProcess("f", flush(Edit("A", per_customer_limit=2), now=0)),
            ),
            losses=2,
            moves_count=True,
            rules=SHOWN,
        ),
    ),
)

TAKE_OUT: Final = Restock("A", "k", -1, "adm")
PUT_IN: Final = Restock("A", "k", 1, "adm")
RESERVE_AND_CANCEL: Final = CodeProcess(
    "p", flush(reserve("r1", "u", "A"), now=0, known=[A1], then=[[Cancel("r1", "u")]])
)

RESTOCKS: Final = (
    CodeConfiguration(
        "g1",
        "a unit is taken out while it is reserved and cancelled, two losses, calls may fail",
        CodeSetting(
            documents=stored(A1),
            processes=(CodeProcess("a", flush(TAKE_OUT, now=0)), RESERVE_AND_CANCEL),
            losses=2,
            unavailable=True,
        ),
    ),
    CodeConfiguration(
        "g2",
        "two put a unit in under one key, two units are wanted, two losses, calls may fail",
        CodeSetting(
            documents=stored(A1),
            processes=(
                CodeProcess("a", flush(PUT_IN, now=0)),
                CodeProcess("b", flush(PUT_IN, now=0)),
                RESERVE_TWO,
            ),
            losses=2,
            unavailable=True,
            judge_restock=False,
        ),
    ),
    CodeConfiguration(
        "n3",
        "a unit is taken out, the outcome is unknown, the same again; a reserve and its cancellation",
        CodeSetting(
            documents=stored(A1),
            processes=(CodeProcess("a", ask_again(TAKE_OUT, TAKE_OUT)), RESERVE_AND_CANCEL),
            losses=2,
            unavailable=True,
        ),
    ),
    CodeConfiguration(
        "n4",
        "two take a unit out under one key; a reserve and its cancellation, a reply lost",
        CodeSetting(
            documents=stored(A1),
            processes=(
                CodeProcess("a", flush(TAKE_OUT, now=0)),
                CodeProcess("b", flush(TAKE_OUT, now=0)),
                RESERVE_AND_CANCEL,
            ),
            losses=1,
            judge_restock=False,
        ),
    ),
)

IMPORT: Final = CodeProcess("i", import_all(product("X", 1), product("Y", 1)))
IMPORTED: Final = CallRules(scanned={"products": ["X", "Y"]})

IMPORTS: Final = (
    CodeConfiguration(
        "i1",
        "two products are imported, recovery, two losses, calls may fail",
        CodeSetting(
            documents={"products": []},
            processes=(IMPORT, V),
            losses=2,
            unavailable=True,
            imports=True,
            rules=IMPORTED,
        ),
    ),
    CodeConfiguration(
        "i2",
        "two products are imported, two recoverers, a reply lost",
        CodeSetting(documents={"products": []}, processes=(IMPORT, V, W), losses=1, imports=True, rules=IMPORTED),
    ),
)

AUDITED: Final = CallRules(
    scanned={"reservations": ["h", "r1", "r2", "p1", "p2", "p3", "p4", "p5", "p6"]}, torn_reads=True
)
HELD_AND_FREE: Final = stored(product("A", 2, 1), reservations=[hold("h", "u", "A")])
RESERVE_ONE: Final = CodeProcess("p", flush(reserve("r1", "u1", "A"), known=[A2], now=0))
AUDIT: Final = CodeProcess("o", audit)

AUDITS: Final = (
    CodeConfiguration(
        "m1",
        "an audit reads one document after the other, while units are reserved and swept",
        CodeSetting(
            documents=HELD_AND_FREE,
            processes=(RESERVE_ONE, CodeProcess("s", expire(now=1000)), AUDIT),
            in_order=True,
            moves_count=True,
            rules=AUDITED,
        ),
    ),
    CodeConfiguration(
        "m2",
        "an audit reads one document after the other, while units are reserved, recovery",
        CodeSetting(
            documents=HELD_AND_FREE,
            processes=(RESERVE_ONE, V, AUDIT),
            in_order=True,
            moves_count=True,
            rules=AUDITED,
        ),
    ),
)

PRODUCTS: Final = (*EDITS, *RESTOCKS, *IMPORTS, *AUDITS)
