"""The route that tells the time."""

from litestar import Controller, Response, get

from flashreserve.core.instants import format_instant
from flashreserve.http import answers
from flashreserve.http.monitor_views import TimeView
from flashreserve.http.routes.replies import ServicesHere, reply


class TimeRoutes(Controller):
    """`/time`."""

    @get("/time")
    async def now(self, services: ServicesHere) -> Response[bytes]:
        """The time by which sales open and holds lapse."""
        return reply(answers.ok(TimeView(format_instant(services.clock.now_ms()))))
