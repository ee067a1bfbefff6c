"""Filters of searches, and the pages that searches find."""

from typing import Final, NamedTuple

import msgspec

from flashreserve.core.events import Event, EventType
from flashreserve.core.model import Product, Reservation, Status


class ReservationFilter(msgspec.Struct, frozen=True):
    """Which reservations a list has. A field that is None allows all.

    `status` is the status at the time of the search: a lapsed hold counts as EXPIRED. `since` and `before` limit
    `created_at` (UTC milliseconds); `since` is included.
    """

    user_id: str | None = None
    product_id: str | None = None
    external_id: str | None = None
    status: Status | None = None
    since: int | None = None
    before: int | None = None


ALL_RESERVATIONS: Final = ReservationFilter()


class ReservationsFound(NamedTuple):
    """A page of a search. `beyond` is the id after which the next page begins; None after the last one.

    A page may be short, or empty, although there are more: each looks at a limited number of reservations.
    """

    reservations: list[Reservation]
    beyond: str | None


SEARCHED_MAX: Final = 10_000
"""Reservations or products that one page of a search looks at, at most."""

IDS_APART_MS: Final = 24 * 3600 * 1000
"""The most that the time in a new reservation's id (UUIDv7) differs from its `created_at`: by machines' clocks."""


def first_id_at(ms: int) -> str:
    """The lowest UUIDv7 of this millisecond."""
    digits = f"{max(0, ms):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


class LoggedCounts(NamedTuple):
    """How many events of each type the log has of each second, which is counted from 1970 on.

    `looked_to` is the place of the last event that was counted.
    """

    looked_to: int
    counts: dict[tuple[int, EventType], int]


class EventFilter(msgspec.Struct, frozen=True):
    """Which events a list has. A field that is None allows all.

    `actor_id` is the id of a customer, an account or an API key. `since` limits `at` (UTC milliseconds); it is
    included.
    """

    subject_id: str | None = None
    actor_id: str | None = None
    types: frozenset[EventType] | None = None
    since: int | None = None

    @property
    def leaves_out(self) -> bool:
        """Whether events other than those of another subject may be left out, so that a page may have to look far."""
        return (self.actor_id, self.types, self.since) != (None, None, None)

    def allows(self, event: Event) -> bool:
        """Whether the list has the event."""
        return (
            self.subject_id in {None, event.subject_id}
            and self.actor_id in {None, event.actor.id}
            and (self.types is None or event.type in self.types)
            and (self.since is None or event.at >= self.since)
        )


ALL_EVENTS: Final = EventFilter()


class LoggedEvent(NamedTuple):
    """An event, and its place in the log."""

    place: int
    event: Event


class EventsFound(NamedTuple):
    """A page of the log. The next page begins after the place `looked_to`; `more` says whether it may have events yet.

    A page may be short, or empty, although there are more: each looks at a limited number of events.
    """

    events: list[LoggedEvent]
    looked_to: int
    more: bool


class ProductFilter(msgspec.Struct, frozen=True):
    """Which products a list has. A field that is None allows all.

    `archived`: whether the products are archived. `on_sale_at` and `off_sale_at`: an instant at which they are on sale,
    or aren't, as `core.sale.refuse_sale` says.
    """

    external_id: str | None = None
    archived: bool | None = None
    on_sale_at: int | None = None
    off_sale_at: int | None = None


ALL_PRODUCTS: Final = ProductFilter()


class ProductsFound(NamedTuple):
    """A page of a search. `beyond` is the id after which the next page begins; None after the last one.

    A page may be short, or empty, although there are more: each looks at `SEARCHED_MAX` products at most.
    """

    products: list[Product]
    beyond: str | None
