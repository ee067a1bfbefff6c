"""What can be asked over HTTP, by whom, and what it is answered: the table that the OpenAPI document is made from.

Only what sets an operation apart stands here. What all have in common (bodies too large, a database that is away, a
request without a token) `openapi.py` adds by itself.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from flashreserve.core import limits
from flashreserve.http import bodies, fields, views
from flashreserve.http.assets import ASSETS, CONTENT_TYPES
from flashreserve.http.problems import KINDS, Code

Who = Literal["anyone", "signed-in", "customer", "admin", "operator"]
"""`operator` is anyone in development; in production, an admin or whoever has the metrics token."""

Method = Literal["get", "post", "patch", "delete"]
Tag = Literal["Accounts", "Products", "Reservations", "Operations"]


class Parameter(msgspec.Struct, frozen=True):
    """One thing that a request says in its path, query or headers; `kind` is what its value decodes to."""

    name: str
    place: Literal["path", "query", "header"]
    kind: Any
    description: str
    required: bool = False
    example: Any = None


class Body(msgspec.Struct, frozen=True):
    """The JSON body of a request."""

    kind: type[msgspec.Struct]
    example: dict[str, Any]
    required: bool = True


class Success(msgspec.Struct, frozen=True):
    """An answer that says yes.

    `kind` is its JSON body; or `media_types` name bodies of other kinds; or there is none. `headers` and `links` are
    names: of the headers in `openapi.py`, and of operations that take the answer's `id`.
    """

    status: int
    description: str
    kind: type[msgspec.Struct] | None = None
    example: dict[str, Any] | None = None
    media_types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `codes` are the problems that are its own."""

    name: str
    method: Method
    path: str
    tag: Tag
    summary: str
    description: str = ""
    who: Who
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    successes: tuple[Success, ...]
    codes: tuple[Code, ...] = ()


PRODUCT_ID: Final = "0199f3a2-5b00-7c41-9d2e-3f6a8b1c0d4e"
RESERVATION_ID: Final = "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c60"
USER_ID: Final = "0199f3a1-2c40-7a63-b84d-6e1f0a3c5d72"
EMAIL: Final = "ada@example.com"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - the example's
"""What the examples speak of. The tests make a shop in which all of it exists."""

_MADE_AT: Final = "2026-11-23T10:00:00.000Z"
_ACCOUNT: Final = {"id": USER_ID, "email": EMAIL, "role": "customer", "createdAt": _MADE_AT}
_PRODUCT: Final = {
    "id": PRODUCT_ID,
    "name": "iPhone 15",
    "price": "999.99",
    "currency": "USD",
    "stockQuantity": 10,
    "available": 8,
    "saleStartsAt": None,
    "saleEndsAt": None,
    "perCustomerLimit": None,
    "holdSeconds": 600,
    "maxExtensions": 0,
    "createdAt": _MADE_AT,
    "updatedAt": _MADE_AT,
}
_STOCK: Final = {"productId": PRODUCT_ID, "available": 8, "asOf": _MADE_AT}
_ADJUSTMENT: Final = {
    "productId": PRODUCT_ID,
    "change": 5,
    "stockQuantity": 15,
    "available": 13,
    "adjustedBy": USER_ID,
    "adjustedAt": _MADE_AT,
}
_HOLD: Final = {
    "id": RESERVATION_ID,
    "userId": USER_ID,
    "status": "PENDING",
    "lines": [{"productId": PRODUCT_ID, "quantity": 1, "unitPrice": "999.99", "currency": "USD"}],
    "expiresAt": "2026-11-23T10:10:00.000Z",
    "createdAt": _MADE_AT,
    "confirmedAt": None,
    "releasedAt": None,
}
_BOUGHT: Final = {**_HOLD, "status": "CONFIRMED", "confirmedAt": "2026-11-23T10:02:30.000Z"}
_CANCELLED: Final = {**_HOLD, "status": "CANCELLED", "releasedAt": "2026-11-23T10:02:30.000Z"}
_EXTENDED: Final = {**_HOLD, "expiresAt": "2026-11-23T10:18:30.000Z"}


def _id(what: str, example: str) -> Parameter:
    return Parameter("id", "path", fields.Id, f"The {what}'s id.", required=True, example=example)


def _key(description: str, *, required: bool = False) -> Parameter:
    kind = Annotated[str, Meta(min_length=1, max_length=limits.KEY_LENGTH_MAX, pattern="^[!-~]+$")]
    return Parameter("Idempotency-Key", "header", kind, description, required=required)


