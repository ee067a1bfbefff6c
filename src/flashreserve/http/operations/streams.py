"""Streams of server-sent events, and the tickets that open them."""

from typing import Final

from flashreserve.http import fields
from flashreserve.http.operations.examples import MADE_AT
from flashreserve.http.operations.operation import Operation, Parameter, Success
from flashreserve.http.operations.parameters import PRODUCT_IN_PATH
from flashreserve.http.streams.views import TicketView

_STREAM: Final = ("text/event-stream",)
_HOW: Final = (
    " An event is the whole state, so a client that missed some needs only the last one. A comment comes every 15"
    " seconds. A client that takes nothing for 10 seconds is dropped. With too many streams, the answer is 503."
)

STREAMS: Final = (
    Operation(
        name="followStock",
        method="get",
        path="/products/{id}/events",
        tag="Products",
        summary="The stock of a product, now and whenever it changes",
        description=(
            "Events named `stock`, at most one in 250 ms, with `productId`, `stockQuantity`, `available`, `held` (null"
            " while it isn't known), `pauseReason`, `saleStartsAt`, `saleEndsAt`, `archived` and `asOf`." + _HOW
        ),
        who="anyone",
        parameters=(PRODUCT_IN_PATH,),
        successes=(Success(200, "The events.", media_types=_STREAM),),
        codes=("not-found",),
    ),
    Operation(
        name="followOverview",
        method="get",
        path="/admin/events",
        tag="Operations",
        summary="The overview of the shop, about once a second",
        description=(
            "First an event named `history`, with the body of `GET /overview/history`; then events named `overview`,"
            " with that of `GET /overview`. A browser's EventSource sends no Authorization header, so without the"
            " cookie it needs a ticket." + _HOW
        ),
        who="admin",
        parameters=(
            Parameter(
                "ticket",
                "query",
                fields.PurposeTokenText,
                "A ticket of `POST /stream-tickets`, in place of a token.",
            ),
        ),
        successes=(Success(200, "The events.", media_types=_STREAM),),
    ),
    Operation(
        name="makeStreamTicket",
        method="post",
        path="/stream-tickets",
        tag="Operations",
        summary="A ticket that opens the stream of the overview",
        description=(
            "It is good for a minute. A stream that was opened by it goes on as long as the admin is one, and isn't"
            " signed out everywhere."
        ),
        who="admin",
        successes=(Success(201, "The ticket.", TicketView, {"ticket": "eyJhbGciOiJIUzI1NiIs…", "expiresAt": MADE_AT}),),
    ),
)
