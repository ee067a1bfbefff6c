"""Events: the record of each transition that a shop is told of, and that its trail keeps.

A transition is recorded if it ends something, moves money, or is an act of an admin, a program of the shop's or a job.
Its event is written by the same write that makes the change. Each subject numbers its own events from 1.
"""

from enum import StrEnum
from typing import Final, TypeAlias, assert_never

import msgspec

from flashreserve.core.model import BY_CUSTOMER, Line, Role, Scope, Status, Units


class EventType(StrEnum):
    """The kind of a transition: the subject's kind, a dot, and what happened to the subject."""

    RESERVATION_CREATED = "reservation.created"
    RESERVATION_CONFIRMED = "reservation.confirmed"
    RESERVATION_EXPIRED = "reservation.expired"
    RESERVATION_CANCELLED = "reservation.cancelled"
    RESERVATION_EXTENDED = "reservation.extended"
    RESERVATION_RETURNED = "reservation.returned"
    PRODUCT_CREATED = "product.created"
    PRODUCT_EDITED = "product.edited"
    PRODUCT_STOCKED = "product.stocked"
    PRODUCT_PAUSED = "product.paused"
    PRODUCT_RESUMED = "product.resumed"
    PRODUCT_ARCHIVED = "product.archived"
    ACCOUNT_ROLE_CHANGED = "account.role_changed"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    KEY_MADE = "api_key.made"
    KEY_REVOKED = "api_key.revoked"
    ENDPOINT_ADDED = "endpoint.added"
    ENDPOINT_EDITED = "endpoint.edited"
    ENDPOINT_ROTATED = "endpoint.rotated"
    ENDPOINT_DISABLED = "endpoint.disabled"
    ENDPOINT_ENABLED = "endpoint.enabled"
    ENDPOINT_REMOVED = "endpoint.removed"
    ENDPOINT_TESTED = "endpoint.tested"
    """Sent to try an endpoint. It is in no log."""


class SubjectKind(StrEnum):
    """What an event is about."""

    RESERVATION = "reservation"
    PRODUCT = "product"
    ACCOUNT = "account"
    KEY = "api_key"
    ENDPOINT = "endpoint"


class ActorKind(StrEnum):
    """Who made the change: a customer, an admin, a program of the shop's (an API key), or FlashReserve by itself."""

    CUSTOMER = "customer"
    ADMIN = "admin"
    SHOP = "shop"
    SYSTEM = "system"


BY_SYSTEM: Final = "system"
"""The name under which changes by FlashReserve itself are recorded, such as the end of a hold."""

BY_COMMAND_LINE: Final = "command line"
"""The name under which changes by a command are recorded. Whoever runs it has the rights of an admin."""

BY_KEY: Final = "key:"
"""The start of the name under which changes by an API key are recorded. The key's id follows."""


class Actor(msgspec.Struct, frozen=True, gc=False):
    """Who made a change. `id` is a customer's, an account's or an API key's; None for the system and the command line.

    The actor of a grant is the customer who holds the units, also if the shop reserved for that customer.
    """

    kind: ActorKind
    id: str | None


class ReservationChange(msgspec.Struct, frozen=True, gc=False):
    """A reservation after a transition. `given_back` are the units of a return; other transitions have none."""

    customer_id: str
    status: Status
    lines: tuple[Line, ...]
    expires_at: int
    extensions: int
    given_back: tuple[Units, ...] = ()


class ProductTerms(msgspec.Struct, frozen=True, gc=False):
    """The fields of a product that an edit can change, other than a pause."""

    name: str
    price: int
    currency: str
    sale_starts_at: int | None
    sale_ends_at: int | None
    per_customer_limit: int | None
    hold_s: int
    extensions_max: int
    archived: bool


class NewProductTerms(msgspec.Struct, frozen=True, gc=False):
    """A product as it was made."""

    stocked: int
    terms: ProductTerms


class TermsChange(msgspec.Struct, frozen=True, gc=False):
    """A product's terms before and after an edit."""

    before: ProductTerms
    after: ProductTerms


class PauseChange(msgspec.Struct, frozen=True, gc=False):
    """Why a product's sale is paused; None if it is resumed. `all_products`: those of all products are."""

    reason: str | None
    all_products: bool


class StockChange(msgspec.Struct, frozen=True, gc=False):
    """A change of a product's stock, and its figures right after it."""

    change: int
    stocked: int
    available: int


