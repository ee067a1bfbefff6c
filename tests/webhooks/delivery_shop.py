"""A shop whose events are delivered: a store, its endpoints, and the deliveries of one process."""

import ipaddress
import random
from typing import Final

from tests.core.examples import ADMIN
from tests.moving_clock import MovingClock

from flashreserve.auth.keys import KeyRing
from flashreserve.clock import SystemIds
from flashreserve.core.endpoints import Endpoint
from flashreserve.core.events import EventType
from flashreserve.http.event_views import delivery_body
from flashreserve.service.deliveries import DeliveryService
from flashreserve.service.fan_out import fan_out
from flashreserve.service.webhooks import EndpointMade, WebhookService
from flashreserve.stores.port import Store
from flashreserve.webhooks.addresses import Destinations
from flashreserve.webhooks.sender import Sender

LOOPBACK: Final = Destinations(networks=(ipaddress.ip_network("127.0.0.0/8"),), production=False)
KEYS: Final = KeyRing({"k1": b"a key of the tests, 32 bytes long", "k2": b"another key of the tests, as long"})


class DeliveryShop:
    """The services of one process on a store. Close it before the store."""

    def __init__(self, store: Store, clock: MovingClock, destinations: Destinations = LOOPBACK) -> None:
        self.store = store
        self.clock = clock
        ids = SystemIds()
        self.sender = Sender(destinations, clock, connect_s=2, total_s=5, keep_connections=True)
        self.deliveries = DeliveryService(
            store=store,
            sender=self.sender,
            keys=KEYS,
            encode=delivery_body,
            clock=clock,
            ids=ids,
            draw=random.Random(1).random,
        )
        self.webhooks = WebhookService(
            store=store,
            sender=self.sender,
            keys=KEYS,
            destinations=destinations,
            encode=delivery_body,
            clock=clock,
            ids=ids,
        )

    async def subscribe(self, url: str, *types: EventType) -> EndpointMade:
        """Add an endpoint."""
        made = await self.webhooks.add(url, types, ADMIN)
        assert isinstance(made, EndpointMade), made
        return made

    async def hand_over(self) -> None:
        """Hand all events to the endpoints' groups, those that aren't in the log yet included."""
        now = self.clock.now_ms()
        while await self.store.relay(now, 1_000) or await fan_out(self.store, now):
            pass

    async def deliver(self) -> int:
        """Deliver all events that are due. Returns how many it was."""
        await self.hand_over()
        return await self.deliveries.finish()

    async def endpoint(self, id_: str) -> Endpoint:
        found = await self.store.endpoint(id_)
        assert found is not None
        return found

    async def close(self) -> None:
        await self.deliveries.close()
        await self.sender.close()
