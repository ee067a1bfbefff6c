from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flashreserve.core import limits
from flashreserve.core.money import format_price, parse_price, places_of
from flashreserve.core.outcomes import Invalid


@pytest.mark.parametrize(
    ("currency", "places"), [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("eur", None), ("", None)]
)
def test_each_currency_has_its_places(currency: str, places: int | None) -> None:
    assert places_of(currency) == places


@pytest.mark.parametrize(
    ("price", "currency", "minor"),
    [
        ("999.99", "USD", 99_999),
        ("0", "USD", 0),
        ("-0", "USD", 0),
        ("0.01", "EUR", 1),
        ("12", "EUR", 1_200),
        ("12.500", "EUR", 1_250),
        ("1e3", "EUR", 100_000),
        ("120", "JPY", 120),
        ("120.0", "JPY", 120),
        ("1.234", "KWD", 1_234),
        ("10000000000", "USD", limits.PRICE_MINOR_MAX),
    ],
)
def test_a_price_becomes_the_smallest_unit(price: str, currency: str, minor: int) -> None:
    assert parse_price(Decimal(price), currency) == minor


@pytest.mark.parametrize(
    ("price", "currency", "message"),
    [
        ("0.001", "USD", "at most 2 decimal places for USD"),
        ("1.5", "JPY", "at most 0 decimal places for JPY"),
        ("1.00000000000000000000000000000000000000001", "USD", "at most 2 decimal places"),
        ("1E-999999", "USD", "at most 2 decimal places"),
        ("-0.01", "USD", "a number from 0 to 10000000000.00"),
        ("10000000000.01", "USD", "a number from 0 to 10000000000.00"),
        ("1E+999999", "USD", "a number from 0 to"),
        ("NaN", "USD", "a number from 0 to"),
        ("sNaN", "USD", "a number from 0 to"),
        ("Infinity", "USD", "a number from 0 to"),
    ],
)
def test_a_price_that_cannot_be_is_refused(price: str, currency: str, message: str) -> None:
    refused = parse_price(Decimal(price), currency)
    assert isinstance(refused, Invalid)
    assert refused.field == "price"
    assert message in refused.message


@pytest.mark.parametrize("currency", ["ABC", "usd", "US", "", "XXX", "XAU"])
def test_a_currency_that_nothing_can_be_paid_in_is_refused(currency: str) -> None:
    refused = parse_price(Decimal(1), currency)
    assert isinstance(refused, Invalid)
    assert refused.field == "currency"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(99_999, "USD", "999.99"), (5, "USD", "0.05"), (0, "EUR", "0.00"), (120, "JPY", "120"), (1_001, "KWD", "1.001")],
)
def test_a_price_is_written_with_all_places(minor: int, currency: str, text: str) -> None:
    assert format_price(minor, currency) == text


@given(st.integers(0, limits.PRICE_MINOR_MAX), st.sampled_from(["USD", "JPY", "KWD"]))
def test_what_is_written_reads_as_the_same_price(minor: int, currency: str) -> None:
    price = Decimal(format_price(minor, currency))
    assert parse_price(price, currency) == minor