_PRODUCT_IN_PATH: Final = _id("product", PRODUCT_ID)
_RESERVATION_IN_PATH: Final = _id("reservation", RESERVATION_ID)
_PAGE: Final = (
    Parameter("cursor", "query", fields.Id, "`nextCursor` of the page before; left out, the first page."),
    Parameter(
        "limit",
        "query",
        Annotated[int, Meta(ge=1, le=limits.PAGE_MAX, extra_json_schema={"default": limits.PAGE_DEFAULT})],
        "Entries of the page, at most.",
    ),
)
_QUOTAS: Final[tuple[Code, ...]] = ("open-holds-reached", "hourly-holds-reached", "lapses-reached")
_RESERVE_KEY: Final = _key(
    "Makes a repeated request free: the same key with the same request is answered as the first time, and nothing is"
    " taken twice. Only a grant binds a key; it is kept for 24 hours at least. Visible ASCII, 255 characters at most."
)
_RESTOCK_KEY: Final = _key(
    "Keeps a repeated request from counting twice. Visible ASCII, 255 characters at most.", required=True
)
_IF_NONE_MATCH: Final = Parameter(
    "If-None-Match", "header", str, "The `ETag` of an earlier answer; if it is still good, the answer is 304."
)
_UNCHANGED: Final = Success(304, "What the client has is still good.", headers=("ETag",))

_ACCOUNTS: Final = (
    Operation(
        name="register",
        method="post",
        path="/auth/register",
        tag="Accounts",
        summary="Make a customer's account",
        description="The account is a customer's: admins are made by `flashreserve admin create`.",
        who="anyone",
        body=Body(bodies.RegistrationBody, {"email": "grace@example.com", "password": PASSWORD}),
        successes=(Success(201, "The account.", views.AccountView, {**_ACCOUNT, "email": "grace@example.com"}),),
        codes=("email-taken", "too-many-tries"),
    ),
    Operation(
        name="login",
        method="post",
        path="/auth/login",
        tag="Accounts",
        summary="Sign in",
        description=(
            "The token comes in the body and in an HTTP-only cookie: `token`, in production `__Host-token`. A second"
            " cookie, `device`, tells the owner's browser from a stranger's when tries are counted; it opens nothing."
        ),
        who="anyone",
        body=Body(bodies.CredentialsBody, {"email": EMAIL, "password": PASSWORD}),
        successes=(
            Success(
                200,
                "The token.",
                views.TokenView,
                {"token": "eyJhbGciOiJIUzI1NiIs…", "expiresAt": "2026-11-23T11:00:00.000Z"},
                headers=("Set-Cookie",),
            ),
        ),
        codes=("unauthenticated", "too-many-tries"),
    ),
    Operation(
        name="logout",
        method="post",
        path="/auth/logout",
        tag="Accounts",
        summary="Sign out",
        description="The browser forgets its cookie. The token itself stays good until it expires.",
        who="anyone",
        successes=(Success(204, "The cookie is gone.", headers=("Set-Cookie",)),),
    ),
    Operation(
        name="me",
        method="get",
        path="/auth/me",
        tag="Accounts",
        summary="The account that is signed in",
        who="signed-in",
        successes=(Success(200, "The account.", views.AccountView, _ACCOUNT),),
        codes=("not-found",),
    ),
)

