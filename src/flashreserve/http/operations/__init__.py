"""The table of operations: each HTTP operation, its callers, and its answers.

The OpenAPI document is made from it, and routes take their query parameters from it. An operation has only its own
problems; `openapi.py` adds the common ones: a body that is too large, a database outage, a missing token.
"""

from typing import Final

from flashreserve.http.operations.accounts import ACCOUNTS
from flashreserve.http.operations.customers import CUSTOMERS
from flashreserve.http.operations.events import EVENT_OPERATIONS
from flashreserve.http.operations.keys import KEYS
from flashreserve.http.operations.monitor import MONITOR
from flashreserve.http.operations.operation import Operation
from flashreserve.http.operations.ops import OPS
from flashreserve.http.operations.pages import PAGES
from flashreserve.http.operations.pauses import PAUSES
from flashreserve.http.operations.products import PRODUCTS
from flashreserve.http.operations.reservations import RESERVATIONS
from flashreserve.http.operations.streams import STREAMS
from flashreserve.http.operations.webhooks import WEBHOOK_OPERATIONS

OPERATIONS: Final[tuple[Operation, ...]] = (
    *ACCOUNTS,
    *KEYS,
    *PRODUCTS,
    *PAUSES,
    *RESERVATIONS,
    *EVENT_OPERATIONS,
    *WEBHOOK_OPERATIONS,
    *CUSTOMERS,
    *MONITOR,
    *STREAMS,
    *OPS,
    *PAGES,
)
