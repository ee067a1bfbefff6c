"""A fence is left out: the model must find what breaks. These show that the checker sees."""

from typing import Final

from model.configuration import KEYED, LIMIT, Configuration, database, flusher, held, products, wants
from model.configurations.releases import (
    BASKET,
    CANCEL,
    CONFIRM,
    EXTENDED,
    EXTENSIONS,
    HOLD,
    ONE_OF_EACH,
)
from model.configurations.reserves import LAPSING, ONE, V_BOTH, S, V
from model.configurations.returns import BOUGHT_BASKET, ERASER, TWO, TWO_HELD_LONG, returns
from model.fences import Fences
from model.processes import Program
from model.recovery import recover
from model.space import Setting

OVER_LAPSED: Final = flusher("P", (wants("r", "A", claims=LIMIT),), tries=2)

OF_RESERVES: Final = (
    Configuration(
        "without-r1-once",
        "R1 is sent again, and both copies arrive",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, V),
            losses=2,
            fences=Fences(first_steps_sent_once=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-void",
        "a hold is refused, and its insert arrives",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, V),
            losses=1,
            fences=Fences(void_before_refusal=False),
        ),
        "OVERCREDIT",
    ),
    Configuration(
        "without-r2-once",
        "R2 is sent again and refused by a claim; the claim is freed, and the first copy arrives",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),)), S, V),
            clock_max=1,
            losses=1,
            fences=Fences(inserts_sent_once=False),
        ),
        "OVERCREDIT",
    ),
    Configuration(
        "without-own-retries-only",
        "the driver sends R2 again by itself, with the same end",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(flusher("P", (wants("r", "A", claims=LIMIT),)), S),
            clock_max=1,
            losses=1,
            driver_retries=True,
        ),
        "OVERCREDIT",
    ),
    Configuration(
        "without-reading-duplicates",
        "recovery's VOID is taken for the hold",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, V),
            fences=Fences(duplicates_read=False),
        ),
        "r.1 was told GRANTED",
    ),
    Configuration(
        "without-rolling-back",
        "recovery inserts a hold whose customer was refused",
        Setting(
            database=database(products(A=2)),
            processes=(ONE, V),
            losses=1,
            fences=Fences(rolls_back=False),
        ),
        "r was told REFUSED",
    ),
    Configuration(
        "without-fresh-owners",
        "a process comes back while it recovers itself, is taken for its former self, and recovery rolls forward",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(OVER_LAPSED, S, Program("P", recover, (("A",),))),
            clock_max=1,
            fences=Fences(fresh_owners=False, rolls_back=False),
        ),
        "OVERCREDIT",
    ),
    Configuration(
        "without-release-of-holders",
        "a lapsed hold that has the claim is released by a bare update",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(OVER_LAPSED, S, V),
            clock_max=1,
            fences=Fences(lapsed_holds_by_movement=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-looking-for-the-key",
        "a key is refused while an earlier request with it is in flight",
        Setting(
            database=database(products(A=1)),
            processes=(flusher("P", (wants("r", "A", claims=KEYED),), tries=2), V),
            losses=2,
            fences=Fences(moving_key_not_refused=False),
        ),
        "r was told REFUSED",
    ),
    Configuration(
        "without-intents-first",
        "reservations are read, the earlier request is granted and settled, then intents are read",
        Setting(
            database=database(products(A=1)),
            processes=(flusher("P", (wants("r", "A", claims=KEYED),), tries=2), V),
            losses=2,
            fences=Fences(intents_read_first=False),
        ),
        "r was told REFUSED",
    ),
)

OF_RELEASES: Final = (
    Configuration(
        "without-l1-once",
        "L1 is sent again, and both copies arrive",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(S, V),
            clock_max=1,
            losses=1,
            fences=Fences(first_steps_sent_once=False),
        ),
        "OVERCREDIT",
    ),
    Configuration(
        "without-listing-by-product",
        "single holds are named on a product that they don't have, whose movement may be settled before",
        Setting(
            database=database(ONE_OF_EACH, HOLD, held("i", {"B": 1}, 1)),
            processes=(S, V_BOTH),
            clock_max=1,
            fences=Fences(listed_where_they_are=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-fresh-release",
        "recovery does L2 on a basket under another's id, on one of whose products L1 never came",
        Setting(
            database=database(ONE_OF_EACH, BASKET),
            processes=(S, V_BOTH),
            clock_max=1,
            fences=Fences(baskets_released_afresh=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-growing-extensions",
        "an extension that was decided before another one sets the hold back",
        Setting(
            database=database(products(A=1), EXTENDED),
            processes=(S, *EXTENSIONS),
            clock_max=3,
            losses=1,
            fences=Fences(extensions_grow=False),
        ),
        "h was told EXTENDED",
    ),
    Configuration(
        "without-release-before-over",
        "a customer is told that the hold is over, and a confirmation arrives",
        Setting(
            database=database(products(A=2), HOLD),
            processes=(CONFIRM,),
            clock_max=1,
            losses=1,
            fences=Fences(over_when_released=False),
        ),
        "h was told OVER",
    ),
    Configuration(
        "without-unknown-announcement",
        "a lost L1 counts as nothing begun; it arrives, and recovery cancels",
        Setting(
            database=database(products(A=1), HOLD),
            processes=(CANCEL, V),
            losses=1,
            fences=Fences(lost_announcement_unknown=False),
        ),
        "h was told NOT_CANCELLED",
    ),
    Configuration(
        "without-waiting-until-final",
        "L3 counts what a new primary shows",
        Setting(
            database=database(products(A=2), LAPSING),
            processes=(S, V),
            clock_max=1,
            election=True,
            fences=Fences(counted_when_final=False),
        ),
        "LEAK",
    ),
)

OF_RETURNS: Final = (
    Configuration(
        "without-returns-in-place",
        "two returns were planned on the same units, and both are entered",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", A=2), returns("H", "l", A=1)),
            fences=Fences(returns_in_place=False),
        ),
        "OVERRETURN",
    ),
    Configuration(
        "without-all-announced",
        "a basket's return is entered though one of its products doesn't carry it",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), V_BOTH),
            losses=1,
            fences=Fences(returned_when_announced=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-fresh-return",
        "recovery does G2 on a basket under another's id, on one of whose products G1 never came",
        Setting(
            database=database(ONE_OF_EACH, BOUGHT_BASKET),
            processes=(returns("G", "k", A=1, B=1), V_BOTH),
            fences=Fences(baskets_returned_afresh=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-telling-old-reads",
        "a new primary still shows the hold before it was bought, and its return is taken to be over",
        Setting(
            database=database(products(A=2), TWO_HELD_LONG),
            processes=(Program("D", CONFIRM.run, ("h",)), returns("G", "k", A=1)),
            losses=1,
            election=True,
            fences=Fences(old_reads_not_over=False),
        ),
        "LEAK",
    ),
    Configuration(
        "without-returns-of-the-erased",
        "the customer is erased between announcing a return and entering it, and recovery looks for the customer's",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", A=1), ERASER),
            fences=Fences(returned_whoever_has_it=False),
        ),
        "STUCK",
    ),
    Configuration(
        "without-waiting-until-over",
        "G3 counts what a new primary shows",
        Setting(
            database=database(products(A=2), TWO),
            processes=(returns("G", "k", A=1), V),
            election=True,
            fences=Fences(returns_counted_when_over=False),
        ),
        "LEAK",
    ),
)

FENCES_LEFT_OUT: Final = (*OF_RESERVES, *OF_RELEASES, *OF_RETURNS)
