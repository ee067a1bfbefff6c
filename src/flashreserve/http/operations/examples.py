"""The examples of the OpenAPI document: ids, accounts and bodies. Tests make a shop in which all of them exist."""

from typing import Final

EXTERNAL_ID: Final = "IP15-128-BLK"
PRODUCT_ID: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"
RESERVATION_ID: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c60"
USER_ID: Final = "0199f3a1-2c40-7a63-b84d-6e1f0a3c5d72"
EMAIL: Final = "ada@example.com"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - the example's

KEY_ID: Final = "0199f3a29e107b528c3f5a7d9e2b4c61"
MADE_AT: Final = "2026-11-23T10:00:00.000Z"
ACCOUNT: Final = {"id": USER_ID, "email": EMAIL, "role": "customer", "createdAt": MADE_AT}
API_KEY: Final = {
    "id": KEY_ID,
    "name": "Shop backend",
    "scopes": ["customers", "read"],
    "createdAt": MADE_AT,
    "createdBy": USER_ID,
    "expiresAt": None,
    "revokedAt": None,
    "lastUsedAt": None,
}
NEW_KEY: Final = {"key": f"frk_{KEY_ID}_…", "apiKey": API_KEY}
ENDPOINT_ID: Final = "0199f3a2-7c10-7d63-9e4f-6b8d0f2a4c81"
ENDPOINT: Final = {
    "id": ENDPOINT_ID,
    "url": "https://shop.example/hooks",
    "events": ["reservation.confirmed", "reservation.returned"],
    "createdAt": MADE_AT,
    "createdBy": USER_ID,
    "disabledAt": None,
    "disabledReason": None,
    "failingSince": None,
    "failures": 0,
}
NEW_ENDPOINT: Final = {**ENDPOINT, "secret": "whsec_…"}
PRODUCT: Final = {
    "id": PRODUCT_ID,
    "name": "iPhone 15",
    "price": "999.99",
    "currency": "USD",
    "stockQuantity": 10,
    "available": 8,
    "saleStartsAt": None,
    "saleEndsAt": None,
    "perCustomerLimit": None,
    "holdSeconds": 600,
    "maxExtensions": 0,
    "externalId": EXTERNAL_ID,
    "description": None,
    "imageUrl": None,
    "metadata": {},
    "archived": False,
    "pauseReason": None,
    "createdAt": MADE_AT,
    "updatedAt": MADE_AT,
}
STOCK: Final = {"productId": PRODUCT_ID, "available": 8, "asOf": MADE_AT}
ADJUSTMENT: Final = {
    "productId": PRODUCT_ID,
    "change": 5,
    "stockQuantity": 15,
    "available": 13,
    "adjustedBy": USER_ID,
    "adjustedAt": MADE_AT,
}
HOLD: Final = {
    "id": RESERVATION_ID,
    "userId": USER_ID,
    "status": "PENDING",
    "lines": [{"productId": PRODUCT_ID, "quantity": 1, "returned": 0, "unitPrice": "999.99", "currency": "USD"}],
    "expiresAt": "2026-11-23T10:10:00.000Z",
    "createdAt": MADE_AT,
    "confirmedAt": None,
    "releasedAt": None,
    "externalId": "order-1001",
    "metadata": {"channel": "app"},
}
BOUGHT: Final = {**HOLD, "status": "CONFIRMED", "confirmedAt": "2026-11-23T10:02:30.000Z"}
ORDER: Final = {
    **BOUGHT,
    "email": EMAIL,
    "lines": [
        {
            "productId": PRODUCT_ID,
            "productName": "iPhone 15",
            "productExternalId": EXTERNAL_ID,
            "quantity": 1,
            "returned": 0,
            "unitPrice": "999.99",
            "amount": "999.99",
            "currency": "USD",
        }
    ],
}
RETURNED: Final = {
    **BOUGHT,
    "lines": [{"productId": PRODUCT_ID, "quantity": 1, "returned": 1, "unitPrice": "999.99", "currency": "USD"}],
}
CANCELLED: Final = {**HOLD, "status": "CANCELLED", "releasedAt": "2026-11-23T10:02:30.000Z"}
EXTENDED: Final = {**HOLD, "expiresAt": "2026-11-23T10:18:30.000Z"}
