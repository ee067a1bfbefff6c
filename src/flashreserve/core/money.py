"""Prices: exact decimals in the API, integers in the currency's smallest unit inside."""

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from functools import lru_cache
from typing import Final

from iso4217 import Currency

from flashreserve.core import limits
from flashreserve.core.outcomes import Invalid

_EXACT: Final = Context(prec=1_000_000, Emin=MIN_EMIN, Emax=MAX_EMAX)
"""Exact arithmetic. Python's default context rounds to 28 digits, and could round a fraction away."""


@lru_cache(maxsize=1024)
def places_of(currency: str) -> int | None:
    """Decimal places of a currency by its ISO 4217 code; None if there is no such currency."""
    try:
        return Currency(currency).exponent
    except ValueError:
        return None


def parse_price(price: Decimal, currency: str) -> int | Invalid:
    """The price in the currency's smallest unit. Refused if negative, too large, or with too many decimal places."""
    places = places_of(currency)
    if places is None:
        return Invalid("currency", "expected an ISO 4217 code of a currency with units, such as USD")
    if not price.is_finite() or price < 0 or price > limits.PRICE_MINOR_MAX:
        return Invalid("price", f"expected a number from 0 to {format_price(limits.PRICE_MINOR_MAX, currency)}")
    minor = price.scaleb(places, _EXACT)
    if minor > limits.PRICE_MINOR_MAX:
        return Invalid("price", f"expected a number from 0 to {format_price(limits.PRICE_MINOR_MAX, currency)}")
    if minor != minor.to_integral_value():
        return Invalid("price", f"expected at most {places} decimal places for {currency}")
    return int(minor)


def format_price(minor: int, currency: str) -> str:
    """The price as a decimal with all of the currency's places."""
    places = places_of(currency) or 0
    if places == 0:
        return str(minor)
    whole, rest = divmod(minor, 10**places)
    return f"{whole}.{rest:0{places}d}"
