"""Translation of the service's types into records for the auditor, which knows nothing of the service."""

from tests.proof.records import Held, ReturnedUnits

from flashreserve.core.model import Reservation


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
