"""Every kind of fault in a body is described in our own words: the field, and what was expected."""

import enum
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from flashreserve.http import fields, reader
from flashreserve.http.bodies import BasketBody, CredentialsBody, LineBody, ProductBody, ProductEditBody, ReserveBody
from flashreserve.http.problems import FieldError
from flashreserve.suggestions import nearest


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Inner(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    units: Annotated[int, Meta(ge=1, le=3)] = 1
    product_id: fields.Id | None = None


class Every(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A field of each kind of type."""

    needed: Annotated[int, Meta(ge=1)]
    most: Annotated[int, Meta(le=9)] | None = None
    ratio: float = 1.0
    exact: Decimal | None = None
    flag: bool = True
    any_text: str = ""
    short: Annotated[str, Meta(max_length=3)] = ""
    code: Annotated[str, Meta(min_length=2)] = ""
    name: fields.Name = "x"
    currency: fields.CurrencyCode = "USD"
    id: fields.Id | None = None
    uuid: UUID | None = None
    time: fields.Instant | None = None
    bare_time: Annotated[datetime, Meta(tz=True)] | None = None
    colour: Colour = Colour.RED
    size: Literal["S", "M"] = "S"
    lines: Annotated[list[Inner], Meta(min_length=1, max_length=2)] | None = None
    few: Annotated[list[int], Meta(max_length=1)] | None = None
    pairs: Annotated[dict[str, int], Meta(max_length=1)] | None = None
    pair: tuple[int, int] | None = None
    inner: Inner | None = None
    price: fields.Price = 1


ID = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"
A_TIME = "a time with its zone, such as 2026-11-27T10:00:00+01:00"
EXPECTED_NAMES = "unknown field; expected quantity, externalId or metadata"
A_VALUE = "expected text of at most 500 characters"
A_METADATA = "expected an object of at most 20 texts with names of 1 to 40 characters, or null"
FIELDS = [
    ('"needed": "1"', "needed", "expected a whole number of at least 1; found text"),
    ('"needed": 0', "needed", "expected a whole number of at least 1"),
    ('"needed": 1.5', "needed", "expected a whole number of at least 1; found a number that isn't whole"),
    ('"needed": true', "needed", "expected a whole number of at least 1; found true or false"),
    ('"needed": null', "needed", "expected a whole number of at least 1; found null"),
    ('"needed": []', "needed", "expected a whole number of at least 1; found a list"),
    ('"needed": {}', "needed", "expected a whole number of at least 1; found an object"),
    ('"needed": 1e999', "needed", "expected a whole number of at least 1"),
    ('"most": ' + "9" * 30, "most", "expected a whole number of at most 9, or null"),
    ('"most": ' + "9" * 9_000, "most", "expected a whole number of at most 9, or null"),
    ('"ratio": "x"', "ratio", "expected a number; found text"),
    ('"exact": "x"', "exact", "expected a number, or null"),
    ('"flag": 1', "flag", "expected true or false; found a whole number"),
    ('"anyText": 1', "anyText", "expected text; found a whole number"),
    ('"short": "abcd"', "short", "expected text of at most 3 characters"),
    ('"code": "a"', "code", "expected text of at least 2 characters"),
    ('"name": 1', "name", "expected text of 1 to 200 characters on one line; found a whole number"),
    ('"currency": "usd"', "currency", "expected three capital letters of ISO 4217, such as USD"),
    ('"id": "x"', "id", "expected a UUID, or null"),
    ('"uuid": "x"', "uuid", "expected a UUID, or null"),
    ('"time": "tomorrow"', "time", f"expected {A_TIME}, or null"),
    ('"time": "2026-11-27T10:00:00"', "time", f"expected {A_TIME}, or null"),
    ('"time": 5', "time", f"expected {A_TIME}, or null; found a whole number"),
    ('"bareTime": "2026-02-30T10:00:00Z"', "bareTime", f"expected {A_TIME}, or null"),
    ('"colour": "blue"', "colour", "expected red or green"),
    ('"size": "L"', "size", "expected M or S"),
    ('"lines": []', "lines", "expected a list of 1 to 2 entries, or null"),
    ('"lines": [{}, {}, {}]', "lines", "expected a list of 1 to 2 entries, or null"),
    ('"lines": [1]', "lines[0]", "expected an object; found a whole number"),
    ('"lines": [{}, {"units": 4}]', "lines[1].units", "expected a whole number from 1 to 3"),
    ('"lines": [{"product_id": "x"}]', "lines[0].product_id", "unknown field; did you mean productId?"),
    ('"few": [1, 2]', "few", "expected a list of at most 1 entries, or null"),
    ('"pairs": {"a": 1, "b": 2}', "pairs", "expected an object of at most 1 fields, or null"),
    ('"pairs": {"a": "x"}', "pairs.a", "expected a whole number; found text"),
    ('"pair": [1]', "pair", "expected another value, or null"),
    ('"inner": {"x": 1}', "inner.x", "unknown field; expected units or productId"),
    ('"price": ' + "9" * 9_000, "price", "expected a number such as 999.99"),
    ('"need": 1', "need", "unknown field; did you mean needed?"),
]


@pytest.mark.parametrize(("field", "place", "message"), FIELDS, ids=[f"{text[:40]}" for text, _, _ in FIELDS])
def test_a_fault_in_a_field_is_told_with_what_was_expected(field: str, place: str, message: str) -> None:
    needed = "" if field.startswith('"needed"') else ', "needed": 1'

    assert reader.decoder(Every)(f"{{{field}{needed}}}".encode()) == FieldError(place, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected a JSON document"),
        (b" \n", "expected a JSON document"),
        (b'{"price": 1', "expected a JSON document; it ends too early"),
        (b'{"price":', "expected a JSON document; it ends too early"),
        (b"{\n  'price': 1}", "expected JSON; line 2, column 3 is invalid"),
        ('{"name": "ä" 1}'.encode(), "expected JSON; line 1, column 14 is invalid"),
        (b'{"price": tru}', "expected JSON; line 1, column 11 is invalid"),
        (b'{"price": 1} x', "expected JSON; line 1, column 14 is invalid"),
        (b'{"price": 1, "price": 1 x}', "expected JSON; line 1, column 25 is invalid"),
        (b"\xef\xbb\xbf{}", "expected JSON; line 1, column 1 is invalid"),
        (b"price=1", "expected JSON; line 1, column 1 is invalid"),
        (b'{"pri\xffce": 1}', "expected JSON in UTF-8; byte 6 is invalid"),
        (b"\xff\xfe{\x00}\x00", "expected JSON in UTF-8; byte 1 is invalid"),
        (b'{"price": NaN}', "expected JSON without NaN, Infinity and halves of surrogate pairs"),
        (b'{"name": "\\ud800"}', "expected JSON without NaN, Infinity and halves of surrogate pairs"),
        (b"[]", "expected an object; found a list"),
        (b"null", "expected an object; found null"),
        (b'"x"', "expected an object; found text"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_with_the_place(body: bytes, message: str) -> None:
    assert reader.decoder(ProductEditBody)(body) == FieldError("body", message)


def test_a_body_that_is_too_deep_is_told() -> None:
    deep = b'{"price": ' + b"[" * 60_000 + b"]" * 60_000 + b"}"

    assert reader.decoder(ProductEditBody)(deep) == FieldError(
        "body", "expected objects and lists less deep in one another"
    )


@pytest.mark.parametrize(
    ("kind", "body", "field", "message"),
    [
        (ReserveBody, b'{"qty": 1}', "qty", "unknown field; did you mean quantity?"),
        (ReserveBody, b'{"Quantity": 1}', "Quantity", "unknown field; did you mean quantity?"),
        (ReserveBody, b'{"colour": 1}', "colour", EXPECTED_NAMES),
        (LineBody, b"{}", "productId", "missing; expected a UUID"),
        (BasketBody, b"{}", "lines", "missing; expected a list of 1 to 20 entries"),
        (
            BasketBody,
            b'{"lines": [{"product": 1}]}',
            "lines[0].product",
            "unknown field; did you mean productId?",
        ),
        (ReserveBody, b'{"metadata": {"a": "b", "paid": true}}', "metadata.paid", f"{A_VALUE}; found true or false"),
        (ReserveBody, b'{"metadata": {"a. b": null}, "quantity": 0}', 'metadata."a. b"', f"{A_VALUE}; found null"),
        (ProductBody, b'{"metadata": {"a": {"b": 1}}, "name": 1}', "metadata.a", f"{A_VALUE}; found an object"),
        (ReserveBody, b'{"metadata": {"' + b"k" * 5_000 + b'": 1}}', "metadata", A_METADATA),
        (ReserveBody, b'{"metadata": {"": "x"}}', "metadata", A_METADATA),
        (ReserveBody, b'{"metadata": {"a": 1}, "a": 1e999}', "metadata[...]", f"{A_VALUE}; found a whole number"),
        (ReserveBody, b'{"metadata": {"a": 1, "a": "b"}}', "metadata[...]", f"{A_VALUE}; found a whole number"),
        (CredentialsBody, b'{"mail": "x"}', "mail", "unknown field; did you mean email?"),
        (CredentialsBody, b'{"otp": "x"}', "otp", "unknown field; expected email or password"),
        (ProductEditBody, b'{"hold_s": 1}', "hold_s", "unknown field; did you mean holdSeconds?"),
        (ReserveBody, b'{"' + b"x" * 5_000 + b'": 1}', "x" * 100, EXPECTED_NAMES),
        (ReserveBody, b'{"": 1}', '""', EXPECTED_NAMES),
        (ReserveBody, b'{".": 1}', '"."', EXPECTED_NAMES),
        (ReserveBody, b'{".quantity": 1}', '".quantity"', "unknown field; did you mean quantity?"),
        (ReserveBody, b'{"quantity.": 1}', '"quantity."', "unknown field; did you mean quantity?"),
        (ReserveBody, b'{"\\n`": 1}', '"\\n`"', EXPECTED_NAMES),
        (ReserveBody, '{"gr\u00f6\u00dfe": 1}'.encode(), "gr\u00f6\u00dfe", EXPECTED_NAMES),
        (BasketBody, b'{"lines[0].quantity": 1}', '"lines[0].quantity"', "unknown field; did you mean lines?"),
        (BasketBody, b'{"lines": [{"": 1}]}', 'lines[0].""', "unknown field; expected productId or quantity"),
    ],
)
def test_a_field_that_is_unknown_or_missing_is_told_with_those_there_are(
    kind: Any, body: bytes, field: str, message: str
) -> None:
    assert reader.decoder(kind)(body) == FieldError(field, message)


@pytest.mark.parametrize("end", ["$", "$.x", "$.lines[0].y", "$[0]", "$[0].lines[0]", "`key` in `$[0].lines"])
def test_a_name_that_looks_like_the_end_of_a_message_forges_no_place(end: str) -> None:
    name = f"x` - at `{end}"
    shown = f'"{name}"'
    read = reader.decoder(BasketBody)

    at_the_top = read(msgspec.json.encode({name: 1}))
    in_a_line = read(msgspec.json.encode({"lines": [{name: 1}]}))

    assert at_the_top == FieldError(shown, "unknown field; expected lines, externalId or metadata")
    assert in_a_line == FieldError(f"lines[0].{shown}", "unknown field; expected productId or quantity")
    assert read(b'{"x` - at `$.y": 1, and no JSON') == FieldError(
        '"x` - at `$.y"', "unknown field; expected lines, externalId or metadata"
    )


def test_a_value_that_looks_like_the_end_of_a_message_forges_no_place() -> None:
    told = reader.decoder(Every)(b'{"needed": 1, "colour": "x` - at `$[0].lines"}')

    assert told == FieldError("colour", "expected red or green")


@pytest.mark.parametrize(("word", "meant"), [("q", None), ("qt", None), ("", None), ("quant", "quantity"), ("x", None)])
def test_only_what_is_like_a_name_leads_to_it(word: str, meant: str | None) -> None:
    assert nearest(word, ["quantity"]) == meant
