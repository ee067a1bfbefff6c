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

NAME_LENGTH_MAX: Final = 200
"""Characters of a product's name."""

KEY_LENGTH_MAX: Final = 255
"""Characters of an idempotency key."""

PRICE_MINOR_MAX: Final = 10**12
"""Highest price of one unit, in the currency's smallest unit (such as cents)."""

HOLD_S_DEFAULT: Final = 600
HOLD_S_MAX: Final = 7 * 24 * 3600
"""Longest hold time before the first extension, in seconds."""

EXTENSIONS_MAX: Final = 100
"""Highest number of extensions that a product may allow."""

FLUSH_MAX: Final = 512
"""Commands in one flush."""

SWEEP_MAX: Final = 1_000
"""Lapsed holds released in one step of a sweep."""

PAGE_MAX: Final = 200
"""Products or reservations in one page of a list."""

INSTANT_MAX_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the latest instant that RFC 3339 can write."""
