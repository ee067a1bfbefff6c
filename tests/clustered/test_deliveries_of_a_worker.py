"""A worker signs what it delivers, so it needs the keys. Without them it does everything else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from tests.clustered.conftest import Cluster
from tests.clustered.test_processes import hold, hot, process
from tests.webhooks.conftest import MakeReceiver, make_receiver
from tests.webhooks.receiver import ReceiverPlan

from flashreserve.bootstrap import Core, Watchdog, key_ring, open_webhooks, open_worker
from flashreserve.core.events import BY_COMMAND_LINE, EventType
from flashreserve.core.model import Status
from flashreserve.core.outcomes import Confirmed
from flashreserve.service.webhooks import EndpointMade
from flashreserve.settings import Settings

__all__ = ["make_receiver"]

pytestmark = pytest.mark.mongodb

NETWORKS = "127.0.0.0/8"


def settings_of(cluster: Cluster, keys: str | None = None) -> Settings:
    found = replace(cluster.settings, webhook_networks=NETWORKS, redis_url="")
    return found if keys is None else replace(found, secret_keys=keys)


async def subscribe(core: Core, settings: Settings, url: str) -> EndpointMade:
    async with open_webhooks(settings, core.books.store, key_ring(settings, create=False), core.books.clock) as opened:
        made = await opened.endpoints.add(url, (EventType.RESERVATION_CONFIRMED,), BY_COMMAND_LINE)
    assert isinstance(made, EndpointMade), made
    return made


async def buy(core: Core) -> str:
    reservation = (await hold(core, await hot(core))).reservation
    assert isinstance(await core.books.reservations.confirm(reservation.user_id, reservation.id), Confirmed)
    return reservation.id


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    with Watchdog() as watchdog:
        watchdog.attach(asyncio.Event())
        async with open_worker(settings, watchdog):
            yield


async def test_a_worker_delivers(cluster: Cluster, make_receiver: MakeReceiver) -> None:
    receiver, settings = make_receiver(), settings_of(cluster)
    async with process(cluster) as (core, _):
        made = await subscribe(core, settings, receiver.url)
        receiver.take(ReceiverPlan(secrets=(made.secret,)))
        bought = await buy(core)
        async with working(settings):
            (receipt,) = await asyncio.to_thread(receiver.wait_for, lambda found: len(found) == 1)
    assert (receipt.subject, receipt.verified) == (bought, 0)


@pytest.mark.parametrize("keys", ["", "too:short"])
async def test_a_worker_without_keys_warns_once_and_does_everything_but_deliver(
    cluster: Cluster, make_receiver: MakeReceiver, keys: str
) -> None:
    receiver, settings = make_receiver(), settings_of(cluster)
    async with process(cluster) as (core, _):
        await subscribe(core, settings, receiver.url)
        bought = await buy(core)
        lapsing = (await hold(core, await hot(core, id="0199c0de-0000-7000-8001-00000000000f", hold_s=1))).reservation
        with capture_logs() as logged:
            async with working(settings_of(cluster, keys)), asyncio.timeout(30):
                while not await core.books.store.subject_events([(lapsing.id, 1, 2)]):  # noqa: ASYNC110 - the sweep, then the relay
                    await asyncio.sleep(0.05)
        (event,) = await core.books.store.subject_events([(lapsing.id, 1, 2)])
        assert event.type is EventType.RESERVATION_EXPIRED
        found = await core.books.store.reservation(lapsing.id)
        assert found is not None
        assert found.status is Status.EXPIRED
        warnings = [entry for entry in logged if "webhooks" in str(entry["event"])]
        assert [entry["log_level"] for entry in warnings] == ["warning"]
        assert "FLASHRESERVE_SECRET_KEYS" in warnings[0]["event"]
        assert receiver.receipts() == []
        async with working(settings):
            (receipt,) = await asyncio.to_thread(receiver.wait_for, lambda found: len(found) == 1)
        assert receipt.subject == bought, "nothing is lost"
