"""Webhook endpoints and attempts as JSON. Secrets are in the answers that make them only."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from flashreserve.core.endpoints import AttemptResult, DeliveryBacklog, DisabledWhy, Endpoint, LoggedAttempt
from flashreserve.core.events import Event, actor_named
from flashreserve.core.instants import format_instant
from flashreserve.http.fields import CustomerId, Id, InstantText
from flashreserve.http.views import format_optional
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt
from flashreserve.webhooks.subscriptions import written_types

_Reason = Annotated[
    str,
    Meta(
        description="`admin`: an admin disabled it; `gone`: it answered 410; `failing`: it failed for five days.",
        extra_json_schema={"enum": [why.value for why in DisabledWhy]},
    ),
]
_Status = Annotated[int, Meta(ge=100, le=999, description="Of the endpoint's answer; null if there was none.")]
_Duration = Annotated[int, Meta(ge=0, description="Milliseconds until the end of the answer.")]
_Error = Annotated[
    str,
    Meta(
        description="Why it failed; null if it was delivered.",
        extra_json_schema={"enum": [error.value for error in AttemptError]},
    ),
]
_Result = Annotated[
    str,
    Meta(
        description="`retried`: it failed, and is tried again; `failed`: it was the last try.",
        extra_json_schema={"enum": [result.value for result in AttemptResult]},
    ),
]


class EndpointView(Struct, frozen=True, rename="camel"):
    """An endpoint, without its secret. Since `failingSince` there were only failures, so many."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: InstantText
    created_by: CustomerId | None
    disabled_at: InstantText | None
    disabled_reason: _Reason | None
    failing_since: InstantText | None
    failures: Annotated[int, Meta(ge=0)]


class NewEndpointView(EndpointView, frozen=True, rename="camel"):
    """An endpoint with its new secret, which is shown this once."""

    secret: str


class BacklogView(Struct, frozen=True, rename="camel"):
    """The subjects that have events to deliver, and when the first of them was due, or will be tried again."""

    groups: Annotated[int, Meta(ge=0)]
    oldest_due: InstantText | None


class EndpointWithBacklogView(EndpointView, frozen=True, rename="camel"):
    """An endpoint, and its waiting deliveries."""

    backlog: BacklogView


class EndpointsView(Struct, frozen=True):
    """All endpoints, oldest first."""

    items: list[EndpointView]


class TestedView(Struct, frozen=True, rename="camel"):
    """The result of a test."""

    status: _Status | None
    duration_ms: _Duration
    error: _Error | None


class AttemptView(Struct, frozen=True, rename="camel"):
    """One request to an endpoint: try `number` of its event."""

    id: str
    event_id: str
    number: Annotated[int, Meta(ge=1)]
    at: InstantText
    status: _Status | None
    duration_ms: _Duration
    error: _Error | None
    result: _Result


class AttemptPage(Struct, frozen=True, rename="camel"):
    """Some attempts, newest first. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[AttemptView]
    next_cursor: Id | None


class ResentView(Struct, frozen=True, rename="camel"):
    """The event that is sent once more."""

    event_id: str
    type: str


def endpoint_view(endpoint: Endpoint) -> EndpointView:
    """An endpoint for admins."""
    return EndpointView(**_fields(endpoint))


def new_endpoint_view(endpoint: Endpoint, secret: str) -> NewEndpointView:
    """An endpoint with a secret that was made just now."""
    return NewEndpointView(**_fields(endpoint), secret=secret)


def endpoint_with_backlog(endpoint: Endpoint, backlog: DeliveryBacklog) -> EndpointWithBacklogView:
    """An endpoint and its backlog."""
    shown = BacklogView(backlog.groups, format_optional(backlog.oldest_due))
    return EndpointWithBacklogView(**_fields(endpoint), backlog=shown)


def tested_view(attempt: DeliveryAttempt) -> TestedView:
    """The result of a test."""
    return TestedView(attempt.status, attempt.duration_ms, None if attempt.error is None else attempt.error.value)


def attempt_page(attempts: list[LoggedAttempt], limit: int) -> AttemptPage:
    """At most `limit` of the attempts; if there are more of them, there is a next page."""
    shown = attempts[:limit]
    return AttemptPage(list(map(attempt_view, shown)), shown[-1].id if len(attempts) > limit else None)


def attempt_view(attempt: LoggedAttempt) -> AttemptView:
    """An attempt for admins."""
    return AttemptView(
        id=attempt.id,
        event_id=attempt.event_id,
        number=attempt.number,
        at=format_instant(attempt.at),
        status=attempt.status,
        duration_ms=attempt.duration_ms,
        error=attempt.error,
        result=attempt.result.value,
    )


def resent_view(event: Event) -> ResentView:
    """The event that is sent once more."""
    return ResentView(event.id, event.type.value)


def _fields(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": written_types(endpoint.types),
        "created_at": format_instant(endpoint.created_at),
        "created_by": actor_named(endpoint.created_by).id,
        "disabled_at": format_optional(endpoint.disabled_at),
        "disabled_reason": None if endpoint.disabled_why is None else endpoint.disabled_why.value,
        "failing_since": format_optional(endpoint.failing_since),
        "failures": endpoint.failures,
    }
