"""Events as JSON. `GET /events`, `GET /trail` and webhooks send the same."""

from typing import Any, Final, assert_never

from msgspec import Struct

from flashreserve.core import money
from flashreserve.core.events import (
    AccessChange,
    EndpointAccess,
    EndpointTerms,
    Event,
    EventType,
    KeyEnd,
    KeyTerms,
    NewProductTerms,
    PauseChange,
    ProductTerms,
    ReservationChange,
    RoleChange,
    Rotation,
    StockChange,
    TermsChange,
    kind_of,
)
from flashreserve.core.instants import format_instant
from flashreserve.http import views
from flashreserve.http.event_schemas import (
    VIEWS,
    AccessChangeView,
    ActorView,
    EndpointAccessView,
    EndpointTermsView,
    EventView,
    KeyEndView,
    KeyTermsView,
    NewProductView,
    PauseChangeView,
    ProductTermsView,
    ReservationChangeView,
    ReturnChangeView,
    RoleChangeView,
    RotationView,
    StockChangeView,
    SubjectView,
    TermsChangeView,
    UnitsView,
)
from flashreserve.http.fields import Place
from flashreserve.http.views import format_optional, line_views
from flashreserve.service.events import EventsShown
from flashreserve.webhooks.subscriptions import written_types

EVENT_BYTES_MAX: Final = 20_000
"""The largest event. A test makes the largest one of each type."""


class EventPage(Struct, frozen=True, rename="camel"):
    """Some events. `nextCursor`, if not null, is the `cursor` of the next page. A page may have no items."""

    items: list[EventView]
    next_cursor: Place | None


class EventLogPage(Struct, frozen=True, rename="camel"):
    """Some events of the log. `nextCursor` is the `after` of the next request, now if `hasMore`, or later."""

    items: list[EventView]
    next_cursor: Place
    has_more: bool


def event_page(shown: EventsShown) -> EventPage:
    """A page of the trail."""
    return EventPage(list(map(event_view, shown.events)), str(shown.looked_to) if shown.more else None)


def event_log_page(shown: EventsShown) -> EventLogPage:
    """A page of the log."""
    return EventLogPage(list(map(event_view, shown.events)), str(shown.looked_to), shown.more)


def event_view(event: Event) -> EventView:
    """The event for admins and programs of the shop's. Its encoding is the body that webhooks send."""
    return VIEWS[event.type](
        id=event.id,
        timestamp=format_instant(event.at),
        sequence=event.n,
        subject=SubjectView(kind_of(event.type).value, event.subject_id, event.external_id),
        actor=ActorView(event.actor.kind.value, event.actor.id),
        data=_data_view(event),
    )


def delivery_body(event: Event, previous: int | None) -> bytes:
    """The body of a delivery: the event, and the `sequence` of the event that its endpoint was sent before, or null."""
    told = views.encode(event_view(event))
    return told[:-1] + b',"previous":' + (b"null" if previous is None else str(previous).encode()) + b"}"


def _data_view(event: Event) -> Any:  # noqa: C901, PLR0912 - one match over all kinds of data
    match event.data:
        case ReservationChange() as change:
            return _reservation_change(change, returned=event.type is EventType.RESERVATION_RETURNED)
        case NewProductTerms(stocked, terms):
            return NewProductView(stocked, _terms(terms))
        case TermsChange(before, after):
            return TermsChangeView(_terms(before), _terms(after))
        case PauseChange(reason, all_products):
            return PauseChangeView(reason, all_products)
        case StockChange(change, stocked, available):
            return StockChangeView(change, stocked, available)
        case RoleChange(before, after):
            return RoleChangeView(before.value, after.value)
        case AccessChange(enabled):
            return AccessChangeView(enabled)
        case KeyTerms(name, scopes, expires_at):
            return KeyTermsView(name, scopes, format_optional(expires_at))
        case KeyEnd(name):
            return KeyEndView(name)
        case EndpointTerms(origin, types):
            return EndpointTermsView(origin, written_types(types))
        case Rotation(generation, old_until):
            return RotationView(generation, format_optional(old_until))
        case EndpointAccess(enabled, why):
            return EndpointAccessView(enabled, why)
        case _:
            assert_never(event.data)


def _reservation_change(change: ReservationChange, *, returned: bool) -> ReservationChangeView:
    fields: dict[str, Any] = {
        "user_id": change.customer_id,
        "status": change.status.value,
        "lines": line_views(change.lines),
        "expires_at": format_instant(change.expires_at),
        "extensions": change.extensions,
    }
    if not returned:
        return ReservationChangeView(**fields)
    given_back = tuple(UnitsView(units.product_id, units.quantity) for units in change.given_back)
    return ReturnChangeView(**fields, given_back=given_back)


def _terms(terms: ProductTerms) -> ProductTermsView:
    return ProductTermsView(
        name=terms.name,
        price=money.format_price(terms.price, terms.currency),
        currency=terms.currency,
        sale_starts_at=format_optional(terms.sale_starts_at),
        sale_ends_at=format_optional(terms.sale_ends_at),
        per_customer_limit=terms.per_customer_limit,
        hold_seconds=terms.hold_s,
        max_extensions=terms.extensions_max,
        archived=terms.archived,
    )
