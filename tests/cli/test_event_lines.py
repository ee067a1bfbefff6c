"""The line of an event on a terminal."""

import pytest
from msgspec.structs import replace
from tests.http.test_event_views import largest

from flashreserve.cli.event_lines import essential, event_line
from flashreserve.core.events import (
    Actor,
    ActorKind,
    Event,
    EventData,
    EventType,
    ProductTerms,
    ReservationChange,
    StockChange,
    TermsChange,
)
from flashreserve.core.model import Line, Status, Units

TERMS = ProductTerms("Cup", 999, "USD", None, None, None, 600, 0, archived=False)
ADMIN = Actor(ActorKind.ADMIN, None)
ANN = Actor(ActorKind.CUSTOMER, "shop:ann")
BOUGHT = ReservationChange(
    "shop:ann", Status.CONFIRMED, (Line("cup", 3, 999, "USD", returned=1),), 1_795_000_000_000, 0
)


def told(type_: EventType, data: EventData, actor: Actor = ADMIN) -> str:
    return essential(Event("subject", 2, type_, 1_795_000_000_000, actor, data))


@pytest.mark.parametrize("type_", list(EventType))
def test_each_type_is_one_line_that_a_terminal_can_show(type_: EventType) -> None:
    line = event_line(largest(type_))
    assert line.isprintable()
    assert f"  {type_.value}" in line


def test_a_line_has_time_type_id_actor_the_essential_and_the_shops_own_id() -> None:
    event = Event("subject", 2, EventType.PRODUCT_STOCKED, 1_795_000_000_000, ADMIN, StockChange(5, 15, 13), "IP\n15")
    time, *words = event_line(event).split()
    assert time == "2026-11-18T11:06:40.000Z"
    assert words == ["product.stocked", "subject-2", "admin", "+5:", "13", "of", "15", "available", "(IP\\n15)"]


def test_a_reservation_is_told_by_its_units_and_its_customer_if_another_changed_it() -> None:
    assert told(EventType.RESERVATION_CONFIRMED, BOUGHT, ANN) == "2 of cup"
    assert told(EventType.RESERVATION_EXPIRED, BOUGHT) == "2 of cup, for customer shop:ann"
    assert told(EventType.RESERVATION_EXTENDED, BOUGHT, ANN) == "2 of cup until 2026-11-18T11:06:40.000Z"
    back = replace(BOUGHT, given_back=(Units("cup", 1),))
    assert told(EventType.RESERVATION_RETURNED, back, ANN) == "1 of cup given back"
    many = replace(BOUGHT, lines=tuple(Line(name, 1, 5, "USD") for name in "abcde"))
    assert told(EventType.RESERVATION_CANCELLED, many, ANN) == "1 of a, 1 of b, 1 of c and 2 more"


def test_an_edit_is_told_by_the_fields_that_differ() -> None:
    after = replace(TERMS, price=949, sale_ends_at=1_795_000_000_000, per_customer_limit=2, archived=True)
    assert told(EventType.PRODUCT_EDITED, TermsChange(TERMS, after)) == (
        "price 9.99 USD → 9.49 USD, sale ends at none → 2026-11-18T11:06:40.000Z,"
        " per customer limit none → 2, archived no → yes"
    )
