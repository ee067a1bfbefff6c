"""The audit of the whole database: rule 1, product by product."""

from typing import Any, Final

import apsw

from flashreserve.core.audits import Audit, Difference, SetAside
from flashreserve.stores.sqlite import rows
from flashreserve.stores.unreadable import NAMED_MAX

_ALL: Final = -1
"""No limit, in SQLite's LIMIT."""


def sum_up(connection: apsw.Connection) -> Audit:
    """Check rule 1 for every product, as `ReservationStore.audit` does."""
    with connection:  # One transaction, so that all queries see the same state.
        found: list[Any] = connection.execute(rows.SELECT_BOOKS).fetchall()
        named: list[SetAside] = []
        unreadable = 0
        for id_, why in connection.execute(rows.SELECT_UNREADABLE, (_ALL,)):  # once, as it reads all rows
            unreadable += 1
            if unreadable <= NAMED_MAX:
                named.append(SetAside("reservation", id_, why))
    books = [Difference(*figures) for *figures, _ in found]
    wrong = [book for book in books if book.available != book.stocked - book.live]
    return Audit(len(books), found[0][-1] if found else 0, wrong, unreadable=unreadable, set_aside=named)
