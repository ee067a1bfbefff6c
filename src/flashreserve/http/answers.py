"""Turns each outcome into an answer: status, headers and body."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Unpack, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from flashreserve.auth import outcomes as accounts
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Reservation
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
    QuotaReached,
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
    SystemOutcome,
    TooMany,
    Unavailable,
)
from flashreserve.core.words import counted
from flashreserve.health import Check, missing
from flashreserve.http import problems, views
from flashreserve.http.field_names import with_wire_names
from flashreserve.http.places import Place
from flashreserve.http.problems import Code, FieldError, ProblemFacts
from flashreserve.service.catalogue import NO_DETAILS, ShownProduct
from flashreserve.stock_view import Sight

JSON: Final = "application/json"
Headers = tuple[tuple[str, str], ...]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A whole answer, ready to be sent."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Headers = ()


class RefusalError(Exception):
    """Ends a request with a problem. Only the HTTP layer raises and catches it."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Headers = (),
        retry_after_s: int | UnsetType = UNSET,
    ) -> None:
        super().__init__(detail)
        self.code: Code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.retry_after_s = retry_after_s

    def answer(self, place: Place) -> "Answer":
        """The problem as an answer."""
        after_s = self.retry_after_s
        return refusal(self.code, self.detail, place, self.errors, self.headers, retry_after_seconds=after_s)


def bad_request(field: str, message: str) -> RefusalError:
    """400 for one field, to be raised."""
    return RefusalError("bad-request", f"{field}: {message}", errors=[FieldError(field, message)])


def refusal(
    code: Code,
    detail: str,
    place: Place,
    errors: Sequence[FieldError] = (),
    headers: Headers = (),
    **facts: Unpack[ProblemFacts],
) -> Answer:
    """A problem document as an answer. Its `retry_after_seconds` is sent as the header Retry-After too."""
    after_s = facts.get("retry_after_seconds", UNSET)
    if after_s is not UNSET:
        headers = (*headers, ("retry-after", str(after_s)))
    body = problems.encode(code, detail, place, errors, **facts)
    return Answer(problems.KINDS[code].status, body, problems.CONTENT_TYPE, headers)


def readiness(checks: list[Check], place: Place, *, verbose: bool, operator: bool) -> Answer:
    """200 if all needed parts are ready; otherwise 503, which names the missing parts. `verbose` adds every check.

    Anyone but an operator sees details of the missing parts only; of the others, only the names.
    """
    absent = missing(checks)
    shown = tuple(
        problems.CheckView(check.name, check.ok, check.detail if operator or check in absent else "")
        for check in (checks if verbose else ())
    )
    if not absent:
        return ok(views.ReadinessView("ok", shown))
    detail = "; ".join(check.detail for check in absent)
    problem = problems.problem("unavailable", detail, place, retry_after_seconds=1)
    body = views.encode(msgspec.structs.replace(problem, checks=shown))
    return Answer(problem.status, body, problems.CONTENT_TYPE, (("retry-after", "1"),))


def bad_field(field: str, message: str, place: Place) -> Answer:
    """400 for one field, as an answer."""
    return refusal("bad-request", f"{field}: {message}", place, [FieldError(field, message)])


def ok(view: msgspec.Struct, status: int = 200, headers: Headers = ()) -> Answer:
    """A view as a successful answer."""
    return Answer(status, views.encode(view), JSON, headers)


def from_outcome(outcome: Outcome, place: Place) -> Answer:
    """The answer to an outcome. `place` is the request's."""
    match outcome:
        # The two most frequent ones are first: every pattern before them takes time.
        case Reserved(held):
            return ok(views.reservation_view(held), 201, (_location(held, place),))
        case SoldOut(product_id, available):
            return _sold_out(product_id, available, place)
        case Replayed() | Confirmed() | Extended() | Released() | Returned() | Labelled() | Restocked() | Edited():
            return _from_success(outcome, place)
        case NotFound() | KeyReused() | SalePaused() | NotOnSale() | LimitReached():
            return _from_reserve_refused(outcome, place)
        case OpenHoldsReached() | HourlyHoldsReached() | LapsesReached():
            return _from_quota_reached(outcome, place)
        case Expired() | AlreadyConfirmed() | AlreadyCancelled() | ExtensionsUsedUp():
            return _from_change_refused(outcome, place)
        case NotConfirmed() | TooMany() | ReturnsUsedUp():
            return _from_return_refused(outcome, place)
        case StockTaken() | RulesFixed() | ExternalIdTaken() | Invalid():
            return _from_product_refused(outcome, place)
        case Unavailable() | OutcomeUnknown() | Failed() | NotDue():
            return _from_trouble(outcome, place)
        case _:
            assert_never(outcome)


