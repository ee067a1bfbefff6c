"""Events as JSON: one schema for each type, the examples, and the largest events."""

from typing import Any, Final, get_args

import jsonschema_rs
import msgspec
import pytest
from msgspec.structs import replace
from tests.core.examples import ADMIN, CUP, NOON, a_product, product_id, reservation_id
from tests.http.documented import DOCUMENT

from flashreserve.core import limits
from flashreserve.core.endpoints import DisabledWhy
from flashreserve.core.events import (
    AccessChange,
    Actor,
    ActorKind,
    EndpointAccess,
    EndpointTerms,
    Event,
    EventData,
    EventType,
    KeyEnd,
    KeyTerms,
    NewProductTerms,
    PauseChange,
    ReservationChange,
    RoleChange,
    Rotation,
    StockChange,
    TermsChange,
    data_of,
)
from flashreserve.core.model import Line, Role, Scope, Status, Units
from flashreserve.core.trail import terms_of
from flashreserve.http.event_schemas import VIEWS, EventView
from flashreserve.http.event_views import EVENT_BYTES_MAX, delivery_body, event_view
from flashreserve.http.operations.event_examples import EVENTS

WIDE: Final = "\U0001f9e6"
"""A character of four bytes, the most that one takes."""

_ESCAPED: Final = '"'


def largest_data(type_: EventType) -> EventData:
    """The largest data of an event of this type, by the limits of the domain."""
    name = WIDE * limits.NAME_LENGTH_MAX
    product = a_product(
        name=name,
        price=limits.PRICE_MINOR_MAX,
        sale_starts_at=NOON,
        sale_ends_at=limits.INSTANT_MAX_MS,
        per_customer_limit=limits.PER_CUSTOMER_LIMIT_MAX,
        hold_s=limits.HOLD_S_MAX,
        extensions_max=limits.EXTENSIONS_MAX,
    )
    line = Line(CUP, limits.QUANTITY_MAX, limits.PRICE_MINOR_MAX, "USD", limits.QUANTITY_MAX)
    ids = [product_id(number) for number in range(limits.LINES_MAX)]
    of_kind: dict[type, EventData] = {
        ReservationChange: ReservationChange(
            customer_id=_ESCAPED * limits.CUSTOMER_ID_LENGTH_MAX,
            status=Status.CONFIRMED,
            lines=tuple(replace(line, product_id=id_) for id_ in ids),
            expires_at=limits.INSTANT_MAX_MS,
            extensions=limits.EXTENSIONS_MAX,
            given_back=tuple(Units(id_, limits.QUANTITY_MAX) for id_ in ids),
        ),
        NewProductTerms: NewProductTerms(limits.STOCK_MAX, terms_of(product)),
        TermsChange: TermsChange(terms_of(product), terms_of(product)),
        PauseChange: PauseChange(WIDE * limits.REASON_LENGTH_MAX, all_products=False),
        StockChange: StockChange(-limits.STOCK_MAX, limits.STOCK_MAX, limits.STOCK_MAX),
        RoleChange: RoleChange(Role.CUSTOMER, Role.CUSTOMER),
        AccessChange: AccessChange(enabled=False),
        KeyTerms: KeyTerms(name, tuple(Scope), limits.INSTANT_MAX_MS),
        KeyEnd: KeyEnd(name),
        EndpointTerms: EndpointTerms("https://" + "a" * limits.URL_LENGTH_MAX, tuple(EventType)),
        Rotation: Rotation(999_999_999, limits.INSTANT_MAX_MS),
        EndpointAccess: EndpointAccess(enabled=False, why=DisabledWhy.FAILING),
    }
    return of_kind[data_of(type_)]


def largest(type_: EventType) -> Event:
    actor = Actor(ActorKind.CUSTOMER, _ESCAPED * limits.CUSTOMER_ID_LENGTH_MAX)
    external_id = WIDE * limits.EXTERNAL_ID_LENGTH_MAX
    return Event(reservation_id(1), 999_999_999, type_, NOON, actor, largest_data(type_), external_id)


def is_documented(body: bytes, type_: EventType) -> bool:
    """Whether the body keeps to the schema of the webhook, which is that of the event with `previous`."""
    shape = DOCUMENT["webhooks"][type_.value]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert shape["allOf"][0] == {"$ref": f"#/components/schemas/{VIEWS[type_].__name__}"}
    schema = {**shape, "components": DOCUMENT["components"]}
    return bool(jsonschema_rs.is_valid(schema, msgspec.json.decode(body)))


def test_each_type_has_a_view_an_example_and_a_webhook() -> None:
    assert list(VIEWS) == list(EventType)
    assert set(get_args(EventView)) == set(VIEWS.values())
    assert list(EVENTS) == [type_.value for type_ in EventType]
    assert list(DOCUMENT["webhooks"]) == [type_.value for type_ in EventType]


@pytest.mark.parametrize("type_", EventType)
def test_the_largest_event_of_each_type_keeps_to_its_schema_and_its_limit(type_: EventType) -> None:
    body = msgspec.json.encode(event_view(largest(type_)))
    delivered = delivery_body(largest(type_), 999_999_998)
    assert len(body) <= len(delivered) <= EVENT_BYTES_MAX
    assert is_documented(delivered, type_)
    assert is_documented(delivery_body(largest(type_), None), type_)
    assert not is_documented(body, type_), "without `previous`"
    # Nothing gets lost on the way.
    assert msgspec.json.encode(msgspec.json.decode(body, type=EventView)) == body


def test_a_reservation_with_all_its_lines_returned_is_the_largest() -> None:
    sizes = {type_: len(msgspec.json.encode(event_view(largest(type_)))) for type_ in EventType}
    assert max(sizes, key=sizes.__getitem__) is EventType.RESERVATION_RETURNED
    assert sizes[EventType.RESERVATION_RETURNED] > EVENT_BYTES_MAX / 4


@pytest.mark.parametrize("type_", EventType)
def test_an_example_is_written_as_the_view_writes_it(type_: EventType) -> None:
    example: dict[str, Any] = EVENTS[type_]
    view = msgspec.convert(example, EventView)
    assert type(view) is VIEWS[type_]
    # In the same order too.
    assert msgspec.json.encode(view) == msgspec.json.encode(example)


def test_an_event_is_written_in_the_form_of_the_design() -> None:
    event = Event(
        subject_id=CUP,
        n=3,
        type=EventType.PRODUCT_EDITED,
        at=NOON,
        actor=Actor(ActorKind.ADMIN, ADMIN),
        data=TermsChange(terms_of(a_product()), terms_of(a_product(price=1_300, sale_starts_at=NOON))),
        external_id="IP15",
    )
    before = {
        "name": "Cup",
        "price": "12.50",
        "currency": "EUR",
        "saleStartsAt": None,
        "saleEndsAt": None,
        "perCustomerLimit": None,
        "holdSeconds": 600,
        "maxExtensions": 3,
        "archived": False,
    }
    assert msgspec.to_builtins(event_view(event)) == {
        "type": "product.edited",
        "id": f"{CUP}-3",
        "timestamp": "2026-11-23T12:00:00.000Z",
        "sequence": 3,
        "subject": {"kind": "product", "id": CUP, "externalId": "IP15"},
        "actor": {"kind": "admin", "id": ADMIN},
        "data": {
            "before": before,
            "after": {**before, "price": "13.00", "saleStartsAt": "2026-11-23T12:00:00.000Z"},
        },
    }
