"""Webhook endpoints: adding, changing and removing them, and looking at their deliveries."""

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import Clock, Ids
from flashreserve.core import limits
from flashreserve.core.endpoints import (
    Delivery,
    DeliveryBacklog,
    DisabledWhy,
    Endpoint,
    LoggedAttempt,
    changed,
    terms_of,
)
from flashreserve.core.events import Event, EventType, actor_named
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.service.deliveries import Encode, WebhookSender, secrets_of
from flashreserve.service.fan_out import OutboxStore, previous_number
from flashreserve.stores.outages import after_a_change
from flashreserve.stores.port import StoreUnavailableError
from flashreserve.webhooks.addresses import Destinations
from flashreserve.webhooks.attempts import DeliveryAttempt
from flashreserve.webhooks.endpoint_urls import read_endpoint_url
from flashreserve.webhooks.signatures import (
    MissingKey,
    SecretVersion,
    rotated,
    secret_of,
    signed_headers,
    signing_secrets,
)

_CHANGE_TRIES_MAX: Final = 5

_REPLAY_MARGIN_MS: Final = 60_000
"""A replay begins so much earlier: events are in the log in nearly the order of their times."""


class EndpointMade(msgspec.Struct, frozen=True, tag=True):
    """The endpoint with its secret, which is shown this once."""

    endpoint: Endpoint
    secret: str


class EndpointChanged(msgspec.Struct, frozen=True, tag=True):
    """The endpoint as it is now."""

    endpoint: Endpoint


class EndpointsFull(msgspec.Struct, frozen=True, tag=True):
    """There are as many endpoints as there may be."""

    most: int


