"""Routes to see products, and for admins to change them."""

from typing import Final

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.params import FromPath
from litestar.response import Stream
from msgspec.structs import replace

from flashreserve.core.commands import Edit, Restock
from flashreserve.core.model import DetailsEdit, Scope
from flashreserve.core.outcomes import Invalid, NotFound, Outcome
from flashreserve.http import answers, bodies, callers, fields, reader, requests, views
from flashreserve.http.answers import bad_request
from flashreserve.http.headers import names_tag, required_key
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.catalogue import Put, ShownProduct
from flashreserve.service.export import reservations_csv
from flashreserve.stores.filters import ProductFilter

_read_product: Final = reader.decoder(bodies.ProductBody)
_read_edit: Final = reader.decoder(bodies.ProductEditBody)
_read_change: Final = reader.decoder(bodies.ChangeBody)


class ProductRoutes(Controller):
    """`/products` and the export of reservations."""

    @get("/products")
    async def all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The products that aren't archived, oldest first, or those that the query asks for."""
        cursor, limit = requests.page(request)
        archived = requests.switch(request, "archived") or False
        if archived:
            await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        on_sale, now_ms = requests.switch(request, "onSale"), services.clock.now_ms()
        where = ProductFilter(
            external_id=requests.parameter(request, "externalId", fields.ExternalId),
            archived=archived,
            on_sale_at=now_ms if on_sale else None,
            off_sale_at=now_ms if on_sale is False else None,
        )
        found = await services.catalogue.search(where, cursor, limit)
        return reply(answers.ok(views.product_page(found)))

    @get("/products/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One product."""
        found = await services.catalogue.product(requests.product_id(id))
        if isinstance(found, NotFound):
            return outcome_reply(found, request)
        return _shown(found)

    @get("/products/{id:str}/stock")
    async def stock(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """The units that can be reserved now: the cheap poll."""
        sight = await services.catalogue.stock(requests.product_id(id))
        if isinstance(sight, NotFound):
            return outcome_reply(sight, request)
        tag = answers.stock_tag(sight)
        return reply(answers.from_sight(sight, tag, known=names_tag(headers_of(request), tag)))

    @post("/products")
    async def create(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make a product."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        asked = await requests.body(request, _read_product)
        new = asked.product(services.hold_s_default)
        made = new if isinstance(new, Invalid) else await services.catalogue.create(new, asked.details(), by)
        return _made(made, request) if isinstance(made, ShownProduct) else outcome_reply(made, request)

    @put("/products/by-external-id/{externalId:path}", status_code=200)
    async def put(self, request: HttpRequest, externalId: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: N803 as documented
        """Make the product with this external id, or edit it."""
        del externalId  # Its type `path` changes some ids.
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        asked = await requests.body(request, _read_product)
        id_ = requests.rest_of_path(request, "/products/by-external-id/", fields.ExternalId, "externalId")
        if asked.external_id not in {None, id_}:
            raise bad_request("externalId", "expected that of the path, or none")
        new = asked.product(services.hold_s_default)
        if isinstance(new, Invalid):
            return outcome_reply(new, request)
        outcome = await services.catalogue.put(replace(new, external_id=id_), asked.details(), by)
        if not isinstance(outcome, Put):
            return outcome_reply(outcome, request)
        return _made(outcome.shown, request) if outcome.change == "made" else _shown(outcome.shown)

    @delete("/products/{id:str}", status_code=200)
    async def archive(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Archive a product."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        await requests.no_body(request)
        edit = Edit(requests.product_id(id), archived=True, by=by)
        return _changed(await services.catalogue.change(edit, DetailsEdit()), request)

    @patch("/products/{id:str}")
    async def edit(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Change a product's description or rules."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        product_id = requests.product_id(id)
        asked = await requests.body(request, _read_edit)
        product = await services.catalogue.product(product_id)
        if isinstance(product, NotFound):
            return outcome_reply(asked.fault() or product, request)
        edit = asked.edit(product_id, product.product.currency, by)
        if isinstance(edit, Invalid):
            return outcome_reply(edit, request)
        return _changed(await services.catalogue.change(edit, asked.details()), request)

    @post("/products/{id:str}/stock", status_code=200)
    async def restock(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Put stock in, or take it out."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        product_id = requests.product_id(id)
        key = required_key(headers_of(request))
        asked = await requests.body(request, _read_change)
        return outcome_reply(await services.catalogue.restock(Restock(product_id, key, asked.change, by)), request)

    @get("/reservations.csv")
    async def export(self, request: HttpRequest, services: ServicesHere) -> Stream:
        """Reservations as CSV, one row for each line."""
        await callers.manager(headers_of(request), services, Scope.READ)
        where = requests.reservation_filter(request)
        disposition = {"content-disposition": 'attachment; filename="reservations.csv"'}
        return Stream(
            reservations_csv(services.reservations, services.orders, where), media_type="text/csv", headers=disposition
        )


def _shown(shown: ShownProduct) -> Response[bytes]:
    return reply(answers.ok(views.product_view(shown)))


def _made(shown: ShownProduct, request: HttpRequest) -> Response[bytes]:
    location = ("location", f"{place_of(request).prefix}/products/{shown.product.id}")
    return reply(answers.ok(views.product_view(shown), 201, (location,)))


def _changed(outcome: ShownProduct | Outcome, request: HttpRequest) -> Response[bytes]:
    return _shown(outcome) if isinstance(outcome, ShownProduct) else outcome_reply(outcome, request)