@lru_cache(maxsize=1024)
def _sold_out(product_id: str, available: int, place: Place) -> Answer:
    """Cached: a crowd asks for few different products, and most of it gets this answer."""
    detail = f"product {product_id} has {counted(available, 'unit')} available"
    return refusal("sold-out", detail, place, product_id=product_id, available=available)


_Success = Replayed | Confirmed | Extended | Released | Returned | Labelled | Restocked | Edited
_ReserveRefused = NotFound | KeyReused | SalePaused | NotOnSale | LimitReached
_ChangeRefused = Expired | AlreadyConfirmed | AlreadyCancelled | ExtensionsUsedUp
_ReturnRefused = NotConfirmed | TooMany | ReturnsUsedUp
_ProductRefused = StockTaken | RulesFixed | ExternalIdTaken | Invalid
_Trouble = SystemOutcome | NotDue


def _from_success(outcome: _Success, place: Place) -> Answer:
    match outcome:
        case Replayed(held):
            return ok(views.reservation_view(held), 201, (_location(held, place), _REPLAYED))
        case Confirmed(held) | Extended(held) | Released(held) | Labelled(held):
            return ok(views.reservation_view(held))
        case Returned(held, replayed):
            return ok(views.reservation_view(held), 200, (_REPLAYED,) if replayed else ())
        case Restocked(adjustment, replayed):
            return ok(views.adjustment_view(adjustment), 200, (_REPLAYED,) if replayed else ())
        case Edited(product):
            return ok(views.product_view(ShownProduct(product, NO_DETAILS)))
        case _:
            assert_never(outcome)


def _from_reserve_refused(outcome: _ReserveRefused, place: Place) -> Answer:
    match outcome:
        case NotFound(what, id_):
            return refusal("not-found", f"there is no {what} {id_}", place)
        case KeyReused(key):
            return refusal("key-reused", f"the key {key} was used for another request", place)
        case SalePaused(product_id, reason):
            detail = f"the sale of product {product_id} is paused: {reason}"
            after_s = _PAUSED_RETRY_AFTER_S
            return refusal(
                "sale-paused", detail, place, product_id=product_id, reason=reason, retry_after_seconds=after_s
            )
        case NotOnSale():
            return _not_on_sale(outcome, place)
        case LimitReached(product_id, limit):
            detail = f"product {product_id} is limited to {limit} a customer"
            return refusal("limit-reached", detail, place, product_id=product_id, limit=limit)
        case _:
            assert_never(outcome)


def _from_quota_reached(outcome: QuotaReached, place: Place) -> Answer:
    match outcome:
        case OpenHoldsReached(limit, retry_after_s):
            detail = f"at most {counted(limit, 'hold')} may be open at one time; buy or cancel one, or let it lapse"
            return refusal("open-holds-reached", detail, place, limit=limit, retry_after_seconds=retry_after_s)
        case HourlyHoldsReached(limit, retry_after_s):
            detail = f"at most {counted(limit, 'hold')} may be granted in an hour"
            return refusal("hourly-holds-reached", detail, place, limit=limit, retry_after_seconds=retry_after_s)
        case LapsesReached(limit, retry_after_s):
            detail = f"{limit} or more holds of this hour lapsed, and none was bought"
            return refusal("lapses-reached", detail, place, limit=limit, retry_after_seconds=retry_after_s)
        case _:
            assert_never(outcome)


def _from_change_refused(outcome: _ChangeRefused, place: Place) -> Answer:
    match outcome:
        case Expired(id_, expires_at):
            ended = format_instant(expires_at)
            return refusal("expired", f"reservation {id_} expired at {ended}", place, expires_at=ended)
        case AlreadyConfirmed(id_):
            return refusal("already-confirmed", f"reservation {id_} is confirmed", place)
        case AlreadyCancelled(id_):
            return refusal("cancelled", f"reservation {id_} is cancelled", place)
        case ExtensionsUsedUp(id_, most):
            detail = f"reservation {id_} may be extended at most {counted(most, 'time')}"
            return refusal("extensions-used-up", detail, place, limit=most)
        case _:
            assert_never(outcome)


def _from_return_refused(outcome: _ReturnRefused, place: Place) -> Answer:
    match outcome:
        case NotConfirmed(id_):
            return refusal("not-confirmed", f"reservation {id_} isn't bought; cancel it instead", place)
        case TooMany(id_, product_id, left):
            detail = f"reservation {id_} has {counted(left, 'unit')} of product {product_id} left"
            return refusal("too-many", detail, place, product_id=product_id, available=left)
        case ReturnsUsedUp(id_, most):
            return refusal("returns-used-up", f"reservation {id_} may have at most {most} returns", place, limit=most)
        case _:
            assert_never(outcome)


