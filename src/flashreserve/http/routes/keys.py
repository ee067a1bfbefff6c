"""Routes to make, list and revoke API keys."""

from typing import Final, assert_never

from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath

from flashreserve.auth.outcomes import InvalidField
from flashreserve.core import names
from flashreserve.core.instants import instant_of
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.http import answers, bodies, callers, reader, requests, views
from flashreserve.http.requests import HttpRequest, headers_of, place_of
from flashreserve.http.routes.replies import ServicesHere, outcome_reply, reply
from flashreserve.service.access import KeyMade, KeysFull

_read_key: Final = reader.decoder(bodies.KeyBody)


class KeyRoutes(Controller):
    """`/api-keys`."""

    @post("/api-keys")
    async def create(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """Make a key. The answer has it, and no later one does."""
        by = await callers.manager(headers_of(request), services)
        asked = await requests.body(request, _read_key)
        name = names.parse_name(asked.name)
        if isinstance(name, Invalid):
            return outcome_reply(name, request)
        expires_at = None if asked.expires_at is None else instant_of(asked.expires_at)
        match await services.access.create_key(name, asked.scopes, expires_at, by):
            case KeyMade(key, text):
                return reply(answers.ok(views.NewKeyView(text, views.key_view(key)), 201))
            case InvalidField(field, message):
                return reply(answers.bad_field(field, message, place_of(request)))
            case KeysFull(most):
                detail = f"there are {most} API keys; revoke those that aren't used"
                return reply(answers.refusal("too-many-keys", detail, place_of(request)))
            case outcome:
                assert_never(outcome)

    @get("/api-keys")
    async def all(self, request: HttpRequest, services: ServicesHere) -> Response[bytes]:
        """All keys, without their secrets."""
        await callers.manager(headers_of(request), services)
        return reply(answers.ok(views.KeysView([views.key_view(key) for key in await services.access.keys()])))

    @delete("/api-keys/{id:str}", status_code=200)
    async def revoke(self, request: HttpRequest, id: FromPath[str], services: ServicesHere) -> Response[bytes]:  # noqa: A002
        """Revoke a key."""
        by = await callers.manager(headers_of(request), services)
        await requests.no_body(request)
        if not await services.access.revoke_key(id.lower(), by):
            return outcome_reply(NotFound("API key", id[:_ID_SHOWN_MAX]), request)
        return reply(answers.Answer(204, b""))


_ID_SHOWN_MAX: Final = 64
