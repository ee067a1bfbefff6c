"""Routes of the two web applications, the storefront and the console, and of their files.

Everybody may have them: they hold no data, and use the public API as any other client does.
"""

from typing import Final

from litestar import Controller, Response, get

from flashreserve.http import assets
from flashreserve.http.added_headers import PAGE_POLICY
from flashreserve.http.answers import Answer, Headers, RefusalError
from flashreserve.http.assets import Asset, WebApplication
from flashreserve.http.headers import accepts_gzip, names_tag
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.services import Services

_FILES: Final = "/assets/"
# Sent with 304 too: a browser replaces the headers of its copy by those of the 304.
_PAGE_HEADERS: Final[Headers] = (("content-security-policy", PAGE_POLICY),)


class PageRoutes(Controller):
    """`/demo`, `/admin` and `/assets`."""

    @get(["/demo", "/demo/{id:str}"])
    async def storefront(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The storefront: the list of products, or one product."""
        if not services.demo:
            raise RefusalError("not-found", "the storefront is off here; FLASHRESERVE_DEMO=on turns it on")
        return _page("demo", request, services)

    @get(["/admin", "/admin/{page:path}"])
    async def console(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The operator's console. Its script tells addresses of pages from unknown ones."""
        return _page("admin", request, services)

    @get("/assets/{file:path}")
    async def file(self, request: HttpRequest) -> Response[bytes]:
        """A file of the two."""
        # The decoded path, because that one was matched. The framework's type `path` changes some.
        name = place_of(request).path.removeprefix(_FILES)
        if name not in assets.web_files():
            raise RefusalError("not-found", "there is no such file")
        return _sent(assets.web_file(name, zipped=accepts_gzip(headers_of(request))), request)


def _page(application: WebApplication, request: HttpRequest, services: Services) -> Response[bytes]:
    zipped = accepts_gzip(headers_of(request))
    page = assets.web_page(application, place_of(request).prefix, demo=services.demo, zipped=zipped)
    return _sent(page, request, _PAGE_HEADERS)


def _sent(asset: Asset, request: HttpRequest, own: Headers = ()) -> Response[bytes]:
    """The file, or 304 if the client has it in this encoding."""
    headers: Headers = (("etag", asset.tag), ("cache-control", "no-cache"), ("vary", "Accept-Encoding"), *own)
    if names_tag(headers_of(request), asset.tag):
        return reply(Answer(304, b"", headers=headers))
    if asset.encoding:
        headers = (*headers, ("content-encoding", asset.encoding))
    return reply(Answer(200, asset.body, asset.content_type, headers))
