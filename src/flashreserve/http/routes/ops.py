"""Routes for health, metrics, and the meanings of problems."""

import asyncio
from typing import cast

from litestar import Controller, Response, get
from litestar.params import FromPath

from flashreserve.http import answers, callers, requests, views
from flashreserve.http.answers import RefusalError
from flashreserve.http.problems import KINDS, Code
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, reply


class OpsRoutes(Controller):
    """Health, metrics and problems."""

    @get("/livez")
    async def live(self) -> Response[bytes]:
        """The process answers."""
        return reply(answers.ok(views.HealthView()))

    @get("/readyz")
    async def ready(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Requests can be served. With `?verbose`, every check is listed."""
        verbose = requests.flag(request, "verbose")
        if verbose:
            address = requests.client_address(request, services)
            asking = callers.is_operator(headers_of(request), address, services)
            # Both at the same time: each waits for the database, up to 5 s if it hangs.
            operator, checks = await asyncio.gather(asking, services.health())
        else:
            operator, checks = False, await services.health()
        return reply(answers.readiness(checks, place_of(request), verbose=verbose, operator=operator))

    @get("/metrics")
    async def metrics(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Figures for Prometheus."""
        await callers.check_operator(headers_of(request), requests.client_address(request, services), services)
        return Response(services.metrics(), media_type="text/plain; version=0.0.4")

    @get("/problems/{code:str}")
    async def problem(self, code: FromPath[str]) -> Response[bytes]:
        """The meaning of a kind of problem."""
        kind = KINDS.get(cast("Code", code))
        if kind is None:
            raise RefusalError("not-found", "there is no such kind of problem")
        return reply(answers.ok(views.ProblemKindView(code, kind.status, kind.title, kind.meaning)))
