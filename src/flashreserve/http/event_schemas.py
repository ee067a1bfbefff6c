"""The schemas of events: a class for each type, and one for each kind of data."""

from typing import Annotated, Final, TypeAlias, get_args

from msgspec import Meta, Struct

from flashreserve.core.endpoints import DisabledWhy
from flashreserve.core.events import ActorKind, EventType, SubjectKind
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
    PriceText,
    Quantity,
    Reason,
    RoleText,
    StatusText,
    Stock,
)
from flashreserve.http.views import LineView

_SubjectId = Annotated[str, Meta(pattern="^[0-9a-f-]{32,36}$", max_length=36)]
_EventId = Annotated[
    str, Meta(pattern="^[0-9a-f-]{32,36}-[0-9]+$", description="The id of the subject, `-` and `sequence`.")
]
_Sequence = Annotated[int, Meta(ge=1, description="The number of the event among those of its subject.")]


class SubjectView(Struct, frozen=True, rename="camel"):
    """The reservation, product, account, API key or endpoint that an event is about.

    `externalId` is the shop's own id of it.
    """

    kind: Annotated[str, Meta(extra_json_schema={"enum": [kind.value for kind in SubjectKind]})]
    id: _SubjectId
    external_id: ExternalId | None


class ActorView(Struct, frozen=True):
    """Who made a change: a customer, an admin's account, the shop by an API key, or the system.

    `id` is null for the system, and for an admin at the command line.
    """

    kind: Annotated[str, Meta(extra_json_schema={"enum": [kind.value for kind in ActorKind]})]
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


class KeyEndView(Struct, frozen=True):
    """The name of an API key that was revoked."""

    name: str


class EndpointTermsView(Struct, frozen=True):
    """An endpoint's origin, and the types of events that are delivered to it; `*` stands for all."""

    origin: str
    events: tuple[str, ...]


class RotationView(Struct, frozen=True, rename="camel"):
    """The number of an endpoint's new secret, and until when the old one signs too."""

    generation: Annotated[int, Meta(ge=1)]
    old_until: InstantText | None


class EndpointAccessView(Struct, frozen=True):
    """Whether events are delivered to the endpoint since, and if not, why."""

    enabled: bool
    why: Annotated[str, Meta(extra_json_schema={"enum": [why.value for why in DisabledWhy]})] | None


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


class _EndpointEvent(_EventBase, frozen=True):
    data: EndpointTermsView


class _DeliveryEvent(_EventBase, frozen=True):
    data: EndpointAccessView


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


class ApiKeyMadeEvent(_EventBase, frozen=True, tag="api_key.made"):
    """An API key was made."""

    data: KeyTermsView


class ApiKeyRevokedEvent(_EventBase, frozen=True, tag="api_key.revoked"):
    """An API key was revoked."""

    data: KeyEndView


class EndpointAddedEvent(_EndpointEvent, frozen=True, tag="endpoint.added"):
    """An endpoint for webhooks was added."""


class EndpointEditedEvent(_EndpointEvent, frozen=True, tag="endpoint.edited"):
    """An endpoint got another URL, or other types of events."""


class EndpointRotatedEvent(_EventBase, frozen=True, tag="endpoint.rotated"):
    """An endpoint got a new secret."""

    data: RotationView


class EndpointDisabledEvent(_DeliveryEvent, frozen=True, tag="endpoint.disabled"):
    """No more events are delivered to an endpoint."""


class EndpointEnabledEvent(_DeliveryEvent, frozen=True, tag="endpoint.enabled"):
    """Events are delivered to an endpoint again."""


class EndpointRemovedEvent(_EndpointEvent, frozen=True, tag="endpoint.removed"):
    """An endpoint was removed."""


class EndpointTestedEvent(_EndpointEvent, frozen=True, tag="endpoint.tested"):
    """An admin tests an endpoint. No log has this event."""


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
    | EndpointAddedEvent
    | EndpointEditedEvent
    | EndpointRotatedEvent
    | EndpointDisabledEvent
    | EndpointEnabledEvent
    | EndpointRemovedEvent
    | EndpointTestedEvent
)
"""An event as JSON. Its `type` decides which data it has."""

VIEWS: Final[dict[EventType, type[EventView]]] = {
    EventType(view.__struct_config__.tag): view for view in get_args(EventView)
}
"""The view of each type."""
