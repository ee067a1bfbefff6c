"""The invariants: in every state, the books balance, claims are unique, and promises are kept."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import assert_never

from model.documents import KEY, DatabaseState, ProductDoc, ReleaseIntent, ReserveIntent, ReturnIntent
from model.processes import ModelPromise, PromiseKind


def violation_of(database: DatabaseState, promises: Iterable[ModelPromise]) -> str | None:
    """The first violation; None if there is none."""
    return next(_violations(database, promises), None)


def _violations(database: DatabaseState, promises: Iterable[ModelPromise]) -> Iterator[str]:
    for product in database.products:
        yield from _of_stock(database, product)
    yield from _of_claims(database)
    for promise in sorted(promises, key=lambda promise: (promise.kind.value, promise.subject, promise.until)):
        yield from _of_promise(database, promise)


def _of_stock(database: DatabaseState, product: ProductDoc) -> Iterator[str]:
    """Rule 1, exact at every instant: available = stocked - live units - units on their way."""
    live = sum(document.units(product.id) for document in database.reservations if document.is_live)
    right = product.stocked - live - _units_on_their_way(database, product)
    for document in database.reservations:
        if document.units(product.id) < 0:
            yield f"OVERRETURN: {document.id} has {document.units(product.id)} units of {product.id}"
    if product.available < 0:
        yield f"available is below 0 on {product.id}"
    if live > product.stocked:
        yield f"OVERSOLD on {product.id}: {live} units held or sold, {product.stocked} stocked"
    if product.available < right:
        yield f"LEAK on {product.id}: {product.available} units available, should be {right}"
    if product.available > right:
        yield f"OVERCREDIT on {product.id}: {product.available} units available, should be {right}"


def _units_on_their_way(database: DatabaseState, product: ProductDoc) -> int:
    """The units that open movements have still to give back, should nothing more be reserved or released."""
    units = 0
    for intent in product.intents:
        match intent:
            case ReserveIntent(f, _, items):
                for item in items:
                    document = database.reservation(item.reservation)
                    if document is None or document.status == "VOID" or document.taken_by != f:
                        units += item.quantity
            case ReleaseIntent(f):
                released = [document for document in database.reservations if document.released_by == f]
                units += sum(document.units(product.id) for document in released)
            case ReturnIntent(f):
                units += sum(document.units_returned(f, product.id) for document in database.reservations)
            case _:
                assert_never(intent)
    return units


def _of_claims(database: DatabaseState) -> Iterator[str]:
    """One reservation for a key and for a request, one live hold for each unit of a limit."""
    real = [document for document in database.reservations if document.status != "VOID"]
    live = [document for document in real if document.is_live]
    lasting = [each for each in live if each.status == "CONFIRMED" or each.expires_at > database.clock]
    keys = [(document.user, claim) for document in real for claim in document.claims if claim.startswith(KEY)]
    limits = [(document.user, claim) for document in lasting for claim in document.limits]
    for (user, key), count in Counter(keys).items():
        if count > 1:
            yield f"{user} has {count} reservations for {key}"
    for (user, limit), count in Counter(limits).items():
        if count > 1:
            yield f"{user} has {count} live holds for {limit}"
    for request, count in Counter(document.request for document in live).items():
        if request and count > 1:
            yield f"request {request} has {count} live holds"


def _of_promise(database: DatabaseState, promise: ModelPromise) -> Iterator[str]:
    kind, subject, until = promise
    if kind is PromiseKind.RETURNED or kind is PromiseKind.NOT_RETURNED:
        yield from _of_return(database, promise)
        return
    document = database.reservation(subject)
    status: str = "VOID" if document is None else document.status
    match kind:
        case PromiseKind.GRANTED:
            wrong = status == "VOID"
        case PromiseKind.REFUSED:
            made = [each for each in database.reservations if each.request == subject and each.status != "VOID"]
            wrong, status = bool(made), "there"
        case PromiseKind.CONFIRMED:
            wrong = status != "CONFIRMED"
        case PromiseKind.OVER:
            lasting = document is not None and document.status == "PENDING" and document.expires_at > database.clock
            wrong = status == "CONFIRMED" or lasting
        case PromiseKind.EXTENDED:
            wrong = document is None or document.expires_at < until
        case PromiseKind.BOUGHT:
            units = sum(document.units(product.id) for product in database.products) if document is not None else 0
            wrong = status != "CONFIRMED" or units != until
        case PromiseKind.NOT_CANCELLED:
            wrong = status == "CANCELLED"
        case _:
            assert_never(kind)
    if wrong:
        yield f"{subject} was told {kind.name}, and is {status}"


def _of_return(database: DatabaseState, promise: ModelPromise) -> Iterator[str]:
    """The promise names a reservation and a key: there is one return under the key, or none."""
    id_, _, key = promise.subject.partition("/")
    document = database.reservation(id_)
    count = [entry.key for entry in document.returns].count(key) if document is not None else 0
    if count != (promise.kind is PromiseKind.RETURNED):
        yield f"{promise.subject} was told {promise.kind.name}, and there are {count} returns"
