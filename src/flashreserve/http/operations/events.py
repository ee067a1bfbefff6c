"""Events: the trail for admins, and the log for programs of the shop's."""

from typing import Final

from flashreserve.core.events import EventType
from flashreserve.http import event_views, fields
from flashreserve.http.operations.event_examples import EVENTS
from flashreserve.http.operations.operation import Operation, Parameter, Success
from flashreserve.http.operations.parameters import LIMIT

_CONFIRMED: Final = EVENTS[EventType.RESERVATION_CONFIRMED]
_SUBJECT: Final = Parameter(
    "subject",
    "query",
    fields.SubjectId,
    "Only events of the reservation, product, account, API key or endpoint with this id.",
)
_TYPE: Final = Parameter(
    "type",
    "query",
    fields.EventTypes,
    "Only events of these types, with commas between them.",
    example="reservation.confirmed,reservation.returned",
)

EVENT_OPERATIONS: Final = (
    Operation(
        name="readTrail",
        method="get",
        path="/trail",
        tag="Events",
        summary="Who changed what, and when, oldest first",
        description=(
            "With `subject`, the first event of a reservation is its grant, even if the log has no event of it. A page"
            " may have fewer items than `limit`, or none, although there is a `nextCursor`."
        ),
        who="admin",
        parameters=(
            Parameter(
                "cursor", "query", fields.Place, "`nextCursor` of the page before. Without it, the first page is sent."
            ),
            LIMIT,
            _SUBJECT,
            Parameter(
                "actor", "query", fields.CustomerId, "Only events by the customer, account or API key with this id."
            ),
            _TYPE,
            Parameter("from", "query", fields.Instant, "Only events at this time or later."),
        ),
        successes=(Success(200, "A page.", event_views.EventPage, {"items": [_CONFIRMED], "nextCursor": None}),),
    ),
    Operation(
        name="readEvents",
        method="get",
        path="/events",
        tag="Events",
        summary="The log of events, for programs that follow it",
        description=(
            "In an order that never changes: an event that is added later comes later. A program asks with `after` for"
            " what came after its last answer, at once if that said `hasMore`, and every few seconds otherwise. It sees"
            " each event once, and the events of one subject in the order of `sequence`."
        ),
        who="admin",
        parameters=(
            Parameter("after", "query", fields.Place, "`nextCursor` of the last answer. Without it, from the oldest."),
            LIMIT,
            _SUBJECT,
            _TYPE,
        ),
        successes=(
            Success(
                200,
                "Events, or none yet.",
                event_views.EventLogPage,
                {"items": [_CONFIRMED], "nextCursor": "17", "hasMore": False},
            ),
        ),
    ),
)
