"""Translation of the service's types into records for the auditor, which knows nothing of the service."""

from tests.proof.records import Held, ReturnedUnits, ToldEvent

from flashreserve.core.events import ReservationChange, StockChange
from flashreserve.core.model import Reservation
from flashreserve.stores.filters import LoggedEvent


def held(reservation: Reservation) -> Held:
    """The reservation as a record of a history."""
    return Held(
        id=reservation.id,
        user=reservation.user_id,
        status=reservation.status.value,
        lines=tuple((line.product_id, line.quantity) for line in reservation.lines),
        created_at=reservation.created_at,
        expires_at=reservation.expires_at,
        hold_ms=reservation.hold_s * 1_000,
        extensions=reservation.extensions,
        confirmed_at=reservation.confirmed_at,
        released_at=reservation.released_at,
        key=reservation.key,
        returns=tuple(
            ReturnedUnits(tuple((line.product_id, line.quantity) for line in entry.lines), entry.key)
            for entry in reservation.returns
        ),
        label=reservation.external_id,
    )


def told(logged: LoggedEvent) -> ToldEvent:
    """The event as a record of a history."""
    place, event = logged
    record = ToldEvent(place, event.subject_id, event.n, event.type.value, event.at)
    match event.data:
        case ReservationChange() as change:
            returned = [(line.product_id, line.returned) for line in change.lines if line.returned]
            return record._replace(
                status=change.status.value,
                returned=tuple(sorted(returned)),
                extensions=change.extensions,
                expires_at=change.expires_at,
                given_back=tuple((line.product_id, line.quantity) for line in change.given_back),
            )
        case StockChange() as change:
            return record._replace(change=change.change, stocked=change.stocked)
        case _:
            return record
