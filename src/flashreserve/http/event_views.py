"""The bodies of events: one schema for each type. `GET /events`, `GET /trail` and webhooks send the same."""

from typing import Annotated, Any, Final, TypeAlias, assert_never, get_args

from msgspec import Meta, Struct

from flashreserve.core import money
from flashreserve.core.events import (
    AccessChange,
    Event,
    EventType,
    KeyTerms,
    NewProductTerms,
    PauseChange,
    ProductTerms,
    ReservationChange,
    RoleChange,
    StockChange,
    TermsChange,
    kind_of,
)
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Scope
from flashreserve.http.fields import (
    Change,
    CurrencyCode,
    CustomerId,
    CustomerLimit,
    Extensions,
    ExternalId,
    HoldSeconds,
    Id,
    InstantText,
    Place,
    PriceText,
    Quantity,
    Reason,
    RoleText,
    StatusText,
    Stock,
)
from flashreserve.http.views import LineView, format_optional, line_views
from flashreserve.service.events import EventsShown

EVENT_BYTES_MAX: Final = 20_000
"""The largest event. A test makes the largest one of each type."""

_SubjectId = Annotated[str, Meta(pattern="^[0-9a-f-]{32,36}$", max_length=36)]
_EventId = Annotated[
    str, Meta(pattern="^[0-9a-f-]{32,36}-[0-9]+$", description="The id of the subject, `-` and `sequence`.")
]
_Sequence = Annotated[int, Meta(ge=1, description="The number of the event among those of its subject.")]


class SubjectView(Struct, frozen=True, rename="camel"):
    """The reservation, product, account or API key that an event is about. `externalId` is the shop's own id of it."""

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["reservation", "product", "account", "api_key"]})]
    id: _SubjectId
    external_id: ExternalId | None


class ActorView(Struct, frozen=True):
    """Who made a change: a customer, an admin's account, the shop by an API key, or the system.

    `id` is null for the system, and for an admin at the command line.
    """

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["customer", "admin", "shop", "system"]})]
    id: CustomerId | None


class UnitsView(Struct, frozen=True, rename="camel"):
    """Units of one product."""

    product_id: Id
    quantity: Quantity


class ReservationChangeView(Struct, frozen=True, rename="camel"):
    """A reservation right after the transition. `extensions` is how often its hold was extended."""

    user_id: CustomerId
    status: StatusText
    lines: tuple[LineView, ...]
    expires_at: InstantText
    extensions: Extensions


class ReturnChangeView(ReservationChangeView, frozen=True, rename="camel"):
    """A reservation right after units of it were given back. `givenBack` are these units."""

    given_back: tuple[UnitsView, ...]


class ProductTermsView(Struct, frozen=True, rename="camel"):
    """The fields of a product that can be edited, but for its description, picture and metadata."""

    name: str
    price: PriceText
    currency: CurrencyCode
    sale_starts_at: InstantText | None
    sale_ends_at: InstantText | None
    per_customer_limit: CustomerLimit | None
    hold_seconds: HoldSeconds
    max_extensions: Extensions
    archived: bool


class NewProductView(Struct, frozen=True, rename="camel"):
    """A product as it was made."""

    stock_quantity: Stock
    terms: ProductTermsView


class TermsChangeView(Struct, frozen=True):
    """A product's fields before and after an edit."""

    before: ProductTermsView
    after: ProductTermsView


class PauseChangeView(Struct, frozen=True, rename="camel"):
    """The reason of a pause; null when it ends. `allProducts`: the sales of all products were paused or resumed."""

    reason: Reason | None
    all_products: bool


class StockChangeView(Struct, frozen=True, rename="camel"):
    """A change of a product's stock. `stockQuantity` and `available` are the figures right after it."""

    change: Change
    stock_quantity: Stock
    available: Stock


class RoleChangeView(Struct, frozen=True):
    """An account's role before and after the change."""

    before: RoleText
    after: RoleText


class AccessChangeView(Struct, frozen=True):
    """Whether the account can sign in since."""

    enabled: bool


