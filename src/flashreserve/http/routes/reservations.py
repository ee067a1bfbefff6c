"""Routes to reserve, confirm, extend, cancel and return, and to read reservations."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec.structs import replace

from flashreserve.core.model import Scope, Units
from flashreserve.core.outcomes import NotFound, Outcome
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.answers import RefusalError
from flashreserve.http.headers import idempotency_key, required_key
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply

_read_reserve: Final = reader.decoder(bodies.ReserveBody)
_read_basket: Final = reader.decoder(bodies.BasketBody)
_read_purchase: Final = reader.decoder(bodies.PurchaseBody)
_read_labels: Final = reader.decoder(bodies.LabelsBody)
_read_return: Final = reader.decoder(bodies.ReturnBody)


class ReservationRoutes(Controller):
    """`/reservations`, those of products, and `/checkout`."""

    @post(["/products/{id:str}/reservations", "/reservations/{id:str}"])
    async def reserve(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Hold units of one product."""
        user_id = await callers.customer(headers_of(request), services)
        product_id = requests.product_id(id, "productId")
        key = idempotency_key(headers_of(request))
        asked = await requests.body(request, _read_reserve, empty=bodies.ReserveBody())
        wanted = [Units(product_id, asked.quantity)]
        outcome = await services.reservations.reserve(user_id, wanted, key, asked.external_id, asked.metadata)
        services.refusals.note(outcome)
        return outcome_reply(outcome, request)

    @post("/reservations")
    async def reserve_basket(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Hold units of several products, all or nothing."""
        user_id = await callers.customer(headers_of(request), services)
        key = idempotency_key(headers_of(request))
        asked = await requests.body(request, _read_basket)
        wanted = [line.wanted() for line in asked.lines]
        outcome = await services.reservations.reserve(user_id, wanted, key, asked.external_id, asked.metadata)
        services.refusals.note(outcome)
        return outcome_reply(outcome, request)

    @get("/reservations")
    async def own(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The caller's reservations, newest first; for an admin, all."""
        actor = await callers.actor(headers_of(request), services, Scope.READ, Scope.CUSTOMERS)
        cursor, limit = requests.page(request)
        where = requests.reservation_filter(request)
        if actor.owner is not None:
            if where.user_id not in {None, actor.owner}:
                raise RefusalError("forbidden", "customers see their own reservations only")
            where = replace(where, user_id=actor.owner)
        found = await services.reservations.search(where, cursor, limit, newest_first=True)
        return reply(answers.ok(views.reservation_page(found)))

    @get("/products/{id:str}/reservations")
    async def of_product(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """All reservations of a product, oldest first."""
        await callers.manager(headers_of(request), services, Scope.READ)
        product_id = requests.product_id(id)
        cursor, limit = requests.page(request)
        where = replace(requests.reservation_filter(request), product_id=product_id)
        found = await services.reservations.search(where, cursor, limit)
        if not found.reservations and isinstance(product := await services.catalogue.product(product_id), NotFound):
            return outcome_reply(product, request)
        orders = await services.orders.of(found.reservations)
        return reply(answers.ok(views.order_page(orders, found.beyond)))

    @get("/reservations/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One of the caller's reservations; for an admin, any."""
        actor = await callers.actor(headers_of(request), services, Scope.READ, Scope.CUSTOMERS)
        found = await services.reservations.reservation(actor.owner, requests.path_id(id, "id"))
        if isinstance(found, NotFound):
            return outcome_reply(found, request)
        return reply(answers.ok(views.reservation_view(found)))

    @post(["/reservations/confirm/{id:str}", "/checkout/{id:str}"])
    async def confirm(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Confirm a hold: buy its units, or some of them."""
        actor = await callers.actor(headers_of(request), services, Scope.CUSTOMERS)
        reservation_id = requests.path_id(id, "id")
        asked = await requests.body_if_any(request, _read_purchase)
        lines = None if asked is None else [line.wanted() for line in asked.lines]
        outcome = await services.reservations.confirm(actor.owner, reservation_id, lines, actor.by)
        return outcome_reply(outcome, request)

    @patch("/reservations/{id:str}")
    async def label(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Change the shop's own id and metadata of a reservation."""
        await callers.manager(headers_of(request), services, Scope.CUSTOMERS)
        reservation_id = requests.path_id(id, "id")
        asked = await requests.body(request, _read_labels)
        metadata = {} if asked.metadata is None else asked.metadata
        return outcome_reply(await services.reservations.label(reservation_id, asked.external_id, metadata), request)

    @post("/reservations/{id:str}/returns", status_code=200)
    async def give_back(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Return units of a purchase."""
        by = await callers.manager(headers_of(request), services, Scope.CUSTOMERS)
        reservation_id = requests.path_id(id, "id")
        key = required_key(headers_of(request))
        asked = await requests.body(request, _read_return)
        lines = [line.wanted() for line in asked.lines]
        outcome = await services.reservations.return_units(
            None, reservation_id, lines, key=key, by=by, reason=asked.reason
        )
        return outcome_reply(outcome, request)

    @post("/reservations/{id:str}/extend")
    async def extend(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Extend a hold by its hold time."""
        return await _change(services.reservations.extend, request, id, services)

    @delete("/reservations/{id:str}", status_code=200)
    async def cancel(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Cancel a hold."""
        return await _change(services.reservations.cancel, request, id, services)


async def _change(
    change: Callable[[str | None, str, str], Awaitable[Outcome]], request: HttpRequest, id_: str, services: ServicesHere
) -> Response[bytes]:
    """Call `change` for the caller's own reservation, or for an admin any, and answer its outcome."""
    actor = await callers.actor(headers_of(request), services, Scope.CUSTOMERS)
    reservation_id = requests.path_id(id_, "id")
    await requests.no_body(request)
    return outcome_reply(await change(actor.owner, reservation_id, actor.by), request)