def _from_product_refused(outcome: _ProductRefused, place: Place) -> Answer:
    match outcome:
        case StockTaken(_, available):
            detail = f"change: at most {counted(available, 'unit')} can be taken out"
            return refusal("stock-taken", detail, place, available=available)
        case RulesFixed(field, message):
            fault = FieldError(with_wire_names(field), with_wire_names(message))
            return refusal("rules-fixed", f"{fault.field}: {fault.message}", place, [fault])
        case ExternalIdTaken(external_id, product_id):
            detail = f"product {product_id} has the external id {external_id}"
            return refusal("external-id-taken", detail, place, product_id=product_id or UNSET)
        case Invalid(field, message):
            return bad_field(with_wire_names(field), with_wire_names(message), place)
        case _:
            assert_never(outcome)


def _from_trouble(outcome: _Trouble, place: Place) -> Answer:
    match outcome:
        case Unavailable(reason, retry_after_s):
            return refusal("unavailable", f"{reason}; nothing was taken", place, retry_after_seconds=retry_after_s)
        case OutcomeUnknown(retry_after_s):
            return refusal("outcome-unknown", _UNKNOWN, place, retry_after_seconds=retry_after_s)
        case Failed() | NotDue():
            # NotDue occurs in the sweep only; no request leads to it.
            return refusal("internal", problems.KINDS["internal"].meaning, place)
        case _:
            assert_never(outcome)


def from_sight(sight: Sight, tag: str, *, known: bool) -> Answer:
    """A product's stock under its `stock_tag`. `known`: the client already has this figure (304, without a body)."""
    headers = (("etag", tag), ("cache-control", "no-cache"))
    if known:
        return Answer(304, b"", headers=headers)
    view = views.StockLevelView(sight.product.id, sight.product.available, format_instant(sight.as_of))
    return ok(view, headers=headers)


def stock_tag(sight: Sight) -> str:
    """The ETag of a stock poll. It changes with the figure."""
    return f'W/"{sight.product.available}"'


AccountRefusal = (
    accounts.EmailTaken
    | accounts.InvalidField
    | accounts.WrongCredentials
    | accounts.TooManyTries
    | accounts.Busy
    | accounts.AccountNotFound
    | accounts.WrongCode
    | accounts.SessionOver
    | accounts.LastAdmin
)


def from_account_refusal(outcome: AccountRefusal, place: Place) -> Answer:
    """The answer to a refused request about accounts."""
    match outcome:
        case accounts.EmailTaken():
            return refusal("email-taken", "sign in instead, or use another address", place)
        case accounts.InvalidField(field, message):
            return bad_field(field, message, place)
        case accounts.WrongCredentials():
            detail = "there is no account with this email and password"
            return refusal("unauthenticated", detail, place, headers=(CHALLENGE,))
        case accounts.TooManyTries(retry_after_s):
            detail = f"try again in {retry_after_s} s"
            return refusal("too-many-tries", detail, place, retry_after_seconds=retry_after_s)
        case accounts.Busy(retry_after_s):
            detail = "passwords can't be checked now; nothing was changed"
            return refusal("unavailable", detail, place, retry_after_seconds=retry_after_s)
        case accounts.AccountNotFound():
            return refusal("not-found", "the account doesn't exist", place)
        case accounts.WrongCode():
            return refusal("wrong-code", "ask for another reset code", place)
        case accounts.SessionOver():
            detail = "the sign-in is over; sign in again"
            return refusal("unauthenticated", detail, place, headers=(CHALLENGE,))
        case accounts.LastAdmin():
            return refusal("last-admin", "promote another account first", place)
        case _:
            assert_never(outcome)


CHALLENGE: Final = ("www-authenticate", 'Bearer realm="flashreserve"')
_PAUSED_RETRY_AFTER_S: Final = 30
_REPLAYED: Final = ("idempotent-replayed", "true")
_UNKNOWN: Final = "the request may or may not have been carried out; repeat it with the same Idempotency-Key"


def _location(held: Reservation, place: Place) -> tuple[str, str]:
    return "location", f"{place.prefix}/reservations/{held.id}"


def _not_on_sale(outcome: NotOnSale, place: Place) -> Answer:
    starts = UNSET if outcome.sale_starts_at is None else format_instant(outcome.sale_starts_at)
    ends = UNSET if outcome.sale_ends_at is None else format_instant(outcome.sale_ends_at)
    after_s = UNSET if outcome.retry_after_s is None else outcome.retry_after_s
    return refusal(
        "not-on-sale",
        "on sale" + (f" from {starts}" if starts else "") + (f" until {ends}" if ends else ""),
        place,
        product_id=outcome.product_id,
        sale_starts_at=starts,
        sale_ends_at=ends,
        retry_after_seconds=after_s,
    )
