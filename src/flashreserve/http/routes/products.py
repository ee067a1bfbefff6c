"""Routes to see products, and for admins to change them."""

from typing import Final

from litestar import Controller, Response, get, patch, post
from litestar.params import FromPath
from litestar.response import Stream

from flashreserve.core.commands import Restock
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.answers import bad_request
from flashreserve.http.headers import KEY_HEADER, idempotency_key, names_tag
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.export import reservations_csv

_read_product: Final = reader.decoder(bodies.ProductBody)
_read_edit: Final = reader.decoder(bodies.ProductEditBody)
_read_change: Final = reader.decoder(bodies.ChangeBody)


class ProductRoutes(Controller):
    """`/products` and the export of reservations."""

    @get("/products")
    async def all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """All products, oldest first."""
        cursor, limit = requests.page(request)
        found = await services.catalogue.products(cursor, limit + 1)
        return reply(answers.ok(views.product_page(found, limit)))

    @get("/products/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One product."""
        found = await services.catalogue.product(requests.path_id(id, "id"))
        if isinstance(found, NotFound):
            return outcome_reply(found, request)
        return reply(answers.ok(views.product_view(found)))

    @get("/products/{id:str}/stock")
    async def stock(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """The units that can be reserved now: the cheap poll."""
        sight = await services.catalogue.stock(requests.path_id(id, "id"))
        if isinstance(sight, NotFound):
            return outcome_reply(sight, request)
        tag = answers.stock_tag(sight)
        return reply(answers.from_sight(sight, tag, known=names_tag(headers_of(request), tag)))

    @post("/products")
    async def create(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make a product."""
        await callers.admin(headers_of(request), services)
        asked = await requests.body(request, _read_product)
        new = asked.product(services.hold_s_default)
        made = new if isinstance(new, Invalid) else await services.catalogue.create(new)
        if isinstance(made, Invalid):
            return outcome_reply(made, request)
        return reply(answers.ok(views.product_view(made), 201, (("location", f"/products/{made.id}"),)))

    @patch("/products/{id:str}")
    async def edit(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Change a product's description or rules."""
        await callers.admin(headers_of(request), services)
        product_id = requests.path_id(id, "id")
        asked = await requests.body(request, _read_edit)
        product = await services.catalogue.product(product_id)
        if isinstance(product, NotFound):
            return outcome_reply(asked.fault() or product, request)
        edit = asked.edit(product_id, product.currency)
        return outcome_reply(edit if isinstance(edit, Invalid) else await services.catalogue.edit(edit), request)

    @post("/products/{id:str}/stock", status_code=200)
    async def restock(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Put stock in, or take it out."""
        identity = await callers.admin(headers_of(request), services)
        product_id = requests.path_id(id, "id")
        key = idempotency_key(headers_of(request))
        if key is None:
            raise bad_request(KEY_HEADER, "expected this header: it keeps a repeated request from counting twice")
        asked = await requests.body(request, _read_change)
        return outcome_reply(
            await services.catalogue.restock(Restock(product_id, key, asked.change, identity.user_id)), request
        )

    @get("/products/{id:str}/reservations")
    async def reservations(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """All reservations of a product, oldest first."""
        await callers.admin(headers_of(request), services)
        product_id = requests.path_id(id, "id")
        cursor, limit = requests.page(request)
        found = await services.reservations.of_product(product_id, cursor, limit + 1)
        if not found and isinstance(product := await services.catalogue.product(product_id), NotFound):
            return outcome_reply(product, request)
        return reply(answers.ok(views.reservation_page(found, limit)))

    @get("/reservations.csv")
    async def export(self, request: HttpRequest, services: ServicesHere) -> Stream:
        """All reservations as CSV, one row for each line."""
        await callers.admin(headers_of(request), services)
        disposition = {"content-disposition": 'attachment; filename="reservations.csv"'}
        return Stream(reservations_csv(services.reservations), media_type="text/csv", headers=disposition)
