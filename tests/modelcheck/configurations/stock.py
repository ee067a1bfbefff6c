"""The products and holds of most configurations. The names say how many units there are, or what is held."""

from typing import Final

from tests.modelcheck.shop import hold, limit_claims, product, stored

A1: Final = product("A", 1)
A2: Final = product("A", 2)
A3: Final = product("A", 3)
B1: Final = product("B", 1)
B2: Final = product("B", 2)
B_HELD: Final = product("B", 1, 1)

BASKET: Final = hold("h1", "u1", "A", "B")
ONE_BASKET: Final = stored(product("A", 1, 1), B_HELD, reservations=[BASKET])
BASKET_AND_SINGLE: Final = stored(product("A", 2, 2), B_HELD, reservations=[BASKET, hold("h2", "u2", "A")])
TWO_HOLDS: Final = stored(product("A", 2, 2), reservations=[hold("h1", "u1", "A"), hold("h2", "u2", "A")])
ONE_HOLD: Final = stored(product("A", 1, 1), reservations=[hold("h", "u", "A")])
LAPSING_LIMITED: Final = stored(
    product("A", 2, 1, per_customer_limit=1), reservations=[hold("h", "u", "A", claims=limit_claims(0))]
)
