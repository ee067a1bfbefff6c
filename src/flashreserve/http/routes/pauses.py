"""Routes to pause and resume sales, for admins."""

from typing import Final

from litestar import Controller, Response, post
from litestar.params import FromPath

from flashreserve.core.model import Scope
from flashreserve.core.outcomes import Invalid, Outcome
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.pauses import SalePause

_read_pause: Final = reader.decoder(bodies.PauseBody)


class PauseRoutes(Controller):
    """`/pause`, `/resume`, and the same of a product."""

    @post("/products/{id:str}/pause", status_code=200)
    async def pause(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Pause the sale of a product."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        product_id = requests.product_id(id)
        reason = (await requests.body(request, _read_pause)).line()
        if isinstance(reason, Invalid):
            return outcome_reply(reason, request)
        return _pause_reply(await services.pauses.pause(product_id, reason, by), request)

    @post("/products/{id:str}/resume", status_code=200)
    async def resume(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Resume the sale of a product."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        await requests.no_body(request)
        return _pause_reply(await services.pauses.resume(requests.product_id(id), by), request)

    @post("/pause", status_code=200)
    async def pause_all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Pause the sales of all products."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        reason = (await requests.body(request, _read_pause)).line()
        if isinstance(reason, Invalid):
            return outcome_reply(reason, request)
        return _pause_reply(await services.pauses.pause_all(reason, by), request)

    @post("/resume", status_code=200)
    async def resume_all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Resume the sales of all products."""
        by = await callers.manager(headers_of(request), services, Scope.CATALOGUE)
        await requests.no_body(request)
        return _pause_reply(await services.pauses.resume_all(by), request)


def _pause_reply(done: SalePause | Outcome, request: HttpRequest) -> Response[bytes]:
    if isinstance(done, SalePause):
        return reply(answers.ok(views.PauseView(done.paused, done.settling)))
    return outcome_reply(done, request)