class WebhookService:
    """Manages endpoints for admins. `by` is the name under which a change is recorded."""

    def __init__(
        self,
        *,
        store: OutboxStore,
        sender: WebhookSender,
        keys: KeyRing,
        destinations: Destinations,
        encode: Encode,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._store = store
        self._sender = sender
        self._keys = keys
        self._destinations = destinations
        self._encode = encode
        self._clock = clock
        self._ids = ids

    async def add(self, url: str, types: tuple[EventType, ...], by: str) -> EndpointMade | Invalid | EndpointsFull:
        """Add an endpoint, to which events of these types, or all if there are none, are delivered from now on."""
        read = read_endpoint_url(url, self._destinations)
        if isinstance(read, Invalid):
            return read
        endpoint = Endpoint(
            id=self._ids.new(),
            url=read.text,
            types=_ordered(types),
            kid=self._keys.kids[0],
            generation=1,
            created_at=self._clock.now_ms(),
            created_by=by,
            seen=await self._store.last_place(),
        )
        if not await self._store.add_endpoint(endpoint, limits.ENDPOINTS_MAX):
            return EndpointsFull(limits.ENDPOINTS_MAX)
        return EndpointMade(endpoint, self._secret(endpoint))

    async def endpoints(self) -> list[Endpoint]:
        """All endpoints, oldest first."""
        return await self._store.endpoints()

    async def endpoint(self, endpoint_id: str) -> Endpoint | NotFound:
        """The endpoint as it is now."""
        return await self._store.endpoint(endpoint_id) or NotFound("endpoint", endpoint_id)

    async def backlog(self, endpoint_id: str) -> DeliveryBacklog:
        """What is waiting to be delivered to the endpoint."""
        return await self._store.backlog(endpoint_id)

    async def edit(
        self,
        endpoint_id: str,
        by: str,
        url: str | UnsetType = UNSET,
        types: tuple[EventType, ...] | UnsetType = UNSET,
    ) -> EndpointChanged | Invalid | NotFound:
        """Change the URL or the types of the endpoint. Unset ones stay as they are."""
        read = None if url is UNSET else read_endpoint_url(url, self._destinations)
        if isinstance(read, Invalid):
            return read

        def edited(before: Endpoint) -> Endpoint:
            return replace(
                before,
                url=before.url if read is None else read.text,
                types=before.types if types is UNSET else _ordered(types),
            )

        return await self._change(endpoint_id, edited, by)

    async def remove(self, endpoint_id: str, by: str) -> EndpointChanged | NotFound:
        """Remove the endpoint. Nothing is sent to it any more."""
        now = self._clock.now_ms()
        return await self._change(endpoint_id, lambda before: replace(before, removed_at=now), by)

    async def rotate(self, endpoint_id: str, by: str) -> EndpointMade | NotFound:
        """Give the endpoint a new secret. The old one signs too for a day."""
        now = self._clock.now_ms()

        def renewed(before: Endpoint) -> Endpoint:
            secrets = rotated(secrets_of(before), self._keys.kids[0], now)
            old = secrets.previous or SecretVersion(before.kid, before.generation)
            return replace(
                before,
                kid=secrets.current.kid,
                generation=secrets.current.generation,
                old_kid=old.kid,
                old_generation=old.generation,
                old_until=secrets.previous_until_ms,
            )

        after = await self._change(endpoint_id, renewed, by)
        if isinstance(after, NotFound):
            return after
        return EndpointMade(after.endpoint, self._secret(after.endpoint))

    async def disable(self, endpoint_id: str, by: str) -> EndpointChanged | NotFound:
        """Send nothing to the endpoint until it is enabled again."""
        now = self._clock.now_ms()

        def disabled(before: Endpoint) -> Endpoint:
            if before.disabled_at is not None:
                return before
            return replace(before, disabled_at=now, disabled_why=DisabledWhy.ADMIN)

        return await self._change(endpoint_id, disabled, by)

    async def enable(self, endpoint_id: str, replay_from: int | None, by: str) -> EndpointChanged | Invalid | NotFound:
        """Deliver to the endpoint again: from now on, or all events since `replay_from` (UTC milliseconds)."""
        now = self._clock.now_ms()  # First: groups that get events after another enabling aren't skipped.
        found = await self._store.endpoint(endpoint_id)
        if found is None:
            return NotFound("endpoint", endpoint_id)
        if found.disabled_at is None:
            if replay_from is None:
                return EndpointChanged(found)
            return Invalid("replayFrom", "expected a disabled endpoint; disable it first")
        last = await self._store.last_place()
        seen = last if replay_from is None else await self._store.place_before(replay_from - _REPLAY_MARGIN_MS)
        if replay_from is None:
            await self._store.skip_groups(endpoint_id, now)

        def enabled(before: Endpoint) -> Endpoint:
            if before.disabled_at is None:
                return before
            return replace(
                before,
                disabled_at=None,
                disabled_why=None,
                failing_since=None,
                failures=0,
                seen=seen,
                replay_to=last if replay_from is not None else 0,
            )

        with after_a_change(lambda: replay_from is None):
            return await self._change(endpoint_id, enabled, by)

    async def test(self, endpoint_id: str) -> DeliveryAttempt | Invalid | NotFound:
        """Send an event of the type `endpoint.tested`, once and at once. It is in no log."""
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint is None:
            return NotFound("endpoint", endpoint_id)
        now = self._clock.now_ms()
        secrets = signing_secrets(self._keys, secrets_of(endpoint), now)
        if isinstance(secrets, MissingKey):
            return Invalid("id", f"the key {secrets.kid} that signed for it is gone; rotate its secret")
        event = Event(
            self._ids.new(), 1, EventType.ENDPOINT_TESTED, now, actor_named(endpoint.created_by), terms_of(endpoint)
        )
        body = self._encode(event, None)
        return await self._sender.send(endpoint.url, signed_headers(secrets, event.id, body, now), body)

    async def attempts(self, endpoint_id: str, beyond: str | None, most: int) -> list[LoggedAttempt] | NotFound:
        """At most `most` attempts on the endpoint with ids below `beyond`, newest first."""
        if await self._store.endpoint(endpoint_id) is None:
            return NotFound("endpoint", endpoint_id)
        return await self._store.attempts(endpoint_id, beyond, most)

    async def resend(self, endpoint_id: str, event_id: str) -> Event | Invalid | NotFound:
        """Send an event once more, beside all other deliveries. Returns it; it is sent within moments."""
        endpoint = await self._store.endpoint(endpoint_id)
        if endpoint is None:
            return NotFound("endpoint", endpoint_id)
        if endpoint.disabled_at is not None:
            return Invalid("id", "expected an endpoint that isn't disabled; enable it first")
        subject_id, _, digits = event_id.rpartition("-")
        n = int(digits) if digits.isdigit() else 0
        found = await self._store.subject_events([(subject_id, n - 1, n)]) if n else []
        if not found:
            return NotFound("event", event_id)
        (event,) = found
        if not endpoint.wants(event.type):
            return Invalid("eventId", f"expected an event that the endpoint gets; {event.type} isn't among its types")
        previous = await previous_number(self._store, endpoint, subject_id, n)
        delivery = Delivery(endpoint_id, event_id, subject_id, n - 1, previous, n, 0)
        await self._store.resend(delivery, self._clock.now_ms())
        return event

    async def _change(
        self, endpoint_id: str, change: Callable[[Endpoint], Endpoint], by: str
    ) -> EndpointChanged | NotFound:
        for _ in range(_CHANGE_TRIES_MAX):
            before = await self._store.endpoint(endpoint_id)
            if before is None:
                return NotFound("endpoint", endpoint_id)
            made = changed(before, change(before), self._clock.now_ms(), by)
            if not made.events or await self._store.change_endpoint(before, made, by):
                return EndpointChanged(made.after)
        raise StoreUnavailableError("others change this endpoint at the same time")

    def _secret(self, endpoint: Endpoint) -> str:
        secret = secret_of(self._keys, endpoint.id, SecretVersion(endpoint.kid, endpoint.generation))
        if isinstance(secret, MissingKey):
            raise TypeError("a new secret is derived from a key of the key ring")
        return secret


def _ordered(types: tuple[EventType, ...]) -> tuple[EventType, ...]:
    return tuple(type_ for type_ in EventType if type_ in types)
