"""Routes of the streams of server-sent events, and of the tickets that open them."""

from functools import partial
from typing import Final

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from flashreserve.auth.address import throttled_as
from flashreserve.auth.purpose_tokens import PurposeSubject
from flashreserve.auth.tokens import Identity
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Role
from flashreserve.core.outcomes import NotFound
from flashreserve.http import answers, callers, fields, requests
from flashreserve.http.answers import CHALLENGE, RefusalError
from flashreserve.http.requests import HttpRequest, headers_of
from flashreserve.http.routes.replies import ServicesHere, reply
from flashreserve.http.services import Services
from flashreserve.http.streams import views as stream_views
from flashreserve.http.streams.event_stream import EventStream
from flashreserve.http.streams.overview_stream import WATCHERS_MAX, Allowed

_TRY_AGAIN_S: Final = 15


class StreamRoutes(Controller):
    """`/products/{id}/events`, `/admin/events` and `/stream-tickets`."""

    @get("/products/{id:str}/events")
    async def stock(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> EventStream:  # noqa: A002
        """The stock of a product, now and at each change."""
        address = _admitted(request, services)
        product_id = requests.product_id(id)
        sight = await services.catalogue.stock(product_id)
        if isinstance(sight, NotFound):
            raise RefusalError("not-found", f"there is no product {product_id}")
        streams = services.streams.stock
        _refuse_if(streams.refusal(product_id))
        return EventStream(request.scope, lambda stream: streams.enter(sight, stream, address))

    @get("/admin/events")
    async def overview(self, request: HttpRequest, services: ServicesHere) -> EventStream:
        """The overview of the shop, about once a second."""
        allowed = await _admin(request, services)
        address = _admitted(request, services)
        streams = services.streams.overview
        if streams.is_full:
            detail = f"{WATCHERS_MAX} admins watch already, as many as this process allows"
            raise RefusalError("unavailable", detail, retry_after_s=_TRY_AGAIN_S)
        beginning = await streams.beginning()
        return EventStream(request.scope, lambda stream: streams.enter(beginning, stream, address, allowed))

    @post("/stream-tickets")
    async def ticket(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """A ticket that opens the stream of the overview for a minute."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        issued = services.streams.tickets.issue(by, services.clock.now_ms())
        return reply(answers.ok(stream_views.TicketView(issued.text, format_instant(issued.expires_at)), 201))


def _admitted(request: HttpRequest, services: Services) -> str | None:
    """The name under which the client's streams are counted.

    Raises:
        RefusalError: There are as many streams as there may be; the client should poll.
    """
    address = throttled_as(requests.client_address(request, services))
    _refuse_if(services.streams.room.refusal(address))
    return address


def _refuse_if(refusal: str | None) -> None:
    if refusal is not None:
        raise RefusalError("unavailable", f"{refusal}; ask for the stock instead", retry_after_s=_TRY_AGAIN_S)


async def _admin(request: HttpRequest, services: Services) -> Allowed:
    """Check that an admin asks, by cookie, token or ticket. Returns a function that checks the same again.

    Raises:
        RefusalError: The sender isn't an admin.
    """
    headers = headers_of(request)
    ticket = requests.parameter(request, "ticket", fields.PurposeTokenText)
    if ticket is None:
        await callers.manager(headers, services)

        async def may_by_token() -> bool:
            try:
                await callers.manager(headers, services)
            except RefusalError:
                return False
            return True

        return may_by_token
    subject = services.streams.tickets.read(ticket, services.clock.now_ms())
    if subject is None or not await _may_watch(subject, services):
        detail = "the ticket is invalid or over a minute old; ask for another one"
        raise RefusalError("unauthenticated", detail, headers=(CHALLENGE,))
    return partial(_may_watch, subject, services)


async def _may_watch(subject: PurposeSubject, services: Services) -> bool:
    """Whether the account is still an admin's, and wasn't signed out everywhere after the ticket was made."""
    at = subject.issued_at
    identity = Identity(subject.name, Role.ADMIN, expires_at=at, issued_at=at, signed_in_at=at)
    return await services.accounts.is_admin(subject.name) and not await services.access.is_signed_out(identity)
