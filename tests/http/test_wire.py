import json

from flashreserve.http import wire


def test_refused_text_is_explained_in_words() -> None:
    read = wire.decoder(wire.ProductBody)
    bodies = [
        {"name": "\x00", "price": 1, "stockQuantity": 1},
        {"name": "a", "price": "much", "stockQuantity": 1},
        {"name": "a", "price": 1, "stockQuantity": 1, "currency": "usd"},
    ]

    assert [getattr(read(json.dumps(body).encode()), "message", None) for body in bodies] == [
        "expected text without control characters",
        "expected a decimal such as 999.99",
        "expected an ISO 4217 code such as USD",
    ]
