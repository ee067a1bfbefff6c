"""The event of each transition. Stores write it together with the transition."""

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from flashreserve.core.effects import (
    ConfirmEffect,
    EditEffect,
    Effect,
    ExtendEffect,
    LabelEffect,
    ReleaseEffect,
    ReserveEffect,
    RestockEffect,
    ReturnEffect,
)
from flashreserve.core.events import (
    BY_COMMAND_LINE,
    AccessChange,
    Actor,
    ActorKind,
    Event,
    EventType,
    KeyEnd,
    KeyTerms,
    NewProductTerms,
    PauseChange,
    ProductTerms,
    ReservationChange,
    RoleChange,
    StockChange,
    TermsChange,
    actor_named,
)
from flashreserve.core.model import BY_CUSTOMER, Account, ApiKey, Product, Reservation, ReturnEntry, Status, Units


def events_of(effects: Iterable[Effect], *, grants: bool) -> list[Event]:
    """The events of the effects, in their order. Those of grants are among them if `grants`."""
    events: list[Event] = []
    for effect in effects:
        if grants and isinstance(effect, ReserveEffect):
            events.append(grant_event(effect.reservation))
        event = event_of(effect)
        if event is not None:
            events.append(event)
    return events


def event_of(effect: Effect) -> Event | None:
    """The event of the effect. A label and a repeated pause have none.

    That of a grant is `grant_event`, which isn't always written.
    """
    match effect:
        case ReserveEffect() | LabelEffect():
            return None
        case ExtendEffect(after, by, at):
            return reservation_event(EventType.RESERVATION_EXTENDED, after, at, by)
        case ConfirmEffect(after, _, by):
            return reservation_event(EventType.RESERVATION_CONFIRMED, after, after.confirmed_at or 0, by)
        case ReleaseEffect(after, _, by):
            return reservation_event(_release_type(after.status), after, after.released_at or 0, by)
        case ReturnEffect(after, entry, _):
            return return_event(after, entry)
        case RestockEffect(adjustment, after):
            stock = StockChange(adjustment.change, adjustment.stocked, adjustment.available)
            actor = actor_named(adjustment.by)
            return product_event(EventType.PRODUCT_STOCKED, after, adjustment.at, actor, stock)
        case EditEffect(after, before, by, at):
            return _edit_event(after, before, at, by) if after.trail_n > before.trail_n else None
        case _:
            assert_never(effect)


def _release_type(status: Status) -> EventType:
    return EventType.RESERVATION_EXPIRED if status is Status.EXPIRED else EventType.RESERVATION_CANCELLED


def grant_event(held: Reservation) -> Event:
    """The first event of a reservation: its grant. It follows from the reservation, so it needn't be stored."""
    return reservation_event(EventType.RESERVATION_CREATED, held.as_granted(), held.created_at, BY_CUSTOMER)


def reservation_event(
    type_: EventType, after: Reservation, at: int, by: str, given_back: tuple[Units, ...] = ()
) -> Event:
    """The event of a transition that left the reservation as `after`, whose `trail_n` is the event's number."""
    return Event(
        subject_id=after.id,
        n=after.trail_n,
        type=type_,
        at=at,
        actor=actor_named(by, after.user_id),
        data=ReservationChange(
            after.user_id, after.status, after.lines, after.expires_at, after.extensions, given_back
        ),
        external_id=after.external_id,
    )


def return_event(after: Reservation, entry: ReturnEntry) -> Event:
    """The event of a return. Its reason isn't told, because it is a free text."""
    return reservation_event(EventType.RESERVATION_RETURNED, after, entry.at, entry.by, entry.lines)


def without_customer(event: Event, customer_id: str, pseudonym: str) -> Event:
    """The event of a reservation whose customer was erased: the pseudonym takes the customer's place."""
    actor, data = event.actor, event.data
    if actor.kind is ActorKind.CUSTOMER and actor.id == customer_id:
        actor = replace(actor, id=pseudonym)
    if isinstance(data, ReservationChange) and data.customer_id == customer_id:
        data = replace(data, customer_id=pseudonym)
    return replace(event, actor=actor, data=data, external_id=None)


