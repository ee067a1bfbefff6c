"""Counts of refused reservations, by problem code and product. Each process counts its own since it started."""

from typing import Final, assert_never

from flashreserve.core.outcomes import (
    AlreadyCancelled,
    AlreadyConfirmed,
    Confirmed,
    Edited,
    Expired,
    Extended,
    ExtensionsUsedUp,
    ExternalIdTaken,
    Failed,
    HourlyHoldsReached,
    Invalid,
    KeyReused,
    Labelled,
    LapsesReached,
    LimitReached,
    NotConfirmed,
    NotDue,
    NotFound,
    NotOnSale,
    OpenHoldsReached,
    Outcome,
    OutcomeUnknown,
    Released,
    Replayed,
    Reserved,
    Restocked,
    Returned,
    ReturnsUsedUp,
    RulesFixed,
    SalePaused,
    SoldOut,
    StockTaken,
    TooMany,
    Unavailable,
)
from flashreserve.http.problems import Code
from flashreserve.service.activity import REFUSED

COUNTED_MAX: Final = 200
"""Pairs of code and product that are told apart; refusals of further products are counted without the product."""


class RefusalCounts:
    """The counts of one process."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Code, str], int] = {}

    def note(self, outcome: Outcome) -> None:
        """Count the outcome of a request to reserve if a rule refused it."""
        pair = _code_and_product(outcome)
        if pair is not None:
            if pair not in self._counts and len(self._counts) >= COUNTED_MAX:
                pair = (pair[0], "")
            self._counts[pair] = self._counts.get(pair, 0) + 1

    def named(self) -> dict[str, float]:
        """The counts by the names that a process's report has."""
        return {f"{REFUSED}:{code}:{product_id}": count for (code, product_id), count in self._counts.items()}


def _code_and_product(outcome: Outcome) -> tuple[Code, str] | None:
    """The problem code and the product of a refusal by a rule of reserving; None for any other outcome."""
    match outcome:
        case SoldOut(product_id):
            return "sold-out", product_id
        case LimitReached(product_id):
            return "limit-reached", product_id
        case NotOnSale(product_id):
            return "not-on-sale", product_id
        case SalePaused(product_id):
            return "sale-paused", product_id
        case KeyReused():
            return "key-reused", ""
        case OpenHoldsReached():
            return "open-holds-reached", ""
        case HourlyHoldsReached():
            return "hourly-holds-reached", ""
        case LapsesReached():
            return "lapses-reached", ""
        case (
            Reserved()
            | Replayed()
            | NotFound()
            | Invalid()
            | Unavailable()
            | OutcomeUnknown()
            | Failed()
            | Confirmed()
            | Extended()
            | Released()
            | Returned()
            | Labelled()
            | Restocked()
            | Edited()
            | Expired()
            | AlreadyConfirmed()
            | AlreadyCancelled()
            | ExtensionsUsedUp()
            | NotConfirmed()
            | TooMany()
            | ReturnsUsedUp()
            | NotDue()
            | StockTaken()
            | RulesFixed()
            | ExternalIdTaken()
        ):
            return None
        case _:
            assert_never(outcome)
