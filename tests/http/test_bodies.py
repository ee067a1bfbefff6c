import msgspec
import pytest

from flashreserve.core.outcomes import Invalid
from flashreserve.http import bodies, reader
from flashreserve.http.operations import OPERATIONS
from flashreserve.http.problems import FieldError


@pytest.mark.parametrize(
    "price",
    [
        "1e-400",
        "0.01000000000000000000001",
        *(f"1e-{10**18 + more}" for more in (-3, -1, 0, 1, 10**17, 10**18 - 3, 10**18 - 1)),
        "1e-999999999999999999999",
        '"much"',
        "null",
        "true",
    ],
)
def test_no_price_is_rounded_or_guessed(price: str) -> None:
    body = reader.decoder(bodies.ProductBody)(f'{{"name": "a", "price": {price}, "stockQuantity": 1}}'.encode())

    assert isinstance(body, bodies.ProductBody)
    refused = body.product(600)
    assert isinstance(refused, Invalid)
    assert refused.field == "price"


def test_no_field_is_shorter_than_the_search_for_repeated_ones_takes_for_granted() -> None:
    whole = [operation.body.kind for operation in OPERATIONS if operation.body is not None]
    kinds: list[type[msgspec.Struct]] = [*whole, bodies.LineBody]

    fields = [field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)]

    assert min(map(len, fields)) == reader.FIELD_LETTERS_MIN
    assert isinstance(reader.decoder(bodies.EndpointEditBody)(b'{"url":1,"url":1}'), FieldError)
    assert isinstance(reader.decoder(bodies.ProductEditBody)(b'{"name":1,"name":1}'), FieldError)
    assert isinstance(reader.decoder(bodies.ProductEditBody)(b'{"price":1,"price":1}'), FieldError)
