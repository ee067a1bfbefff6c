"""Routes to manage webhook endpoints, and to look at their deliveries, for admins."""

from typing import Final, assert_never

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec import UNSET

from flashreserve.core.events import Event
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.http import answers, bodies, callers, endpoint_views, reader, requests
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.webhooks import EndpointChanged, EndpointMade, EndpointsFull
from flashreserve.webhooks.subscriptions import read_types

_read_endpoint: Final = reader.decoder(bodies.EndpointBody)
_read_edit: Final = reader.decoder(bodies.EndpointEditBody)
_read_enable: Final = reader.decoder(bodies.EnableBody)


class WebhookRoutes(Controller):
    """`/webhooks`."""

    @post("/webhooks")
    async def add(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Add an endpoint. The answer has its secret, and no later one does."""
        by = await callers.manager(headers_of(request), services)
        asked = await requests.body(request, _read_endpoint)
        types = read_types(asked.events)
        if isinstance(types, Invalid):
            return _refused(types, request)
        match await services.webhooks.add(asked.url, types, by):
            case EndpointMade(endpoint, secret):
                location = ("location", f"{place_of(request).prefix}/webhooks/{endpoint.id}")
                return reply(answers.ok(endpoint_views.new_endpoint_view(endpoint, secret), 201, (location,)))
            case EndpointsFull(most):
                detail = f"there are {most} endpoints; remove those that aren't used"
                return reply(answers.refusal("too-many-endpoints", detail, place_of(request)))
            case Invalid() as invalid:
                return _refused(invalid, request)
            case outcome:
                assert_never(outcome)

    @get("/webhooks")
    async def all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """All endpoints, without their secrets."""
        await callers.manager(headers_of(request), services)
        found = await services.webhooks.endpoints()
        return reply(answers.ok(endpoint_views.EndpointsView(list(map(endpoint_views.endpoint_view, found)))))

    @get("/webhooks/{id:str}")
    async def one(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """One endpoint, and its backlog."""
        await callers.manager(headers_of(request), services)
        found = await services.webhooks.endpoint(requests.path_id(id, "id"))
        if isinstance(found, NotFound):
            return _refused(found, request)
        backlog = await services.webhooks.backlog(found.id)
        return reply(answers.ok(endpoint_views.endpoint_with_backlog(found, backlog)))

    @patch("/webhooks/{id:str}")
    async def edit(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Change the URL or the types of an endpoint."""
        by = await callers.manager(headers_of(request), services)
        endpoint_id = requests.path_id(id, "id")
        asked = await requests.body(request, _read_edit)
        types = UNSET if asked.events is UNSET else read_types(asked.events)
        if isinstance(types, Invalid):
            return _refused(types, request)
        return _reply(await services.webhooks.edit(endpoint_id, by, asked.url, types), request)

    @delete("/webhooks/{id:str}", status_code=200)
    async def remove(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Remove an endpoint."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        done = await services.webhooks.remove(requests.path_id(id, "id"), by)
        return _refused(done, request) if isinstance(done, NotFound) else reply(answers.Answer(204, b""))

    @post("/webhooks/{id:str}/test", status_code=200)
    async def test(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Send an event to the endpoint at once, to test it."""
        await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        attempt = await services.webhooks.test(requests.path_id(id, "id"))
        if isinstance(attempt, Invalid | NotFound):
            return _refused(attempt, request)
        return reply(answers.ok(endpoint_views.tested_view(attempt)))

    @post("/webhooks/{id:str}/rotate", status_code=200)
    async def rotate(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Give an endpoint a new secret."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        return _reply(await services.webhooks.rotate(requests.path_id(id, "id"), by), request)

    @post("/webhooks/{id:str}/disable", status_code=200)
    async def disable(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Send nothing to an endpoint until it is enabled."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        return _reply(await services.webhooks.disable(requests.path_id(id, "id"), by), request)

    @post("/webhooks/{id:str}/enable", status_code=200)
    async def enable(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Send events to a disabled endpoint again."""
        by = await callers.manager(headers_of(request), services)
        endpoint_id = requests.path_id(id, "id")
        asked = await requests.body(request, _read_enable, empty=bodies.EnableBody())
        replay_from = asked.since()
        if isinstance(replay_from, Invalid):
            return _refused(replay_from, request)
        return _reply(await services.webhooks.enable(endpoint_id, replay_from, by), request)

    @get("/webhooks/{id:str}/deliveries")
    async def attempts(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """The attempts on an endpoint, newest first."""
        await callers.manager(headers_of(request), services)
        cursor, limit = requests.page(request)
        found = await services.webhooks.attempts(requests.path_id(id, "id"), cursor, limit + 1)
        if isinstance(found, NotFound):
            return _refused(found, request)
        return reply(answers.ok(endpoint_views.attempt_page(found, limit)))

    @post("/webhooks/{id:str}/deliveries/{eventId:str}/resend", status_code=202)
    async def resend(
        self,
        request: HttpRequest,
        id: FromPath[str],  # noqa: A002
        eventId: FromPath[str],  # noqa: N803 as documented
        services: ServicesHere,
    ) -> Response[bytes]:
        """Send an event to an endpoint once more."""
        await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        sent = await services.webhooks.resend(requests.path_id(id, "id"), requests.event_id(eventId))
        if not isinstance(sent, Event):
            return _refused(sent, request)
        return reply(answers.ok(endpoint_views.resent_view(sent), 202))


def _reply(done: EndpointMade | EndpointChanged | Invalid | NotFound, request: HttpRequest) -> Response[bytes]:
    match done:
        case EndpointMade(endpoint, secret):
            return reply(answers.ok(endpoint_views.new_endpoint_view(endpoint, secret)))
        case EndpointChanged(endpoint):
            return reply(answers.ok(endpoint_views.endpoint_view(endpoint)))
        case Invalid() | NotFound():
            return _refused(done, request)
        case _:
            assert_never(done)


def _refused(refused: Invalid | NotFound, request: HttpRequest) -> Response[bytes]:
    if isinstance(refused, NotFound):
        return outcome_reply(refused, request)
    # Not by `from_outcome`: it writes words such as `stocked` as products' fields, and the types of events have these.
    return reply(answers.bad_field(refused.field, refused.message, place_of(request)))
