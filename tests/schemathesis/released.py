"""A check for Schemathesis to take the place of its own for what was deleted, where that can't hold.

DELETE gives units back; the reservation stays, for its owner to see what became of it. So what must not happen after a
DELETE isn't that it can be read, but that it reads as held or bought.
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
        assert reservation["status"] in RELEASED, "what was given back reads as held or bought"
