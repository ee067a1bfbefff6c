"""The front page, the OpenAPI document, and the page that shows it."""

from functools import cache
from typing import Final

from litestar import Controller, Response, get
from litestar.params import FromPath
from msgspec.structs import replace

from flashreserve.http import assets, openapi, problems, requests
from flashreserve.http.answers import JSON, Answer, Headers, RefusalError
from flashreserve.http.assets import Asset
from flashreserve.http.requests import HttpRequest
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.site import Cookies

# Only for the one who asked: in production not everybody may have it.
_REVALIDATE: Final = ("cache-control", "private, no-cache")
_VARY: Final = ("vary", "Accept")


class DocsRoutes(Controller):
    """`/`, `/openapi.json` and `/api-docs`."""

    @get("/")
    async def front(self, request: HttpRequest) -> Response[bytes]:
        """A page that links what is here, for browsers; for all others there is nothing."""
        if not requests.wants_html(request):
            raise RefusalError("not-found", problems.KINDS["not-found"].meaning, headers=(_VARY,))
        answer = _unless_known(assets.front(), request)
        return reply(replace(answer, headers=(*answer.headers, _VARY)), request)

    @get("/openapi.json")
    async def document(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The OpenAPI document."""
        await requests.operator(request, services)
        return reply(_unless_known(_document(services.cookies, production=services.production), request), request)

    @get("/api-docs")
    async def page(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The page that shows the document."""
        await requests.operator(request, services)
        return reply(_unless_known(assets.asset(assets.INDEX), request), request)

    @get("/api-docs/{file:str}")
    async def file(self, request: HttpRequest, file: FromPath[str], services: ServicesHere) -> Response[bytes]:
        """What the page is made of."""
        await requests.operator(request, services)
        if file not in assets.ASSETS:
            raise RefusalError("not-found", "the page has no such file")
        return reply(_unless_known(assets.asset(file), request), request)


@cache
def _document(cookies: Cookies, *, production: bool) -> Asset:
    body = openapi.document(cookies, production=production)
    return Asset(body, JSON, assets.tag_of(body))


def _unless_known(asset: Asset, request: HttpRequest) -> Answer:
    headers: Headers = (("etag", asset.tag), _REVALIDATE)
    if requests.knows(request, asset.tag):
        return Answer(304, b"", headers=headers)
    return Answer(200, asset.body, asset.content_type, headers)
