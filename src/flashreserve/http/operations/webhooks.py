"""Webhooks: add, change and remove endpoints, and look at their deliveries."""

from typing import Any, Final

from flashreserve.http import bodies, endpoint_views, fields
from flashreserve.http.operations.examples import ENDPOINT, ENDPOINT_ID, MADE_AT, NEW_ENDPOINT, RESERVATION_ID
from flashreserve.http.operations.operation import Body, Operation, Parameter, Success
from flashreserve.http.operations.parameters import ENDPOINT_IN_PATH, PAGE

_EVENT_ID: Final = f"{RESERVATION_ID}-2"
_TAG: Final = "Webhooks"
_AGAIN: Final = "A repeated request gets the same answer."
_SHOWN: Final = Success(200, "The endpoint.", endpoint_views.EndpointView, ENDPOINT)
_TESTED: Final[dict[str, Any]] = {"status": 204, "durationMs": 85, "error": None}
_ATTEMPT: Final = {
    "id": "0199f3a2-9e10-7b52-8c3f-5a7d9e2b4c70",
    "eventId": _EVENT_ID,
    "number": 1,
    "at": MADE_AT,
    "status": 500,
    "durationMs": 85,
    "error": "status",
    "result": "retried",
}

_ENDPOINTS: Final = (
    Operation(
        name="addEndpoint",
        method="post",
        path="/webhooks",
        tag=_TAG,
        summary="Add an endpoint",
        description=(
            "Events of these types are delivered to it from now on: see the webhooks of this document. `secret` signs"
            " them, as Standard Webhooks says, and is shown this once."
        ),
        who="admin",
        body=Body(bodies.EndpointBody, {"url": ENDPOINT["url"], "events": ENDPOINT["events"]}),
        successes=(
            Success(
                201,
                "The endpoint.",
                endpoint_views.NewEndpointView,
                NEW_ENDPOINT,
                headers=("Location",),
                links=("getEndpoint", "editEndpoint", "removeEndpoint"),
            ),
        ),
        codes=("too-many-endpoints",),
    ),
    Operation(
        name="listEndpoints",
        method="get",
        path="/webhooks",
        tag=_TAG,
        summary="All endpoints, oldest first",
        who="admin",
        successes=(Success(200, "The endpoints.", endpoint_views.EndpointsView, {"items": [ENDPOINT]}),),
    ),
    Operation(
        name="getEndpoint",
        method="get",
        path="/webhooks/{id}",
        tag=_TAG,
        summary="One endpoint, and how much waits for it",
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        successes=(
            Success(
                200,
                "The endpoint.",
                endpoint_views.EndpointWithBacklogView,
                {**ENDPOINT, "backlog": {"groups": 1, "oldestDue": MADE_AT}},
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="editEndpoint",
        method="patch",
        path="/webhooks/{id}",
        tag=_TAG,
        summary="Change the URL or the types of an endpoint",
        description="What waits for the endpoint goes to the new URL.",
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        body=Body(bodies.EndpointEditBody, {"events": ENDPOINT["events"]}),
        successes=(_SHOWN,),
        codes=("not-found",),
    ),
    Operation(
        name="removeEndpoint",
        method="delete",
        path="/webhooks/{id}",
        tag=_TAG,
        summary="Remove an endpoint",
        description="Nothing is sent to it any more, besides requests that are under way.",
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        successes=(Success(204, "The endpoint is removed."),),
        codes=("not-found",),
    ),
)

_ACTIONS: Final = (
    Operation(
        name="testEndpoint",
        method="post",
        path="/webhooks/{id}/test",
        tag=_TAG,
        summary="Test an endpoint",
        description=(
            "Sends it one signed event of the type `endpoint.tested`, waits for the answer, and says how it went. It"
            " works for a disabled endpoint too, and counts neither as a delivery nor as a failure."
        ),
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        successes=(Success(200, "The result of the test.", endpoint_views.TestedView, _TESTED),),
        codes=("not-found",),
    ),
    Operation(
        name="rotateSecret",
        method="post",
        path="/webhooks/{id}/rotate",
        tag=_TAG,
        summary="Give an endpoint a new secret",
        description="It is shown this once. For 24 hours, deliveries are signed by the old one as well.",
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        successes=(Success(200, "The endpoint.", endpoint_views.NewEndpointView, NEW_ENDPOINT),),
        codes=("not-found",),
    ),
    Operation(
        name="disableEndpoint",
        method="post",
        path="/webhooks/{id}/disable",
        tag=_TAG,
        summary="Send nothing to an endpoint until it is enabled",
        description=_AGAIN,
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        successes=(
            Success(
                200,
                "The endpoint.",
                endpoint_views.EndpointView,
                {**ENDPOINT, "disabledAt": MADE_AT, "disabledReason": "admin"},
            ),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="enableEndpoint",
        method="post",
        path="/webhooks/{id}/enable",
        tag=_TAG,
        summary="Send events to a disabled endpoint again",
        description=(
            "From now on; or, with `replayFrom`, all events since then, those again that were delivered already, and"
            " those that waited to be tried again. Without it, these are left out."
        ),
        who="admin",
        parameters=(ENDPOINT_IN_PATH,),
        body=Body(bodies.EnableBody, {"replayFrom": MADE_AT}, required=False),
        successes=(_SHOWN,),
        codes=("not-found",),
    ),
)

_DELIVERIES: Final = (
    Operation(
        name="listDeliveries",
        method="get",
        path="/webhooks/{id}/deliveries",
        tag=_TAG,
        summary="The attempts to deliver to an endpoint, newest first",
        who="admin",
        parameters=(ENDPOINT_IN_PATH, *PAGE),
        successes=(
            Success(200, "A page.", endpoint_views.AttemptPage, {"items": [_ATTEMPT], "nextCursor": ENDPOINT_ID}),
        ),
        codes=("not-found",),
    ),
    Operation(
        name="resendEvent",
        method="post",
        path="/webhooks/{id}/deliveries/{eventId}/resend",
        tag=_TAG,
        summary="Send an event to an endpoint once more",
        description="Within moments, beside all other deliveries, with the same id.",
        who="admin",
        parameters=(
            ENDPOINT_IN_PATH,
            Parameter("eventId", "path", fields.EventId, "The event's id.", required=True, example=_EVENT_ID),
        ),
        successes=(
            Success(
                202,
                "It will be sent.",
                endpoint_views.ResentView,
                {"eventId": _EVENT_ID, "type": "reservation.confirmed"},
            ),
        ),
        codes=("not-found",),
    ),
)

WEBHOOK_OPERATIONS: Final = (*_ENDPOINTS, *_ACTIONS, *_DELIVERIES)
