"""Reservations: make, read, confirm, extend, cancel and return them."""

from typing import Final

from msgspec.structs import replace

from flashreserve.http import bodies, views
from flashreserve.http.operations.examples import BOUGHT, CANCELLED, EXTENDED, HOLD, PRODUCT_ID, RETURNED
from flashreserve.http.operations.operation import Body, Operation, Success
from flashreserve.http.operations.parameters import (
    ON_BEHALF_OF,
    PAGE,
    PRODUCT_IN_PATH,
    RESERVATION_FILTER,
    RESERVATION_IN_PATH,
    RESERVE_KEY,
    RETURN_KEY,
)
from flashreserve.http.problems import Code

_QUOTAS: Final[tuple[Code, ...]] = ("open-holds-reached", "hourly-holds-reached", "lapses-reached")

_RESERVE: Final = Operation(
    name="reserve",
    method="post",
    path="/products/{id}/reservations",
    tag="Reservations",
    summary="Hold units of one product",
    description="No body means one unit. 201 means that the hold is durable.",
    who="customer",
    parameters=(PRODUCT_IN_PATH, RESERVE_KEY, ON_BEHALF_OF),
    body=Body(
        bodies.ReserveBody,
        {"quantity": 1, "externalId": "order-1001", "metadata": {"channel": "app"}},
        required=False,
    ),
    successes=(
        Success(
            201,
            "The hold.",
            views.ReservationView,
            HOLD,
            headers=("Location", "Idempotent-Replayed"),
            links=("getReservation", "confirm", "checkout", "extend", "cancel"),
        ),
    ),
    codes=("not-found", "sale-paused", "not-on-sale", "sold-out", "limit-reached", "key-reused", *_QUOTAS),
)

RESERVATIONS: Final = (
    _RESERVE,
    replace(
        _RESERVE,
        name="reserveShort",
        path="/reservations/{id}",
        summary="Hold units of one product (short form)",
        description="The same as `POST /products/{id}/reservations`. The id is the product's, too.",
    ),
    Operation(
        name="reserveBasket",
        method="post",
        path="/reservations",
        tag="Reservations",
        summary="Hold units of several products, all or nothing",
        description="A product in several lines counts once, with the sum. The shortest of the hold times applies.",
        who="customer",
        parameters=(RESERVE_KEY, ON_BEHALF_OF),
        body=Body(bodies.BasketBody, {"lines": [{"productId": PRODUCT_ID, "quantity": 1}]}),
        successes=(
            Success(
                201,
                "The hold.",
                views.ReservationView,
                HOLD,
                headers=("Location", "Idempotent-Replayed"),
                links=("getReservation", "confirm", "checkout", "extend", "cancel"),
            ),
        ),
        codes=("not-found", "sale-paused", "not-on-sale", "sold-out", "limit-reached", "key-reused", *_QUOTAS),
    ),
    Operation(
        name="listReservations",
        method="get",
        path="/reservations",
        tag="Reservations",
        summary="The caller's reservations, newest first",
        description=(
            "For an admin, those of all customers. A page may have fewer items than `limit`, or none, although there is"
            " a `nextCursor`."
        ),
        who="signed-in",
        parameters=(*PAGE, *RESERVATION_FILTER, ON_BEHALF_OF),
        successes=(Success(200, "A page.", views.ReservationPage, {"items": [HOLD], "nextCursor": None}),),
    ),
    Operation(
        name="getReservation",
        method="get",
        path="/reservations/{id}",
        tag="Reservations",
        summary="One reservation",
        description=(
            "Another customer's reservation is not found, except by an admin. A hold reads as EXPIRED as soon as it is"
            " over."
        ),
        who="signed-in",
        parameters=(RESERVATION_IN_PATH, ON_BEHALF_OF),
        successes=(Success(200, "The reservation.", views.ReservationView, HOLD),),
        codes=("not-found",),
    ),
    *(
        Operation(
            name=name,
            method="post",
            path=path,
            tag="Reservations",
            summary="Buy what is held",
            description=(
                "Without a body, all units are bought. With `lines`, only those; the others are given back first."
                " `/checkout/{id}` and `/reservations/confirm/{id}` do the same. A retry gets the same answer."
            ),
            who="signed-in",
            parameters=(RESERVATION_IN_PATH, ON_BEHALF_OF),
            body=Body(bodies.PurchaseBody, {"lines": [{"productId": PRODUCT_ID, "quantity": 1}]}, required=False),
            successes=(Success(200, "The reservation, confirmed.", views.ReservationView, BOUGHT),),
            codes=("not-found", "expired", "cancelled", "already-confirmed", "too-many", "returns-used-up"),
        )
        for name, path in (("confirm", "/reservations/confirm/{id}"), ("checkout", "/checkout/{id}"))
    ),
    Operation(
        name="extend",
        method="post",
        path="/reservations/{id}/extend",
        tag="Reservations",
        summary="Extend a hold by its hold time, counted from now",
        description="As often as the product's `maxExtensions` allows.",
        who="signed-in",
        parameters=(RESERVATION_IN_PATH, ON_BEHALF_OF),
        successes=(Success(200, "The reservation, with its new end.", views.ReservationView, EXTENDED),),
        codes=("not-found", "expired", "already-confirmed", "cancelled", "extensions-used-up"),
    ),
    Operation(
        name="cancel",
        method="delete",
        path="/reservations/{id}",
        tag="Reservations",
        summary="Cancel a hold",
        description="Its units are on sale again. A hold that has expired or was cancelled before is answered 200 too.",
        who="signed-in",
        parameters=(RESERVATION_IN_PATH, ON_BEHALF_OF),
        successes=(Success(200, "The reservation, CANCELLED or EXPIRED.", views.ReservationView, CANCELLED),),
        codes=("not-found", "already-confirmed"),
    ),
    Operation(
        name="labelReservation",
        method="patch",
        path="/reservations/{id}",
        tag="Reservations",
        summary="Change the shop's own id and metadata of a reservation",
        description="Fields that the body leaves out stay as they are; null removes them.",
        who="admin",
        parameters=(RESERVATION_IN_PATH,),
        body=Body(bodies.LabelsBody, {"externalId": "order-1001", "metadata": {"channel": "app"}}),
        successes=(Success(200, "The reservation.", views.ReservationView, HOLD),),
        codes=("not-found",),
    ),
    Operation(
        name="returnUnits",
        method="post",
        path="/reservations/{id}/returns",
        tag="Reservations",
        summary="Give back units of a purchase",
        description=(
            "The units are on sale again, and count no more towards the customer's limit. The reservation stays"
            " CONFIRMED; its lines say how many units were returned."
        ),
        who="admin",
        parameters=(RESERVATION_IN_PATH, RETURN_KEY),
        body=Body(
            bodies.ReturnBody, {"lines": [{"productId": PRODUCT_ID, "quantity": 1}], "reason": "The box was torn"}
        ),
        successes=(
            Success(200, "The reservation.", views.ReservationView, RETURNED, headers=("Idempotent-Replayed",)),
        ),
        codes=(
            "not-found",
            "not-confirmed",
            "expired",
            "cancelled",
            "too-many",
            "returns-used-up",
            "key-reused",
        ),
    ),
)
