"""Turns each outcome into an answer: status, headers and body."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

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
    Failed,
    HourlyHoldsReached,
    Invalid,
    KeyReused,
    LapsesReached,
    LimitReached,
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
    RulesFixed,
    SoldOut,
    StockTaken,
    SystemOutcome,
    Unavailable,
)
from flashreserve.health import Check, missing
from flashreserve.http import problems, views
from flashreserve.http.field_names import with_wire_names
from flashreserve.http.problems import Code, FieldError
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

    def __init__(self, code: Code, detail: str, *, errors: Sequence[FieldError] = (), headers: Headers = ()) -> None:
        super().__init__(detail)
        self.code: Code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers


def bad_request(field: str, message: str) -> RefusalError:
    """400 for one field, to be raised."""
    return RefusalError("bad-request", f"{field}: {message}", errors=[FieldError(field, message)])


def refusal(code: Code, detail: str, instance: str, errors: Sequence[FieldError] = (), headers: Headers = ()) -> Answer:
    """A problem document as an answer."""
    body = problems.encode(code, detail, instance, errors)
    return Answer(problems.KINDS[code].status, body, problems.CONTENT_TYPE, headers)


def readiness(checks: list[Check], instance: str, *, verbose: bool, operator: bool) -> Answer:
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
    problem = problems.problem("unavailable", "; ".join(check.detail for check in absent), instance)
    body = views.encode(msgspec.structs.replace(problem, checks=shown))
    return Answer(problem.status, body, problems.CONTENT_TYPE, _retry(1))


def bad_field(field: str, message: str, instance: str) -> Answer:
    """400 for one field, as an answer."""
    return refusal("bad-request", f"{field}: {message}", instance, [FieldError(field, message)])


def ok(view: msgspec.Struct, status: int = 200, headers: Headers = ()) -> Answer:
    """A view as a successful answer."""
    return Answer(status, views.encode(view), JSON, headers)


def from_outcome(outcome: Outcome, instance: str) -> Answer:
    """The answer to an outcome. `instance` is the path of the request."""
    match outcome:
        case Reserved() | Replayed() | Confirmed() | Extended() | Released() | Restocked() | Edited():
            return _from_success(outcome)
        case SoldOut() | NotFound() | KeyReused() | NotOnSale() | LimitReached():
            return _from_reserve_refused(outcome, instance)
        case OpenHoldsReached() | HourlyHoldsReached() | LapsesReached():
            return _from_quota_reached(outcome, instance)
        case Expired() | AlreadyConfirmed() | AlreadyCancelled() | ExtensionsUsedUp():
            return _from_change_refused(outcome, instance)
        case StockTaken() | RulesFixed() | Invalid():
            return _from_product_refused(outcome, instance)
        case Unavailable() | OutcomeUnknown() | Failed() | NotDue():
            return _from_trouble(outcome, instance)
        case _:
            assert_never(outcome)


_Success = Reserved | Replayed | Confirmed | Extended | Released | Restocked | Edited
_ReserveRefused = SoldOut | NotFound | KeyReused | NotOnSale | LimitReached
_ChangeRefused = Expired | AlreadyConfirmed | AlreadyCancelled | ExtensionsUsedUp
_ProductRefused = StockTaken | RulesFixed | Invalid
_Trouble = SystemOutcome | NotDue


def _from_success(outcome: _Success) -> Answer:
    match outcome:
        case Reserved(held):
            return ok(views.reservation_view(held), 201, (_location(held),))
        case Replayed(held):
            return ok(views.reservation_view(held), 201, (_location(held), _REPLAYED))
        case Confirmed(held) | Extended(held) | Released(held):
            return ok(views.reservation_view(held))
        case Restocked(adjustment, replayed):
            return ok(views.adjustment_view(adjustment), 200, (_REPLAYED,) if replayed else ())
        case Edited(product):
            return ok(views.product_view(product))
        case _:
            assert_never(outcome)


def _from_reserve_refused(outcome: _ReserveRefused, instance: str) -> Answer:
    match outcome:
        case SoldOut(product_id, available):
            return refusal("sold-out", f"product {product_id} has {available} units available", instance)
        case NotFound(what, id_):
            return refusal("not-found", f"there is no {what} {id_}", instance)
        case KeyReused(key):
            return refusal("key-reused", f"the key {key} was used for another request", instance)
        case NotOnSale(_, starts_at, ends_at):
            return refusal("not-on-sale", _sale_times(starts_at, ends_at), instance)
        case LimitReached(product_id, limit):
            return refusal("limit-reached", f"product {product_id} is limited to {limit} a customer", instance)
        case _:
            assert_never(outcome)


def _from_quota_reached(outcome: QuotaReached, instance: str) -> Answer:
    match outcome:
        case OpenHoldsReached(limit, retry_after_s):
            detail = f"{limit} holds are open, the most at one time; buy or cancel one, or let it lapse"
            return refusal("open-holds-reached", detail, instance, headers=_retry(retry_after_s))
        case HourlyHoldsReached(limit, retry_after_s):
            detail = f"{limit} holds were granted since the hour began, the most in an hour"
            return refusal("hourly-holds-reached", detail, instance, headers=_retry(retry_after_s))
        case LapsesReached(limit, retry_after_s):
            detail = f"{limit} or more holds of this hour lapsed, and none was bought"
            return refusal("lapses-reached", detail, instance, headers=_retry(retry_after_s))
        case _:
            assert_never(outcome)


def _from_change_refused(outcome: _ChangeRefused, instance: str) -> Answer:
    match outcome:
        case Expired(id_, expires_at):
            return refusal("expired", f"reservation {id_} expired at {format_instant(expires_at)}", instance)
        case AlreadyConfirmed(id_):
            return refusal("already-confirmed", f"reservation {id_} is confirmed", instance)
        case AlreadyCancelled(id_):
            return refusal("cancelled", f"reservation {id_} is cancelled", instance)
        case ExtensionsUsedUp(id_, most):
            return refusal("extensions-used-up", f"reservation {id_} may be extended at most {most} times", instance)
        case _:
            assert_never(outcome)


def _from_product_refused(outcome: _ProductRefused, instance: str) -> Answer:
    match outcome:
        case StockTaken(_, available):
            return refusal("stock-taken", f"change: at most {available} units can be taken out", instance)
        case RulesFixed(field, message):
            fault = FieldError(with_wire_names(field), with_wire_names(message))
            return refusal("rules-fixed", f"{fault.field}: {fault.message}", instance, [fault])
        case Invalid(field, message):
            return bad_field(with_wire_names(field), with_wire_names(message), instance)
        case _:
            assert_never(outcome)


def _from_trouble(outcome: _Trouble, instance: str) -> Answer:
    match outcome:
        case Unavailable(reason, retry_after_s):
            return refusal("unavailable", f"{reason}; nothing was taken", instance, headers=_retry(retry_after_s))
        case OutcomeUnknown(retry_after_s):
            return refusal("outcome-unknown", _UNKNOWN, instance, headers=_retry(retry_after_s))
        case Failed() | NotDue():
            # NotDue occurs in the sweep only; no request leads to it.
            return refusal("internal", problems.KINDS["internal"].meaning, instance)
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
)


def from_account_refusal(outcome: AccountRefusal, instance: str) -> Answer:
    """The answer to a refused request about accounts."""
    match outcome:
        case accounts.EmailTaken():
            return refusal("email-taken", "sign in instead, or use another address", instance)
        case accounts.InvalidField(field, message):
            return bad_field(field, message, instance)
        case accounts.WrongCredentials():
            detail = "there is no account with this email and password"
            return refusal("unauthenticated", detail, instance, headers=(CHALLENGE,))
        case accounts.TooManyTries(retry_after_s):
            detail = f"try again in {retry_after_s} s"
            return refusal("too-many-tries", detail, instance, headers=_retry(retry_after_s))
        case accounts.Busy(retry_after_s):
            detail = "passwords can't be checked now; nothing was changed"
            return refusal("unavailable", detail, instance, headers=_retry(retry_after_s))
        case accounts.AccountNotFound():
            return refusal("not-found", "the token's account doesn't exist", instance)
        case _:
            assert_never(outcome)


CHALLENGE: Final = ("www-authenticate", 'Bearer realm="flashreserve"')
_REPLAYED: Final = ("idempotent-replayed", "true")
_UNKNOWN: Final = "the request may or may not have been carried out; repeat it with the same Idempotency-Key"


def _location(held: Reservation) -> tuple[str, str]:
    return "location", f"/reservations/{held.id}"


def _retry(after_s: int) -> Headers:
    return (("retry-after", str(after_s)),)


def _sale_times(starts_at: int | None, ends_at: int | None) -> str:
    starts = "" if starts_at is None else f" from {format_instant(starts_at)}"
    ends = "" if ends_at is None else f" until {format_instant(ends_at)}"
    return f"on sale{starts}{ends}"
