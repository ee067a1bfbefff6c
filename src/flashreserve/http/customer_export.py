"""All that is stored about a customer, as one JSON object, written piece by piece."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from flashreserve.core import limits
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Reservation
from flashreserve.http import views
from flashreserve.http.fields import CustomerId, InstantText
from flashreserve.service.persons import PersonService
from flashreserve.service.reservations import ReservationService
from flashreserve.stores.filters import ReservationFilter


class ErasedView(Struct, frozen=True):
    """The erasure of a customer: whether there was an own account, and in how many reservations the name was."""

    account: bool
    reservations: int


class ReturnExport(Struct, frozen=True):
    """A return of a reservation."""

    at: InstantText
    by: str
    reason: str | None


class ReservationExport(views.ReservationView, frozen=True, rename="camel"):
    """A reservation, with the texts beside it that may tell something of the person."""

    idempotency_key: str | None
    returns: list[ReturnExport]


class CustomerExport(Struct, frozen=True, rename="camel"):
    """The form of an export."""

    customer_id: CustomerId
    account: views.AccountForAdminsView | None
    reservations: list[ReservationExport]


async def customer_export(
    customer_id: str, persons: PersonService, reservations: ReservationService
) -> AsyncIterator[str]:
    """The object's lines: the account, or null, and every reservation.

    Raises:
        StoreUnavailableError: the database doesn't answer.
    """
    account = await persons.account(customer_id)
    yield f'{{"customerId": {json.dumps(customer_id)},'
    yield f'"account": {_json(None if account is None else views.account_for_admins(account))},'
    yield '"reservations": ['
    where, beyond, comma = ReservationFilter(user_id=customer_id), None, ""
    while True:
        page = await reservations.search(where, beyond, limits.PAGE_MAX)
        for held in page.reservations:
            yield f"{comma}{_json(_reservation(held))}"
            comma = ","
        beyond = page.beyond
        if beyond is None:
            break
    yield "]\n}"


def _reservation(held: Reservation) -> ReservationExport:
    returns = [ReturnExport(format_instant(entry.at), entry.by, entry.reason) for entry in held.returns]
    return ReservationExport(**asdict(views.reservation_view(held)), idempotency_key=held.key, returns=returns)


def _json(view: Any) -> str:
    return msgspec.json.encode(view).decode()
