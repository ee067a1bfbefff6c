"""Audits as JSON: the findings that the command prints, and the verdicts that the API lists."""

import msgspec

from flashreserve.core.audits import Audit, Difference
from flashreserve.core.instants import format_instant
from flashreserve.core.monitoring import AuditVerdict
from flashreserve.http.fields import Id, InstantText


class DifferenceView(msgspec.Struct, frozen=True, rename="camel"):
    """A product whose books don't balance; `available` should be `expected`."""

    product_id: str
    stocked: int
    available: int
    live: int
    moving: int
    expected: int


class SetAsideView(msgspec.Struct, frozen=True, rename="camel"):
    """Something that can't be read, and why."""

    kind: str
    id: str
    why: str


class AuditView(msgspec.Struct, frozen=True, rename="camel"):
    """The JSON of `audit --json`. `clean` is true only if everything was read and all books balance.

    `unreadable` counts the reservations and products that can't be read, or whose product isn't there; `set_aside`
    names the first of them.
    """

    clean: bool
    complete: bool
    products: int
    reservations: int
    differences: list[DifferenceView]
    unreadable: int
    set_aside: list[SetAsideView]


class VerdictView(AuditView, frozen=True, rename="camel"):
    """The verdict of an audit that was run at `at`, and took `tookMs`. It lists the first differences only."""

    id: Id
    at: InstantText
    took_ms: int
    by: str


class VerdictsView(msgspec.Struct, frozen=True):
    """The last verdicts, newest first."""

    items: list[VerdictView]


def audit_view(found: Audit) -> AuditView:
    """The findings of an audit."""
    return AuditView(
        clean=found.complete and not found.differences and not found.unreadable,
        complete=found.complete and not found.unreadable,
        products=found.products,
        reservations=found.reservations,
        differences=[_difference_view(each) for each in found.differences],
        unreadable=found.unreadable,
        set_aside=[SetAsideView(each.kind, each.id, each.why) for each in found.set_aside],
    )


def verdict_view(verdict: AuditVerdict) -> VerdictView:
    """A verdict for admins."""
    shown = msgspec.structs.asdict(audit_view(verdict.audit))
    return VerdictView(**shown, id=verdict.id, at=format_instant(verdict.at), took_ms=verdict.took_ms, by=verdict.by)


def _difference_view(book: Difference) -> DifferenceView:
    return DifferenceView(
        product_id=book.product_id,
        stocked=book.stocked,
        available=book.available,
        live=book.live,
        moving=book.moving,
        expected=book.stocked - book.live - book.moving,
    )
