"""The audit of the whole database: rule 1, product by product."""

from typing import Any

import apsw

from flashreserve.stores.port import Audit, Difference, SetAside
from flashreserve.stores.sqlite import rows
from flashreserve.stores.unreadable import NAMED_MAX


def sum_up(connection: apsw.Connection) -> Audit:
    """Check rule 1 for every product, as `ReservationStore.audit` does."""
    with connection:  # One transaction, so that all queries see the same state.
        found: list[Any] = connection.execute(rows.SELECT_BOOKS).fetchall()
        unreadable = int(connection.execute(rows.COUNT_UNREADABLE).get)
        bad: list[Any] = connection.execute(rows.SELECT_UNREADABLE, (NAMED_MAX,)).fetchall()
    books = [Difference(*figures) for *figures, _ in found]
    wrong = [book for book in books if book.available != book.stocked - book.live]
    named = [SetAside("reservation", id_, why) for id_, why in bad]
    return Audit(len(books), found[0][-1] if found else 0, wrong, unreadable=unreadable, set_aside=named)
