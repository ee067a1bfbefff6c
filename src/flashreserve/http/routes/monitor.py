"""Routes of the operator's figures: the overview, holds, audits, and the health of the shop."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from flashreserve.core.model import Scope
from flashreserve.core.outcomes import NotFound
from flashreserve.http import answers, audit_views, callers, monitor_views, requests
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.activity import SECONDS
from flashreserve.service.monitor import AuditRunning


class MonitorRoutes(Controller):
    """`/overview`, `/holds`, `/audits`, `/health`, and the figures of a product."""

    @get("/overview")
    async def overview(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The state of the shop."""
        await callers.manager(headers_of(request), services, Scope.READ)
        overview = await services.monitor.overview()
        recent = await services.monitor.activity(monitor_views.RECENT_S)
        return reply(answers.ok(monitor_views.overview_view(overview, recent)))

    @get("/overview/history")
    async def history(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The activity of the last quarter of an hour."""
        await callers.manager(headers_of(request), services, Scope.READ)
        return reply(answers.ok(monitor_views.history_view(await services.monitor.activity(SECONDS))))

    @get("/holds")
    async def holds(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The open holds, by the time at which they lapse."""
        await callers.manager(headers_of(request), services, Scope.READ)
        return reply(answers.ok(monitor_views.holds_view(*await services.monitor.holds())))

    @get("/products/{id:str}/figures")
    async def figures(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """The figures of a product's sale."""
        await callers.manager(headers_of(request), services, Scope.READ)
        found = await services.monitor.figures(requests.product_id(id))
        if isinstance(found, NotFound):
            return outcome_reply(found, request)
        return reply(answers.ok(monitor_views.product_figures_view(found)))

    @get("/audits")
    async def audits(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """The last audits."""
        await callers.manager(headers_of(request), services, Scope.READ)
        verdicts = await services.monitor.verdicts()
        return reply(answers.ok(audit_views.VerdictsView([audit_views.verdict_view(each) for each in verdicts])))

    @post("/audits")
    async def audit(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Run an audit, and answer its verdict."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        verdict = await services.monitor.run_audit(by)
        if isinstance(verdict, AuditRunning):
            return reply(answers.refusal("audit-running", "an audit is running; wait for it", place_of(request)))
        return reply(answers.ok(audit_views.verdict_view(verdict), 201))

    @get("/health")
    async def health(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Checks, versions and settings."""
        await callers.manager(headers_of(request), services)
        return reply(answers.ok(monitor_views.health_view(await services.report())))