_PRODUCTS: Final = (
    Operation(
        name="listProducts",
        method="get",
        path="/products",
        tag="Products",
        summary="All products, oldest first",
        who="anyone",
        parameters=_PAGE,
        successes=(Success(200, "A page.", views.ProductPage, {"items": [_PRODUCT], "nextCursor": None}),),
    ),
    Operation(
        name="createProduct",
        method="post",
        path="/products",
        tag="Products",
        summary="Make a product",
        who="admin",
        body=Body(bodies.ProductBody, {"name": "iPhone 15", "price": "999.99", "stockQuantity": 10}),
        successes=(
            Success(
                201,
                "The product.",
                views.ProductView,
                {**_PRODUCT, "available": 10},
                headers=("Location",),
                links=("getProduct", "editProduct", "getStock", "restock", "listReservationsOfProduct", "reserve"),
            ),
        ),
    ),
    Operation(
        name="getProduct",
        method="get",
        path="/products/{id}",
        tag="Products",
        summary="One product",
        who="anyone",
        parameters=(_PRODUCT_IN_PATH,),
        successes=(Success(200, "The product.", views.ProductView, _PRODUCT),),
        codes=("not-found",),
    ),
    Operation(
        name="editProduct",
        method="patch",
        path="/products/{id}",
        tag="Products",
        summary="Change a product's description or rules",
        description=(
            "What the body leaves out stays as it is. What is reserved already keeps the price and the terms under"
            " which it was. `perCustomerLimit` may be raised at any time; once somebody has reserved, it can't be"
            " set or lowered any more."
        ),
        who="admin",
        parameters=(_PRODUCT_IN_PATH,),
        body=Body(bodies.ProductEditBody, {"price": "949.00"}),
        successes=(Success(200, "The product as it is now.", views.ProductView, {**_PRODUCT, "price": "949.00"}),),
        codes=("not-found", "rules-fixed"),
    ),
    Operation(
        name="getStock",
        method="get",
        path="/products/{id}/stock",
        tag="Products",
        summary="What can be reserved now: the cheap poll",
        description="At most 250 ms old, as of `asOf`. With `If-None-Match` only news are sent.",
        who="anyone",
        parameters=(_PRODUCT_IN_PATH, _IF_NONE_MATCH),
        successes=(Success(200, "The stock.", views.StockLevelView, _STOCK, headers=("ETag",)), _UNCHANGED),
        codes=("not-found",),
    ),
    Operation(
        name="restock",
        method="post",
        path="/products/{id}/stock",
        tag="Products",
        summary="Put stock in, or take it out",
        description="Never takes out what is held or bought. Who did it and when is stored with it.",
        who="admin",
        parameters=(_PRODUCT_IN_PATH, _RESTOCK_KEY),
        body=Body(bodies.ChangeBody, {"change": 5}),
        successes=(Success(200, "The change.", views.AdjustmentView, _ADJUSTMENT, headers=("Idempotent-Replayed",)),),
        codes=("not-found", "stock-taken", "key-reused"),
    ),
    Operation(
        name="listReservationsOfProduct",
        method="get",
        path="/products/{id}/reservations",
        tag="Products",
        summary="All reservations of a product, oldest first",
        who="admin",
        parameters=(_PRODUCT_IN_PATH, *_PAGE),
        successes=(Success(200, "A page.", views.ReservationPage, {"items": [_BOUGHT], "nextCursor": None}),),
        codes=("not-found",),
    ),
    Operation(
        name="exportReservations",
        method="get",
        path="/reservations.csv",
        tag="Products",
        summary="All reservations, a line each of their lines",
        who="admin",
        successes=(Success(200, "The table.", media_types=("text/csv",), headers=("Content-Disposition",)),),
    ),
)

_RESERVATIONS: Final = (
    Operation(
        name="reserve",
        method="post",
        path="/reservations/{id}",
        tag="Reservations",
        summary="Hold units of one product",
        description="The id is the product's. No body means one unit. 201 means that the hold is durable.",
        who="customer",
        parameters=(_PRODUCT_IN_PATH, _RESERVE_KEY),
        body=Body(bodies.QuantityBody, {"quantity": 1}, required=False),
        successes=(
            Success(
                201,
                "The hold.",
                views.ReservationView,
                _HOLD,
                headers=("Location", "Idempotent-Replayed"),
                links=("getReservation", "confirm", "checkout", "extend", "cancel"),
            ),
        ),
        codes=("not-found", "not-on-sale", "sold-out", "limit-reached", "key-reused", *_QUOTAS),
    ),
    Operation(
        name="reserveBasket",
        method="post",
        path="/reservations",
        tag="Reservations",
        summary="Hold units of several products, all or nothing",
        description="A product in several lines counts once, with the sum. The shortest of the hold times applies.",
        who="customer",
        parameters=(_RESERVE_KEY,),
        body=Body(bodies.BasketBody, {"lines": [{"productId": PRODUCT_ID, "quantity": 1}]}),
        successes=(
            Success(
                201,
                "The hold.",
                views.ReservationView,
                _HOLD,
                headers=("Location", "Idempotent-Replayed"),
                links=("getReservation", "confirm", "checkout", "extend", "cancel"),
            ),
        ),
        codes=("not-found", "not-on-sale", "sold-out", "limit-reached", "key-reused", *_QUOTAS),
    ),
    Operation(
        name="listReservations",
        method="get",
        path="/reservations",
        tag="Reservations",
        summary="The caller's reservations, newest first",
        who="signed-in",
        parameters=_PAGE,
        successes=(Success(200, "A page.", views.ReservationPage, {"items": [_HOLD], "nextCursor": None}),),
    ),
    Operation(
        name="getReservation",
        method="get",
        path="/reservations/{id}",
        tag="Reservations",
        summary="One of the caller's reservations",
        description="Another customer's is not found. A hold that is over reads as EXPIRED at once.",
        who="signed-in",
        parameters=(_RESERVATION_IN_PATH,),
        successes=(Success(200, "The reservation.", views.ReservationView, _HOLD),),
        codes=("not-found",),
    ),
    *(
        Operation(
            name=name,
            method="post",
            path=path,
            tag="Reservations",
            summary="Buy what is held",
            description="`/checkout/{id}` and `/reservations/confirm/{id}` do the same. Again, it answers the same.",
            who="signed-in",
            parameters=(_RESERVATION_IN_PATH,),
            successes=(Success(200, "The reservation, confirmed.", views.ReservationView, _BOUGHT),),
            codes=("not-found", "expired", "cancelled"),
        )
        for name, path in (("confirm", "/reservations/confirm/{id}"), ("checkout", "/checkout/{id}"))
    ),
    Operation(
        name="extend",
        method="post",
        path="/reservations/{id}/extend",
        tag="Reservations",
        summary="Hold on for another hold time, counted from now",
        description="As often as the product's `maxExtensions` allows.",
        who="signed-in",
        parameters=(_RESERVATION_IN_PATH,),
        successes=(Success(200, "The reservation, with its new end.", views.ReservationView, _EXTENDED),),
        codes=("not-found", "expired", "already-confirmed", "cancelled", "extensions-used-up"),
    ),
    Operation(
        name="cancel",
        method="delete",
        path="/reservations/{id}",
        tag="Reservations",
        summary="Give back what is held",
        description="Its units are on sale again. A hold that is over or was cancelled already is answered the same.",
        who="signed-in",
        parameters=(_RESERVATION_IN_PATH,),
        successes=(Success(200, "The reservation, CANCELLED or EXPIRED.", views.ReservationView, _CANCELLED),),
        codes=("not-found", "already-confirmed"),
    ),
)

