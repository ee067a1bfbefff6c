import json

import pytest

from flashreserve.core.outcomes import Invalid
from flashreserve.http import wire


def test_refused_text_is_explained_in_words() -> None:
    read = wire.decoder(wire.ProductBody)
    bodies = [
        {"name": "\x00", "price": 1, "stockQuantity": 1},
        {"name": "a", "price": 1, "stockQuantity": 1, "currency": "usd"},
    ]

    assert [getattr(read(json.dumps(body).encode()), "message", None) for body in bodies] == [
        "expected text without control characters",
        "expected an ISO 4217 code such as USD",
    ]


@pytest.mark.parametrize(
    "price", ["1e-400", "0.01000000000000000000001", "1e-999999999999999999999", '"much"', "null", "true"]
)
def test_no_price_is_rounded_or_guessed(price: str) -> None:
    body = wire.decoder(wire.ProductBody)(f'{{"name": "a", "price": {price}, "stockQuantity": 1}}'.encode())

    assert isinstance(body, wire.ProductBody)
    refused = body.product(600)
    assert isinstance(refused, Invalid)
    assert refused.field == "price"
