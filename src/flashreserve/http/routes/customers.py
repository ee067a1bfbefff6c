"""Routes to export and erase what is stored about a customer, for admins."""

from collections.abc import AsyncIterator
from typing import Final, assert_never

from litestar import Controller, Response, delete, get
from litestar.params import FromPath
from litestar.response import Stream

from flashreserve.core import customers as ids
from flashreserve.core.outcomes import NotFound
from flashreserve.http import answers, callers, fields, requests
from flashreserve.http.answers import JSON, RefusalError, bad_request
from flashreserve.http.customer_export import ErasedView, customer_export
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.http.services import Services
from flashreserve.service.persons import AdminKept, Erased, ErasureUnfinished

_PREFIX: Final = "/customers/"


class CustomerRoutes(Controller):
    """`/customers`."""

    @get("/customers/{id:path}")
    async def export(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Stream:  # noqa: A002
        """All that is stored about a customer."""
        del id  # Its type `path` changes some ids.
        await callers.manager(headers_of(request), services)
        customer_id = _customer_id(request)
        if not await services.persons.is_stored(customer_id):
            raise RefusalError("not-found", f"nothing is stored about the customer {customer_id}")
        return Stream(_lines(customer_id, services), media_type=JSON)

    @delete("/customers/{id:path}", status_code=200)
    async def erase(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Erase a customer."""
        del id
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        customer_id = _customer_id(request)
        persons = services.persons
        if not await persons.is_stored(customer_id) and not await persons.was_erased(customer_id):
            return outcome_reply(NotFound("customer", customer_id), request)
        match await persons.erase(customer_id, by):
            case Erased(account, reservations):
                return reply(answers.ok(ErasedView(account, reservations)))
            case AdminKept():
                return reply(answers.refusal("still-admin", "demote the account first", place_of(request)))
            case ErasureUnfinished(left):
                detail = f"{left} or more reservations are still being changed; erase again in a minute"
                return reply(answers.refusal("erasure-unfinished", detail, place_of(request), retry_after_seconds=60))
            case outcome:
                assert_never(outcome)


async def _lines(customer_id: str, services: Services) -> AsyncIterator[bytes]:
    async for line in customer_export(customer_id, services.persons, services.reservations):
        yield line.encode() + b"\n"


def _customer_id(request: HttpRequest) -> str:
    customer_id = requests.rest_of_path(request, _PREFIX, fields.CustomerId, "id")
    if not ids.is_customer_id(customer_id):
        raise bad_request("id", f"expected {ids.EXPECTED}")
    return customer_id
