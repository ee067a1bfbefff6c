"""All limits of the domain. A name ends with its unit."""

from typing import Final

STOCK_MAX: Final = 1_000_000_000
"""Units of one product that may ever be put in stock."""

QUANTITY_MAX: Final = 1_000
"""Units of one product in one reservation."""

LINES_MAX: Final = 20
"""Different products in one basket."""

PER_CUSTOMER_LIMIT_MAX: Final = 1_000
"""The highest limit that a product may have: units of it per customer. Each unit is a claim of its own."""

OPEN_HOLDS_DEFAULT: Final = 20
OPEN_HOLDS_MAX: Final = 100
"""Highest quota of one customer's open holds. Each is a claim of its own."""

HOLDS_PER_HOUR_DEFAULT: Final = 100
HOLDS_PER_HOUR_MAX: Final = 1_000
"""Highest quota of holds granted to one customer in an hour. Each is a claim of its own."""

LAPSES_PER_HOUR_DEFAULT: Final = 10
"""The default quota of lapses: holds granted in an hour that a customer may let lapse without buying any."""

EXTERNAL_ID_LENGTH_MAX: Final = 128
"""Characters of a shop's own id of a product or reservation."""

DESCRIPTION_LENGTH_MAX: Final = 2_000
"""Characters of a product's description."""

URL_LENGTH_MAX: Final = 2_000
"""Characters of the address of a product's picture."""

METADATA_PAIRS_MAX: Final = 20
METADATA_KEY_LENGTH_MAX: Final = 40
METADATA_VALUE_LENGTH_MAX: Final = 500
"""Characters of a value in the metadata of a product or reservation."""

NAME_LENGTH_MAX: Final = 200
"""Characters of a product's name."""

API_KEYS_MAX: Final = 200
"""API keys that aren't revoked. Every process keeps all of them in memory."""

ENDPOINTS_MAX: Final = 20
"""Webhook endpoints that aren't removed. Each gets every event that it wants."""

SIGN_OUTS_MAX: Final = 10_000
"""Accounts whose earlier tokens are refused, in memory. Their tokens expire by themselves within the tokens' time."""

ERASURES_KEPT_S: Final = 30 * 24 * 3600
"""How long the tokens of a person who was erased are refused: no token of an own account lives longer."""

ERASED_AT_ONCE: Final = 500
"""Reservations of a person that are rewritten in one step."""

CUSTOMER_ID_LENGTH_MAX: Final = 128
"""Characters of a customer's id."""

REASON_LENGTH_MAX: Final = 500
"""Characters of the reason for a return."""

KEY_LENGTH_MAX: Final = 255
"""Characters of an idempotency key."""

PRICE_MINOR_MAX: Final = 10**12
"""Highest price of one unit, in the currency's smallest unit (such as cents)."""

HOLD_S_DEFAULT: Final = 600
HOLD_S_MAX: Final = 7 * 24 * 3600
"""Longest hold time before the first extension, in seconds."""

EXTENSIONS_MAX: Final = 100
"""Highest number of extensions that a product may allow."""

RETURNS_MAX: Final = 100
"""How often units of one reservation may be given back. Each time is an entry in the reservation."""

FLUSH_MAX: Final = 512
"""Commands in one flush."""

SWEEP_MAX: Final = 1_000
"""Lapsed holds released in one step of a sweep."""

PAGE_MAX: Final = 200
"""Products or reservations in one page of a list."""

INSTANT_MAX_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the latest instant that RFC 3339 can write."""
