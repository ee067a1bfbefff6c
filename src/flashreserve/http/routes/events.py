"""Routes to read events: the trail for admins, and the log for programs of the shop's."""

from litestar import Controller, Response, get

from flashreserve.core.model import Scope
from flashreserve.http import answers, callers, event_views, requests
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, reply


class EventRoutes(Controller):
    """`/trail` and `/events`."""

    @get("/trail")
    async def trail(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The events that the query asks for, oldest first."""
        await callers.manager(headers_of(request), services)
        beyond, limit = requests.event_page(request, "cursor")
        shown = await services.events.trail(requests.event_filter(request), beyond, limit)
        return reply(answers.ok(event_views.event_page(shown)))

    @get("/events")
    async def log(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The log of events, from a place on."""
        await callers.manager(headers_of(request), services, Scope.READ)
        beyond, limit = requests.event_page(request, "after")
        shown = await services.events.log(requests.event_filter(request), beyond or 0, limit)
        return reply(answers.ok(event_views.event_log_page(shown)))
