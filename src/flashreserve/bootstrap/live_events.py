"""Opens live events, and the forwarding of them, for `flashreserve listen`."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from flashreserve.auth.keys import KeyRing
from flashreserve.bootstrap.stores import open_store_to_read
from flashreserve.clock import SystemClock
from flashreserve.core.events import EventType
from flashreserve.http.event_views import delivery_body
from flashreserve.jobs.loop import run_shielded
from flashreserve.service.forwarder import ForwardAttempt, Forwarder
from flashreserve.service.live_events import LiveEvents
from flashreserve.settings import Settings
from flashreserve.webhooks.addresses import Destinations, read_networks
from flashreserve.webhooks.signatures import MissingKey, SecretVersion, secret_of

_LOCAL: Final = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,::1,fc00::/7"

LOCAL_DESTINATIONS: Final = Destinations(networks=read_networks(_LOCAL), production=False)
"""Addresses that events are forwarded to during development: this machine, private networks, and public ones."""

_LISTENER: Final = "listen"
"""The name under which the listener's secret is derived. No endpoint has it: their ids are UUIDs."""


@asynccontextmanager
async def open_live_events(settings: Settings, types: Iterable[EventType]) -> AsyncIterator[LiveEvents]:
    """Open the store to read, and take the present end of its log as the beginning.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    store = await open_store_to_read(settings)
    try:
        live = LiveEvents(store, types)
        await live.begin(SystemClock().now_ms())
        yield live
    finally:
        await run_shielded(store.close())


@asynccontextmanager
async def open_forwarder(url: str, keys: KeyRing, tell: Callable[[ForwardAttempt], None]) -> AsyncIterator[Forwarder]:
    """Open the forwarding to `url`, a valid URL of `LOCAL_DESTINATIONS`; on exit, a request on its way is dropped."""
    # Imported where used: the HTTP client takes a quarter of a second, and listening alone doesn't need it.
    from flashreserve.webhooks.sender import Sender  # noqa: PLC0415

    clock = SystemClock()
    sender = Sender(LOCAL_DESTINATIONS, clock)
    try:
        yield Forwarder(sender=sender, url=url, secret=_secret(keys), encode=delivery_body, clock=clock, tell=tell)
    finally:
        await sender.close()


def _secret(keys: KeyRing) -> str:
    """The secret that signs. It is the same each time, until the key ring has another first key."""
    secret = secret_of(keys, _LISTENER, SecretVersion(keys.kids[0], 1))
    if isinstance(secret, MissingKey):
        raise TypeError("the secret is derived from a key of the key ring")
    return secret