class KeyTermsView(Struct, frozen=True, rename="camel"):
    """An API key's name, scopes and end."""

    name: str
    scopes: tuple[Scope, ...]
    expires_at: InstantText | None


class _EventBase(Struct, frozen=True, tag_field="type"):
    id: _EventId
    timestamp: InstantText
    sequence: _Sequence
    subject: SubjectView
    actor: ActorView


class _ReservationEvent(_EventBase, frozen=True):
    data: ReservationChangeView


class _TermsEvent(_EventBase, frozen=True):
    data: TermsChangeView


class _PauseEvent(_EventBase, frozen=True):
    data: PauseChangeView


class _AccessEvent(_EventBase, frozen=True):
    data: AccessChangeView


class _KeyEvent(_EventBase, frozen=True):
    data: KeyTermsView


class ReservationCreatedEvent(_ReservationEvent, frozen=True, tag="reservation.created"):
    """Units are held for a customer."""


class ReservationConfirmedEvent(_ReservationEvent, frozen=True, tag="reservation.confirmed"):
    """The units of a hold were bought."""


class ReservationExpiredEvent(_ReservationEvent, frozen=True, tag="reservation.expired"):
    """A hold lapsed, and its units are on sale again."""


class ReservationCancelledEvent(_ReservationEvent, frozen=True, tag="reservation.cancelled"):
    """A hold was cancelled, and its units are on sale again."""


class ReservationExtendedEvent(_ReservationEvent, frozen=True, tag="reservation.extended"):
    """A hold lasts longer."""


class ReservationReturnedEvent(_EventBase, frozen=True, tag="reservation.returned"):
    """Units of a purchase were given back, or of a hold that is bought in part, and are on sale again."""

    data: ReturnChangeView


class ProductCreatedEvent(_EventBase, frozen=True, tag="product.created"):
    """A product was made."""

    data: NewProductView


class ProductEditedEvent(_TermsEvent, frozen=True, tag="product.edited"):
    """A product was edited, or taken back from the archive."""


class ProductStockedEvent(_EventBase, frozen=True, tag="product.stocked"):
    """Units were put in stock, or taken out."""

    data: StockChangeView


class ProductPausedEvent(_PauseEvent, frozen=True, tag="product.paused"):
    """The sale of a product was paused."""


class ProductResumedEvent(_PauseEvent, frozen=True, tag="product.resumed"):
    """A pause of a product's sale ended."""


class ProductArchivedEvent(_TermsEvent, frozen=True, tag="product.archived"):
    """A product was archived."""


class AccountRoleChangedEvent(_EventBase, frozen=True, tag="account.role_changed"):
    """An account got another role."""

    data: RoleChangeView


class AccountDisabledEvent(_AccessEvent, frozen=True, tag="account.disabled"):
    """An account can sign in no more."""


class AccountEnabledEvent(_AccessEvent, frozen=True, tag="account.enabled"):
    """A disabled account can sign in again."""


class ApiKeyMadeEvent(_KeyEvent, frozen=True, tag="api_key.made"):
    """An API key was made."""


class ApiKeyRevokedEvent(_KeyEvent, frozen=True, tag="api_key.revoked"):
    """An API key was revoked."""


EventView: TypeAlias = (
    ReservationCreatedEvent
    | ReservationConfirmedEvent
    | ReservationExpiredEvent
    | ReservationCancelledEvent
    | ReservationExtendedEvent
    | ReservationReturnedEvent
    | ProductCreatedEvent
    | ProductEditedEvent
    | ProductStockedEvent
    | ProductPausedEvent
    | ProductResumedEvent
    | ProductArchivedEvent
    | AccountRoleChangedEvent
    | AccountDisabledEvent
    | AccountEnabledEvent
    | ApiKeyMadeEvent
    | ApiKeyRevokedEvent
)
"""An event as JSON. Its `type` decides which data it has."""

VIEWS: Final[dict[EventType, type[EventView]]] = {
    EventType(view.__struct_config__.tag): view for view in get_args(EventView)
}
"""The view of each type."""


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


def _data_view(event: Event) -> Any:
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
