"""Examples of events: one of each type. The OpenAPI document and docs/events.md have them, and tests compare them."""

from typing import Any, Final

from flashreserve.core.events import EventType, kind_of
from flashreserve.http.operations.examples import (
    ENDPOINT_ID,
    EXTERNAL_ID,
    HOLD,
    KEY_ID,
    PRODUCT,
    PRODUCT_ID,
    RESERVATION_ID,
    USER_ID,
)

_ADMIN_ID: Final = "0199f3a1-1b30-7c52-a73e-4d8f2b6e0c91"
_AT: Final = "2026-11-23T10:02:30.000Z"
_CUSTOMER: Final = {"kind": "customer", "id": USER_ID}
_ADMIN: Final = {"kind": "admin", "id": _ADMIN_ID}
_SHOP: Final = {"kind": "shop", "id": KEY_ID}
_SYSTEM: Final = {"kind": "system", "id": None}
_SUBJECTS: Final = {
    "reservation": (RESERVATION_ID, "order-1001"),
    "product": (PRODUCT_ID, EXTERNAL_ID),
    "account": (USER_ID, None),
    "api_key": (KEY_ID, None),
    "endpoint": (ENDPOINT_ID, None),
}
_LINE: Final = {"productId": PRODUCT_ID, "quantity": 1, "returned": 0, "unitPrice": "999.99", "currency": "USD"}
_HELD: Final = {
    "userId": USER_ID,
    "status": "PENDING",
    "lines": [_LINE],
    "expiresAt": HOLD["expiresAt"],
    "extensions": 0,
}
_BOUGHT: Final = {**_HELD, "status": "CONFIRMED"}
_TERMS: Final = {
    name: PRODUCT[name]
    for name in (
        *("name", "price", "currency", "saleStartsAt", "saleEndsAt"),
        *("perCustomerLimit", "holdSeconds", "maxExtensions", "archived"),
    )
}
_KEY: Final = {"name": "Shop backend", "scopes": ["customers", "read"], "expiresAt": None}

_ENDPOINT: Final = {"origin": "https://shop.example", "events": ["reservation.confirmed", "reservation.returned"]}


def _event(type_: EventType, sequence: int, actor: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    kind = kind_of(type_).value
    subject_id, external_id = _SUBJECTS[kind]
    return {
        "type": type_.value,
        "id": f"{subject_id}-{sequence}",
        "timestamp": _AT,
        "sequence": sequence,
        "subject": {"kind": kind, "id": subject_id, "externalId": external_id},
        "actor": actor,
        "data": data,
    }


EVENTS: Final[dict[str, dict[str, Any]]] = {
    event["type"]: event
    for event in (
        _event(EventType.RESERVATION_CREATED, 1, _CUSTOMER, _HELD),
        _event(EventType.RESERVATION_CONFIRMED, 2, _CUSTOMER, _BOUGHT),
        _event(EventType.RESERVATION_EXPIRED, 2, _SYSTEM, {**_HELD, "status": "EXPIRED"}),
        _event(EventType.RESERVATION_CANCELLED, 2, _CUSTOMER, {**_HELD, "status": "CANCELLED"}),
        _event(
            EventType.RESERVATION_EXTENDED,
            2,
            _CUSTOMER,
            {**_HELD, "expiresAt": "2026-11-23T10:12:30.000Z", "extensions": 1},
        ),
        _event(
            EventType.RESERVATION_RETURNED,
            3,
            _SHOP,
            {
                **_BOUGHT,
                "lines": [{**_LINE, "returned": 1}],
                "givenBack": [{"productId": PRODUCT_ID, "quantity": 1}],
            },
        ),
        _event(EventType.PRODUCT_CREATED, 1, _ADMIN, {"stockQuantity": 10, "terms": _TERMS}),
        _event(EventType.PRODUCT_EDITED, 2, _ADMIN, {"before": _TERMS, "after": {**_TERMS, "price": "949.00"}}),
        _event(EventType.PRODUCT_STOCKED, 2, _ADMIN, {"change": 5, "stockQuantity": 15, "available": 13}),
        _event(EventType.PRODUCT_PAUSED, 2, _ADMIN, {"reason": "The price is wrong", "allProducts": False}),
        _event(EventType.PRODUCT_RESUMED, 3, _ADMIN, {"reason": None, "allProducts": False}),
        _event(EventType.PRODUCT_ARCHIVED, 2, _ADMIN, {"before": _TERMS, "after": {**_TERMS, "archived": True}}),
        _event(EventType.ACCOUNT_ROLE_CHANGED, 1, _ADMIN, {"before": "customer", "after": "admin"}),
        _event(EventType.ACCOUNT_DISABLED, 1, _ADMIN, {"enabled": False}),
        _event(EventType.ACCOUNT_ENABLED, 2, _ADMIN, {"enabled": True}),
        _event(EventType.KEY_MADE, 1, _ADMIN, _KEY),
        _event(EventType.KEY_REVOKED, 2, _ADMIN, {"name": "Shop backend"}),
        _event(EventType.ENDPOINT_ADDED, 1, _ADMIN, _ENDPOINT),
        _event(EventType.ENDPOINT_EDITED, 2, _ADMIN, {**_ENDPOINT, "events": ["*"]}),
        _event(EventType.ENDPOINT_ROTATED, 2, _ADMIN, {"generation": 2, "oldUntil": "2026-11-24T10:02:30.000Z"}),
        _event(EventType.ENDPOINT_DISABLED, 2, _SYSTEM, {"enabled": False, "why": "failing"}),
        _event(EventType.ENDPOINT_ENABLED, 3, _ADMIN, {"enabled": True, "why": None}),
        _event(EventType.ENDPOINT_REMOVED, 2, _ADMIN, _ENDPOINT),
        _event(EventType.ENDPOINT_TESTED, 1, _ADMIN, _ENDPOINT),
    )
}
"""By type."""
