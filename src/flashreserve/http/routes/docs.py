"""Routes of the front page, the OpenAPI document, and the page that shows it."""

from functools import cache
from typing import Final

from litestar import Controller, Response, get
from litestar.params import FromPath
from msgspec.structs import replace

from flashreserve.http import assets, callers, openapi, problems
from flashreserve.http.answers import JSON, Answer, Headers, RefusalError
from flashreserve.http.assets import Asset
from flashreserve.http.headers import names_tag, wants_html
from flashreserve.http.requests import HttpRequest, client_address, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.site import Cookies

# Private, because in production only operators may have these files.
_REVALIDATE: Final = ("cache-control", "private, no-cache")
_VARY: Final = ("vary", "Accept")


class DocsRoutes(Controller):
    """`/`, `/openapi.json` and `/api-docs`."""

    @get("/")
    async def front(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """A page of links for browsers. Other clients are answered 404."""
        if not wants_html(headers_of(request)):
            raise RefusalError("not-found", problems.KINDS["not-found"].meaning, headers=(_VARY,))
        page = assets.front(place_of(request).prefix, demo=services.demo)
        answer = _unless_known(page, request)
        return reply(replace(answer, headers=(*answer.headers, _VARY)))

    @get("/openapi.json")
    async def document(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The OpenAPI document."""
        await _check_operator(request, services)
        prefix = place_of(request).prefix
        return reply(_unless_known(_document(services.cookies, prefix, production=services.production), request))

    @get("/api-docs")
    async def page(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The page that shows the document."""
        await _check_operator(request, services)
        return reply(_unless_known(assets.index(place_of(request).prefix), request))

    @get("/api-docs/{file:str}")
    async def file(self, request: HttpRequest, file: FromPath[str], services: ServicesHere) -> Response[bytes]:
        """A file of that page."""
        await _check_operator(request, services)
        if file not in assets.ASSETS:
            raise RefusalError("not-found", "the page has no such file")
        return reply(_unless_known(assets.asset(file), request))


async def _check_operator(request: HttpRequest, services: ServicesHere) -> None:
    await callers.check_operator(headers_of(request), client_address(request, services), services)


@cache
def _document(cookies: Cookies, prefix: str, *, production: bool) -> Asset:
    body = openapi.document(cookies, prefix, production=production)
    return Asset(body, JSON, assets.tag_of(body))


def _unless_known(asset: Asset, request: HttpRequest) -> Answer:
    headers: Headers = (("etag", asset.tag), _REVALIDATE)
    if names_tag(headers_of(request), asset.tag):
        return Answer(304, b"", headers=headers)
    return Answer(200, asset.body, asset.content_type, headers)
