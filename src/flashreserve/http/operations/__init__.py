"""The table of operations: what can be asked over HTTP, by whom, and what it is answered.

The OpenAPI document is made from it, and routes take their query parameters from it. It has what sets an operation
apart. `openapi.py` adds what all have in common: bodies too large, a database outage, a request without a token.
"""

from typing import Final

from flashreserve.http.operations.accounts import ACCOUNTS
from flashreserve.http.operations.operation import Operation
from flashreserve.http.operations.ops import OPS
from flashreserve.http.operations.products import PRODUCTS
from flashreserve.http.operations.reservations import RESERVATIONS

OPERATIONS: Final[tuple[Operation, ...]] = (*ACCOUNTS, *PRODUCTS, *RESERVATIONS, *OPS)
