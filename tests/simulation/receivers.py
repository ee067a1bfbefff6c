"""Simulated receivers of webhooks: some deliveries fail, some are received and their answers are lost."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import contextmanager
from typing import Any, Final

import msgspec
from tests.proof.records import Received
from tests.simulation.world import World

from flashreserve.auth.keys import KeyRing
from flashreserve.core.endpoints import Endpoint
from flashreserve.core.events import Event, EventType
from flashreserve.service import deliveries
from flashreserve.webhooks import backoff
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt

KEYS: Final = KeyRing({"k1": b"a key of the simulation, 32 bytes"})
_NARROW: Final = (
    EventType.RESERVATION_CONFIRMED,
    EventType.RESERVATION_RETURNED,
    EventType.PRODUCT_STOCKED,
)
_WAITS_MS: Final = (0, 50, 100, 200, 200, 200, 400, 400, 400, 400)
_LEASE_MS: Final = 2_000
_SEND_MS_MAX: Final = 700
_SLOTS: Final = 3
_HOPELESS_PART: Final = 12
_SECONDS: Final = (0.001, 0.001, 0.01, 0.1, 0.6)


def endpoints_of(seed: int) -> tuple[Endpoint, ...]:
    """The endpoints of a seed: some have none, one, or two of which one wants some types only."""
    everything = Endpoint("endpoint-0", "https://all.example/", (), "k1", 1, 0, "admin")
    some = Endpoint("endpoint-1", "https://some.example/", _NARROW, "k1", 1, 0, "admin")
    return {0: (everything,), 4: (everything, some)}.get(seed % 8, ())


@contextmanager
def short_times() -> Any:
    """Wait for milliseconds where a real shop waits for minutes."""
    before = backoff.WAITS_MS, deliveries.LEASE_MS, deliveries.SEND_MS_MAX, deliveries.SLOTS
    backoff.WAITS_MS = _WAITS_MS  # type: ignore[misc]
    deliveries.LEASE_MS, deliveries.SEND_MS_MAX, deliveries.SLOTS = _LEASE_MS, _SEND_MS_MAX, _SLOTS  # type: ignore[misc]
    try:
        yield
    finally:
        backoff.WAITS_MS = before[0]  # type: ignore[misc]
        deliveries.LEASE_MS, deliveries.SEND_MS_MAX, deliveries.SLOTS = before[1:]  # type: ignore[misc]


def encode(event: Event, previous: int | None) -> bytes:
    """The body of a delivery."""
    told = [event.id, event.subject_id, event.n, event.type, event.at, previous]
    return msgspec.json.encode([*told, msgspec.to_builtins(event.data)])


def _is_hopeless(event_id: str) -> bool:
    """Whether the receivers never accept the event, so that it is given up after the last try."""
    return hashlib.sha256(event_id.encode()).digest()[0] % _HOPELESS_PART == 0


class SimulatedReceivers:
    """All receivers. They are outside of the shop, so none of its faults affects them."""

    def __init__(self, world: World, failing: float) -> None:
        self._world = world
        self.failing = failing
        self.received: list[Received] = []

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """Send one delivery. It may be lost on its way, or the answer to it."""
        random = self._world.random
        seconds = random.choice(_SECONDS)
        await asyncio.sleep(seconds)
        lost, failing = random.random() < self.failing / 3, random.random() < self.failing
        if lost and random.random() < 0.5:
            return DeliveryAttempt(None, int(seconds * 1_000), AttemptError.CONNECT)
        event_id, subject, n, _, _, previous, _ = msgspec.json.decode(body)
        status = 500 if failing or _is_hopeless(event_id) else 204
        digest = hashlib.sha256(body).hexdigest()[:16]
        self.received.append(
            Received(url, event_id, subject, n, previous, digest, status, headers["webhook-id"] == event_id)
        )
        if lost:
            return DeliveryAttempt(None, int(seconds * 1_000), AttemptError.TIMEOUT)
        return DeliveryAttempt(status, int(seconds * 1_000), None if status == 204 else AttemptError.STATUS)
