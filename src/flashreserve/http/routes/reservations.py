"""Routes to reserve, confirm, extend and cancel, and to read one's own reservations."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath

from flashreserve.core.commands import Wanted
from flashreserve.core.outcomes import NotFound, Outcome
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.headers import idempotency_key
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply

_read_quantity: Final = reader.decoder(bodies.QuantityBody)
_read_basket: Final = reader.decoder(bodies.BasketBody)


class ReservationRoutes(Controller):
    """`/reservations` and `/checkout`."""

    @post("/reservations/{id:str}")
    async def reserve(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Hold units of one product."""
        identity = callers.customer(headers_of(request), services)
        product_id = requests.path_id(id, "productId")
        key = idempotency_key(headers_of(request))
        asked = await requests.body(request, _read_quantity, empty=bodies.QuantityBody())
        wanted = [Wanted(product_id, asked.quantity)]
        return outcome_reply(await services.reservations.reserve(identity.user_id, wanted, key), request)

    @post("/reservations")
    async def reserve_basket(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Hold units of several products, all or nothing."""
        identity = callers.customer(headers_of(request), services)
        key = idempotency_key(headers_of(request))
        asked = await requests.body(request, _read_basket)
        wanted = [line.wanted() for line in asked.lines]
        return outcome_reply(await services.reservations.reserve(identity.user_id, wanted, key), request)

    @get("/reservations")
    async def own(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The caller's reservations, newest first."""
        identity = callers.signed_in(headers_of(request), services)
        cursor, limit = requests.page(request)
        found = await services.reservations.of_user(identity.user_id, cursor, limit + 1)
        return reply(answers.ok(views.reservation_page(found, limit)))

    @get("/reservations/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One of the caller's reservations."""
        identity = callers.signed_in(headers_of(request), services)
        found = await services.reservations.reservation(identity.user_id, requests.path_id(id, "id"))
        if isinstance(found, NotFound):
            return outcome_reply(found, request)
        return reply(answers.ok(views.reservation_view(found)))

    @post(["/reservations/confirm/{id:str}", "/checkout/{id:str}"])
    async def confirm(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Confirm a hold: buy its units."""
        return await _change(services.reservations.confirm, request, id, services)

    @post("/reservations/{id:str}/extend")
    async def extend(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Extend a hold by its hold time."""
        return await _change(services.reservations.extend, request, id, services)

    @delete("/reservations/{id:str}", status_code=200)
    async def cancel(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Cancel a hold."""
        return await _change(services.reservations.cancel, request, id, services)


async def _change(
    change: Callable[[str, str], Awaitable[Outcome]], request: HttpRequest, id_: str, services: ServicesHere
) -> Response[bytes]:
    """Call `change` for the caller's own reservation, and answer its outcome."""
    identity = callers.signed_in(headers_of(request), services)
    reservation_id = requests.path_id(id_, "id")
    await requests.no_body(request)
    return outcome_reply(await change(identity.user_id, reservation_id), request)
