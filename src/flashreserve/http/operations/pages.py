"""The web applications: the storefront, the operator's console, and their files."""

from typing import Any, Final

from flashreserve.http.assets import CONTENT_TYPES
from flashreserve.http.operations.examples import PRODUCT_ID
from flashreserve.http.operations.operation import Operation, Parameter, Success
from flashreserve.http.operations.parameters import IF_NONE_MATCH, UNCHANGED

_PAGE: Final = (Success(200, "The page.", media_types=("text/html",), headers=("ETag",)), UNCHANGED)
_ANY: Final[Any] = Any
"""The type of a part of an address that the page's script reads: the server refuses none."""

PAGES: Final = (
    Operation(
        name="getStorefront",
        method="get",
        path="/demo",
        tag="Operations",
        summary="A storefront to try, as a web page",
        description="Lists what is on sale. 404 if `FLASHRESERVE_DEMO` is `off`, as it is in production by default.",
        who="anyone",
        parameters=(IF_NONE_MATCH,),
        successes=_PAGE,
        codes=("not-found",),
        web_page=True,
    ),
    Operation(
        name="getStorefrontProduct",
        method="get",
        path="/demo/{id}",
        tag="Operations",
        summary="One product in the storefront",
        description="The same page for every id: its script asks for the product.",
        who="anyone",
        parameters=(
            Parameter("id", "path", _ANY, "The product's id.", required=True, example=PRODUCT_ID),
            IF_NONE_MATCH,
        ),
        successes=_PAGE,
        codes=("not-found",),
        web_page=True,
    ),
    Operation(
        name="getConsole",
        method="get",
        path="/admin",
        tag="Operations",
        summary="The operator's console, as a web page",
        description="The page has a form to sign in, and shows data to admins only.",
        who="anyone",
        parameters=(IF_NONE_MATCH,),
        successes=_PAGE,
        web_page=True,
    ),
    Operation(
        name="getConsolePage",
        method="get",
        path="/admin/{page}",
        tag="Operations",
        summary="One page of the console",
        description="`page` may have slashes in it, as in `products/ID`. The same page for every one: its script tells"
        " them apart.",
        who="anyone",
        parameters=(
            Parameter("page", "path", _ANY, "The page's name.", required=True, example="reservations"),
            IF_NONE_MATCH,
        ),
        successes=_PAGE,
        web_page=True,
    ),
    Operation(
        name="getWebFile",
        method="get",
        path="/assets/{file}",
        tag="Operations",
        summary="A file of these pages",
        description="`file` has a slash in it. With `Accept-Encoding: gzip` the file is sent compressed.",
        who="anyone",
        parameters=(
            Parameter("file", "path", str, "The file's directory and name.", required=True, example="shared/ui.css"),
            IF_NONE_MATCH,
        ),
        successes=(
            Success(
                200,
                "The file.",
                media_types=tuple(sorted(set(CONTENT_TYPES.values()) - {"text/html"})),
                headers=("ETag",),
            ),
            UNCHANGED,
        ),
        codes=("not-found",),
    ),
)