def creation_event(product: Product, by: str) -> Event:
    """The event of a new product."""
    data = NewProductTerms(product.stocked, terms_of(product))
    return product_event(EventType.PRODUCT_CREATED, product, product.created_at, actor_named(by), data)


def shop_paused(product: Product, reason: str | None, at: int, by: str) -> tuple[Product, Event]:
    """The product after the sales of all products were paused for the reason, or resumed; and the event of that."""
    after = replace(
        product,
        shop_pause_reason=reason,
        updated_at=max(at, product.updated_at),
        rev=product.rev + 1,
        trail_n=product.trail_n + 1,
    )
    return after, _pause_event(after, at, actor_named(by), reason, all_products=True)


def product_event(
    type_: EventType,
    after: Product,
    at: int,
    actor: Actor,
    data: NewProductTerms | TermsChange | PauseChange | StockChange,
) -> Event:
    """The event of a change that left the product as `after`, whose `trail_n` is the event's number."""
    return Event(after.id, after.trail_n, type_, at, actor, data, after.external_id)


def terms_of(product: Product) -> ProductTerms:
    """The product's terms."""
    return ProductTerms(
        name=product.name,
        price=product.price,
        currency=product.currency,
        sale_starts_at=product.sale_starts_at,
        sale_ends_at=product.sale_ends_at,
        per_customer_limit=product.per_customer_limit,
        hold_s=product.hold_s,
        extensions_max=product.extensions_max,
        archived=product.archived_at is not None,
    )


def _edit_event(after: Product, before: Product, at: int, by: str) -> Event:
    """The event of an edit. A pause or an end of one is an edit of nothing else."""
    actor = actor_named(by)
    if after.pause_reason != before.pause_reason:
        return _pause_event(after, at, actor, after.pause_reason, all_products=False)
    archived = after.archived_at is not None and before.archived_at is None
    type_ = EventType.PRODUCT_ARCHIVED if archived else EventType.PRODUCT_EDITED
    return product_event(type_, after, at, actor, TermsChange(terms_of(before), terms_of(after)))


def _pause_event(after: Product, at: int, actor: Actor, reason: str | None, *, all_products: bool) -> Event:
    type_ = EventType.PRODUCT_RESUMED if reason is None else EventType.PRODUCT_PAUSED
    return product_event(type_, after, at, actor, PauseChange(reason, all_products))


def account_events(before: Account, after: Account, at: int, by: str) -> tuple[Account, list[Event]]:
    """The events of a change of an account's role or access, none if neither changed; and `after` with their number."""
    changes: list[tuple[EventType, RoleChange | AccessChange]] = []
    if after.role is not before.role:
        changes.append((EventType.ACCOUNT_ROLE_CHANGED, RoleChange(before.role, after.role)))
    if before.disabled_at is None and after.disabled_at is not None:
        changes.append((EventType.ACCOUNT_DISABLED, AccessChange(enabled=False)))
    if before.disabled_at is not None and after.disabled_at is None:
        changes.append((EventType.ACCOUNT_ENABLED, AccessChange(enabled=True)))
    actor = actor_named(by)
    events = [
        Event(after.id, before.trail_n + place, type_, at, actor, data)
        for place, (type_, data) in enumerate(changes, start=1)
    ]
    return replace(after, trail_n=before.trail_n + len(events)), events


def key_made_event(key: ApiKey) -> Event:
    """The event of making an API key."""
    actor = actor_named(BY_COMMAND_LINE if key.created_by is None else key.created_by)
    data = KeyTerms(key.name, key.scopes, key.expires_at)
    return Event(key.id, key.trail_n, EventType.KEY_MADE, key.created_at, actor, data)


def revocation_event(key_id: str, name: str, n: int, at: int, by: str) -> Event:
    """The event of revoking an API key, as number `n`. A key can be revoked even if the rest of it can't be read."""
    return Event(key_id, n, EventType.KEY_REVOKED, at, actor_named(by), KeyEnd(name))
