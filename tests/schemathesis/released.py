"""A check that replaces Schemathesis' own `use_after_free`, which doesn't apply to reservations.

DELETE gives the units back, but the reservation stays, so that its owner can see its state. After a DELETE it can still
be read, but it must not read as held or bought.
"""

from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response

OK = 200
RELEASED = {"CANCELLED", "EXPIRED"}

_released: set[str] = set()


@schemathesis.check
def released_stays_released(_ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    if response.status_code != OK or case.operation.path != "/reservations/{id}":
        return
    reservation = response.json()
    if response.request.method == "DELETE":
        _released.add(reservation["id"])
    if reservation["id"] in _released:
        assert reservation["status"] in RELEASED, "a released reservation reads as held or bought"
