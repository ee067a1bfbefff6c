"""Events as single lines for people: when, what, of which subject, by whom, and the essential of the data."""

from collections.abc import Sequence
from typing import Final, assert_never

from msgspec import structs

from flashreserve.core import money
from flashreserve.core.events import (
    AccessChange,
    ActorKind,
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
)
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Units
from flashreserve.logs import printable

_LINE: Final = "{}  {:22}  {:40}  {}  {}"
_UNITS_MAX: Final = 3
"""Products of a reservation that a line names."""

_INSTANTS: Final = frozenset({"sale_starts_at", "sale_ends_at"})


def event_line(event: Event) -> str:
    """The line of the event. It ends with the shop's own id of the subject, if there is one."""
    actor = event.actor.kind.value if event.actor.id is None else f"{event.actor.kind.value} {event.actor.id}"
    own_id = "" if event.external_id is None else f" ({event.external_id})"
    told = printable(f"{essential(event)}{own_id}")
    return _LINE.format(format_instant(event.at), event.type.value, event.id, printable(actor), told).rstrip()


def essential(event: Event) -> str:  # noqa: C901, PLR0912 - one match over all kinds of data
    """The part of the event's data that a person looks for."""
    match event.data:
        case ReservationChange() as change:
            return _reservation(event, change)
        case NewProductTerms(stocked, terms):
            return f"{terms.name}, {_price(terms)}, {stocked:,} in stock"
        case TermsChange(before, after):
            return _terms_change(before, after)
        case PauseChange(reason, all_products):
            return ("all products" if all_products else "") if reason is None else reason
        case StockChange(change, stocked, available):
            return f"{change:+,}: {available:,} of {stocked:,} available"
        case RoleChange(before, after):
            return f"{before.value} → {after.value}"
        case AccessChange():
            return ""
        case KeyTerms(name, scopes, _):
            return f"{name}: {', '.join(scopes)}"
        case KeyEnd(name):
            return name
        case EndpointTerms(origin, types):
            return f"{origin}: {', '.join(types) or 'all types'}"
        case Rotation(_, old_until):
            return "" if old_until is None else f"the old secret signs too until {format_instant(old_until)}"
        case EndpointAccess(_, why):
            return why or ""
        case _:
            assert_never(event.data)


def _reservation(event: Event, change: ReservationChange) -> str:
    if event.type is EventType.RESERVATION_RETURNED:
        told = f"{_units(change.given_back)} given back"
    else:
        told = _units([Units(line.product_id, line.quantity - line.returned) for line in change.lines])
    if event.type in {EventType.RESERVATION_CREATED, EventType.RESERVATION_EXTENDED}:
        told += f" until {format_instant(change.expires_at)}"
    own = event.actor.kind is ActorKind.CUSTOMER and event.actor.id == change.customer_id
    return told if own else f"{told}, for customer {change.customer_id}"


def _units(units: Sequence[Units]) -> str:
    told = [f"{each.quantity:,} of {each.product_id}" for each in units[:_UNITS_MAX] if each.quantity]
    more = len(units) - _UNITS_MAX
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _terms_change(before: ProductTerms, after: ProductTerms) -> str:
    """The fields that differ, each with its value before and after."""
    if (before.price, before.currency) != (after.price, after.currency):
        changes = [f"price {_price(before)} → {_price(after)}"]
    else:
        changes = []
    for name in (field.name for field in structs.fields(ProductTerms)):
        old, new = getattr(before, name), getattr(after, name)
        if old != new and name not in {"price", "currency"}:
            changes.append(f"{name.replace('_', ' ')} {_value(name, old)} → {_value(name, new)}")
    return ", ".join(changes)


def _value(name: str, value: str | int | bool | None) -> str:  # noqa: FBT001 - any field's
    if value is None:
        return "none"
    if name in _INSTANTS:
        return format_instant(int(value))
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _price(terms: ProductTerms) -> str:
    return f"{money.format_price(terms.price, terms.currency)} {terms.currency}"
