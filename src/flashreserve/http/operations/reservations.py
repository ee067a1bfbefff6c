"""Reservations: make, read, confirm, extend and cancel them."""

from typing import Final

from flashreserve.http import bodies, views
from flashreserve.http.operations.examples import BOUGHT, CANCELLED, EXTENDED, HOLD, PRODUCT_ID
from flashreserve.http.operations.operation import Body, Operation, Success
from flashreserve.http.operations.parameters import PAGE, PRODUCT_IN_PATH, RESERVATION_IN_PATH, RESERVE_KEY
from flashreserve.http.problems import Code

_QUOTAS: Final[tuple[Code, ...]] = ("open-holds-reached", "hourly-holds-reached", "lapses-reached")

RESERVATIONS: Final = (
    Operation(
        name="reserve",
        method="post",
        path="/reservations/{id}",
        tag="Reservations",
        summary="Hold units of one product",
        description="The id is the product's. No body means one unit. 201 means that the hold is durable.",
        who="customer",
        parameters=(PRODUCT_IN_PATH, RESERVE_KEY),
        body=Body(bodies.QuantityBody, {"quantity": 1}, required=False),
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
        parameters=(RESERVE_KEY,),
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
        codes=("not-found", "not-on-sale", "sold-out", "limit-reached", "key-reused", *_QUOTAS),
    ),
    Operation(
        name="listReservations",
        method="get",
        path="/reservations",
        tag="Reservations",
        summary="The caller's reservations, newest first",
        who="signed-in",
        parameters=PAGE,
        successes=(Success(200, "A page.", views.ReservationPage, {"items": [HOLD], "nextCursor": None}),),
    ),
    Operation(
        name="getReservation",
        method="get",
        path="/reservations/{id}",
        tag="Reservations",
        summary="One of the caller's reservations",
        description="Another customer's reservation is not found. A hold reads as EXPIRED as soon as it is over.",
        who="signed-in",
        parameters=(RESERVATION_IN_PATH,),
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
            description="`/checkout/{id}` and `/reservations/confirm/{id}` do the same. A retry gets the same answer.",
            who="signed-in",
            parameters=(RESERVATION_IN_PATH,),
            successes=(Success(200, "The reservation, confirmed.", views.ReservationView, BOUGHT),),
            codes=("not-found", "expired", "cancelled"),
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
        parameters=(RESERVATION_IN_PATH,),
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
        parameters=(RESERVATION_IN_PATH,),
        successes=(Success(200, "The reservation, CANCELLED or EXPIRED.", views.ReservationView, CANCELLED),),
        codes=("not-found", "already-confirmed"),
    ),
)
