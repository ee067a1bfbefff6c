"""Loading the facts that commands need, inside a transaction."""

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import Final

import apsw
import msgspec

from flashreserve.core.commands import Command
from flashreserve.core.facts import Claim, Facts
from flashreserve.core.lookup import Found, Lookup, facts_from, gather_facts
from flashreserve.core.model import Adjustment, Product, Reservation
from flashreserve.core.quotas import Quotas
from flashreserve.stores.sqlite import rows
from flashreserve.stores.sqlite.columns import ADJUSTMENTS, PRODUCTS, RESERVATIONS
from flashreserve.stores.sqlite.unindexed import UnindexedReservations

_products = PRODUCTS.json_decoder().decode
_claims = msgspec.json.Decoder(list[tuple[str, str, str]]).decode
_indexed = msgspec.json.Decoder(list[tuple[str, str]]).decode
_NO_PLACE: Final = 2**62
"""Greater than every place (row number) in `fresh`, so that no row of it is read."""
_NONE: Final[set[str]] = set()


def load(
    connection: apsw.Connection, unindexed: UnindexedReservations, commands: Iterable[Command], quotas: Quotas, now: int
) -> Facts:
    """The facts on which the commands can be planned."""
    return facts_from(gather_facts(commands, quotas, now), partial(_find, connection, unindexed, now))


def _find(connection: apsw.Connection, unindexed: UnindexedReservations, now: int, lookup: Lookup) -> Found:
    found = Found()
    if lookup.product_ids or lookup.keys or lookup.customers:
        found.products, found.claims, found.counting = _select_for_flush(connection, unindexed, lookup, now)
    if lookup.claims:
        found.claims = {**found.claims, **_select_claims(connection, lookup.claims)}
    if lookup.reservation_ids:
        found.reservations = _select_reservations(connection, lookup.reservation_ids)
    if lookup.adjustments:
        found.adjustments = _select_adjustments(connection, lookup.adjustments)
    if lookup.edited_product_ids:
        found.reserved_product_ids = _select_reserved(connection, lookup.edited_product_ids)
    return found


def _select_for_flush(
    connection: apsw.Connection, unindexed: UnindexedReservations, lookup: Lookup, now: int
) -> tuple[dict[str, Product], dict[Claim, str], dict[str, set[str]]]:
    """The products, the holders of the keys, and by customer the reservations that may count for quotas."""
    after = unindexed.place if lookup.keys or lookup.customers else _NO_PLACE
    customers = list(lookup.customers)
    listed = (rows.to_json(list(lookup.product_ids)), rows.to_json(list(lookup.keys)))
    values = (*listed, after, bool(customers), rows.to_json(customers), now)
    found: tuple[str, str, str, str, int | None, int | None] = connection.execute(rows.SELECT_FOR_FLUSH, values).get
    of_products, of_claims, of_fresh, of_filed, first, last = found
    products = {row[0]: PRODUCTS.struct(row) for row in _products(of_products)}
    if after == _NO_PLACE:
        return products, {}, {}
    unindexed.learn(of_fresh, first, last)
    indexed = {(user_id, claim): holder for user_id, claim, holder in _claims(of_claims)}
    counting: dict[str, set[str]] = {}
    for user_id, reservation_id in chain(_indexed(of_filed), unindexed.counting(customers, now)):
        counting.setdefault(user_id, set()).add(reservation_id)
    return products, indexed | unindexed.holders(lookup.keys), dict.fromkeys(customers, _NONE) | counting


def _select_reservations(connection: apsw.Connection, ids: set[str]) -> dict[str, Reservation]:
    found = connection.execute(rows.SELECT_RESERVATIONS, (rows.to_json(list(ids)),))
    return {row[0]: RESERVATIONS.struct(row) for row in found}


def _select_claims(connection: apsw.Connection, claims: set[Claim]) -> dict[Claim, str]:
    found = connection.execute(rows.SELECT_CLAIMS, (rows.to_json(list(claims)),))
    return {(user_id, claim): holder for user_id, claim, holder in found}


def _select_adjustments(connection: apsw.Connection, keys: set[tuple[str, str]]) -> dict[tuple[str, str], Adjustment]:
    found = map(ADJUSTMENTS.struct, connection.execute(rows.SELECT_ADJUSTMENTS, (rows.to_json(list(keys)),)))
    return {(adjustment.product_id, adjustment.key): adjustment for adjustment in found}


def _select_reserved(connection: apsw.Connection, ids: set[str]) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute(rows.SELECT_RESERVED, (rows.to_json(list(ids)),)))