_KIND: Final = KINDS["sold-out"]
_OPERATIONS: Final = (
    Operation(
        name="live",
        method="get",
        path="/livez",
        tag="Operations",
        summary="Whether the process answers",
        who="anyone",
        successes=(Success(200, "It does.", views.HealthView, {"status": "ok"}),),
    ),
    Operation(
        name="ready",
        method="get",
        path="/readyz",
        tag="Operations",
        summary="Whether everything is there that requests need",
        description="Otherwise 503, and `detail` names what is missing. With `?verbose`, both list every check.",
        who="anyone",
        parameters=(
            Parameter(
                "verbose",
                "query",
                Literal["", "true"],
                "List every check. In production the details of those that pass are for operators.",
            ),
        ),
        successes=(Success(200, "It is.", views.ReadinessView, {"status": "ok"}),),
    ),
    Operation(
        name="metrics",
        method="get",
        path="/metrics",
        tag="Operations",
        summary="Figures for Prometheus, summed over the processes of the machine",
        who="operator",
        successes=(Success(200, "The figures.", media_types=("text/plain",)),),
    ),
    Operation(
        name="getProblem",
        method="get",
        path="/problems/{code}",
        tag="Operations",
        summary="What a kind of problem means",
        description="The page that a problem's `type` leads to.",
        who="anyone",
        parameters=(Parameter("code", "path", Code, "The problem's `code`.", required=True, example="sold-out"),),
        successes=(
            Success(
                200,
                "The kind.",
                views.ProblemKindView,
                {"code": "sold-out", "status": _KIND.status, "title": _KIND.title, "meaning": _KIND.meaning},
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="getFrontPage",
        method="get",
        path="/",
        tag="Operations",
        summary="A page that links what is here",
        description="For browsers: without `text/html` in `Accept` the answer is 404.",
        who="anyone",
        parameters=(_IF_NONE_MATCH,),
        successes=(Success(200, "The page.", media_types=("text/html",), headers=("ETag",)), _UNCHANGED),
        codes=("not-found",),
    ),
    Operation(
        name="getDocument",
        method="get",
        path="/openapi.json",
        tag="Operations",
        summary="This document",
        who="operator",
        parameters=(_IF_NONE_MATCH,),
        successes=(
            Success(200, "The document.", media_types=("application/json",), headers=("ETag",)),
            _UNCHANGED,
        ),
    ),
    Operation(
        name="getPage",
        method="get",
        path="/api-docs",
        tag="Operations",
        summary="This document as a page to read and to try",
        who="operator",
        parameters=(_IF_NONE_MATCH,),
        successes=(Success(200, "The page.", media_types=("text/html",), headers=("ETag",)), _UNCHANGED),
    ),
    Operation(
        name="getPageFile",
        method="get",
        path="/api-docs/{file}",
        tag="Operations",
        summary="What that page is made of",
        who="operator",
        parameters=(
            Parameter(
                "file",
                "path",
                Annotated[str, Meta(extra_json_schema={"enum": sorted(ASSETS)})],
                "The file's name.",
                required=True,
            ),
            _IF_NONE_MATCH,
        ),
        successes=(
            Success(200, "The file.", media_types=tuple(sorted(set(CONTENT_TYPES.values()))), headers=("ETag",)),
            _UNCHANGED,
        ),
        codes=("not-found",),
    ),
)

OPERATIONS: Final[tuple[Operation, ...]] = (*_ACCOUNTS, *_PRODUCTS, *_RESERVATIONS, *_OPERATIONS)