class RoleChange(msgspec.Struct, frozen=True, gc=False):
    """An account's role before and after a change."""

    before: Role
    after: Role


class AccessChange(msgspec.Struct, frozen=True, gc=False):
    """Whether the account can sign in after the change."""

    enabled: bool


class KeyTerms(msgspec.Struct, frozen=True, gc=False):
    """An API key's name, rights, and end."""

    name: str
    scopes: tuple[Scope, ...]
    expires_at: int | None


class KeyEnd(msgspec.Struct, frozen=True, gc=False):
    """The name of an API key that was revoked."""

    name: str


class EndpointTerms(msgspec.Struct, frozen=True, gc=False):
    """An endpoint's origin, and the types of events that are delivered to it; none stands for all."""

    origin: str
    types: tuple[EventType, ...]


class Rotation(msgspec.Struct, frozen=True, gc=False):
    """The number of an endpoint's new secret, and until when the old one signs too (UTC milliseconds)."""

    generation: int
    old_until: int | None


class EndpointAccess(msgspec.Struct, frozen=True, gc=False):
    """Whether events are delivered to the endpoint after the change, and if not, why."""

    enabled: bool
    why: str | None


EventData: TypeAlias = (
    ReservationChange
    | NewProductTerms
    | TermsChange
    | PauseChange
    | StockChange
    | RoleChange
    | AccessChange
    | KeyTerms
    | KeyEnd
    | EndpointTerms
    | Rotation
    | EndpointAccess
)
"""What an event says of its transition. The type decides which of these it has; see `data_of`."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """A transition of a subject at `at` (UTC milliseconds).

    `n` counts all events that the subject ever had, from 1. `external_id` is the shop's own id of the subject.
    """

    subject_id: str
    n: int
    type: EventType
    at: int
    actor: Actor
    data: EventData
    external_id: str | None = None

    @property
    def id(self) -> str:
        """The event's id. Standard Webhooks allows no dots in it."""
        return f"{self.subject_id}-{self.n}"


def actor_named(by: str, customer_id: str | None = None) -> Actor:
    """The actor whose changes are recorded under the name `by`. A change of a reservation says whose that is."""
    if by == BY_CUSTOMER:
        return Actor(ActorKind.CUSTOMER, customer_id)
    if by == BY_SYSTEM:
        return Actor(ActorKind.SYSTEM, None)
    if by == BY_COMMAND_LINE:
        return Actor(ActorKind.ADMIN, None)
    if by.startswith(BY_KEY):
        return Actor(ActorKind.SHOP, by.removeprefix(BY_KEY))
    return Actor(ActorKind.ADMIN, by)


def kind_of(type_: EventType) -> SubjectKind:
    """The kind of subject that has events of this type."""
    return SubjectKind(type_.partition(".")[0])


def data_of(type_: EventType) -> type[EventData]:  # noqa: C901, PLR0912 - one match over all types
    """The struct in which an event of this type has its data."""
    match type_:
        case (
            EventType.RESERVATION_CREATED
            | EventType.RESERVATION_CONFIRMED
            | EventType.RESERVATION_EXPIRED
            | EventType.RESERVATION_CANCELLED
            | EventType.RESERVATION_EXTENDED
            | EventType.RESERVATION_RETURNED
        ):
            return ReservationChange
        case EventType.PRODUCT_CREATED:
            return NewProductTerms
        case EventType.PRODUCT_EDITED | EventType.PRODUCT_ARCHIVED:
            return TermsChange
        case EventType.PRODUCT_PAUSED | EventType.PRODUCT_RESUMED:
            return PauseChange
        case EventType.PRODUCT_STOCKED:
            return StockChange
        case EventType.ACCOUNT_ROLE_CHANGED:
            return RoleChange
        case EventType.ACCOUNT_DISABLED | EventType.ACCOUNT_ENABLED:
            return AccessChange
        case EventType.KEY_MADE:
            return KeyTerms
        case EventType.KEY_REVOKED:
            return KeyEnd
        case (
            EventType.ENDPOINT_ADDED
            | EventType.ENDPOINT_EDITED
            | EventType.ENDPOINT_REMOVED
            | EventType.ENDPOINT_TESTED
        ):
            return EndpointTerms
        case EventType.ENDPOINT_ROTATED:
            return Rotation
        case EventType.ENDPOINT_DISABLED | EventType.ENDPOINT_ENABLED:
            return EndpointAccess
        case _:
            assert_never(type_)
