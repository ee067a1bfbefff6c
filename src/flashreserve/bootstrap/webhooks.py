"""Opens the services of webhooks, and runs the deliveries."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import SteadyClock, SystemIds
from flashreserve.http.event_views import delivery_body
from flashreserve.jobs.relay import relay_once
from flashreserve.service.deliveries import DeliveryService
from flashreserve.service.fan_out import fan_out
from flashreserve.service.webhooks import WebhookService
from flashreserve.settings import Settings
from flashreserve.stores.port import Store

DELIVER_EVERY_S: Final = 0.3
"""How often a process looks for events to deliver."""


class Webhooks(msgspec.Struct, frozen=True):
    """The endpoints of a shop, and the deliveries of this process."""

    store: Store
    endpoints: WebhookService
    deliveries: DeliveryService

    async def deliver(self, now: int) -> int:
        """Hand new events to the endpoints, and start delivering what is due. Returns how many were delivered."""
        await fan_out(self.store, now)
        return await self.deliveries.pass_on()

    async def deliver_all(self, now: int) -> int:
        """Deliver everything that is due by `now`, and wait for it. Returns how many events were delivered."""
        await relay_once(self.store, now)
        await fan_out(self.store, now)
        return await self.deliveries.finish()


@asynccontextmanager
async def open_webhooks(settings: Settings, store: Store, keys: KeyRing, clock: SteadyClock) -> AsyncIterator[Webhooks]:
    """Open the services over an open store. On exit, requests on their way are dropped, and made again later."""
    # Imported where used: the HTTP client takes a quarter of a second, and most commands don't need it.
    from flashreserve.webhooks.sender import Sender  # noqa: PLC0415

    # A kept connection keeps the address that was checked when it was opened.
    sender, ids = Sender(settings.destinations, clock, keep_connections=True), SystemIds()
    deliveries = DeliveryService(
        store=store,
        sender=sender,
        keys=keys,
        encode=delivery_body,
        clock=clock,
        ids=ids,
        draw=random.random,
    )
    endpoints = WebhookService(
        store=store,
        sender=sender,
        keys=keys,
        destinations=settings.destinations,
        encode=delivery_body,
        clock=clock,
        ids=ids,
    )
    try:
        yield Webhooks(store, endpoints, deliveries)
    finally:
        await deliveries.close()
        await sender.close()
