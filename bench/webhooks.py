"""Shops with an endpoint for webhooks, which is subscribed to all events: a receiver in a process of its own."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench.backends import Servers
from tests.webhooks.receiver import ReceiverPlan
from tests.webhooks.receiver_process import ReceiverProcess

from bench import shops

GRANTS_ON: Final = {"FLASHRESERVE_EVENTS_GRANTS": "on"}
"""With this setting each reservation makes an event too."""

_QUIET_S: Final = 2.0
"""More than relays and deliveries wait before they look for events again."""

_TO_THIS_MACHINE: Final = {"FLASHRESERVE_WEBHOOK_NETWORKS": "127.0.0.0/8"}


class ListenedShop(NamedTuple):
    """A shop, and the receiver of all its events."""

    shop: shops.BenchShop
    receiver: ReceiverProcess


@contextmanager
def embedded(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[ListenedShop]:
    """FlashReserve on a SQLite file, with an endpoint that is subscribed to all events."""
    own = {**_TO_THIS_MACHINE, **(settings or {})}
    with (
        _receiver(directory) as receiver,
        shops.embedded(directory, settings=own) as shop,
    ):
        _subscribe(receiver, shops.environment(directory, own))
        yield ListenedShop(shop, receiver)


@contextmanager
def clustered(directory: Path, servers: Servers, settings: Mapping[str, str] | None = None) -> Iterator[ListenedShop]:
    """FlashReserve on MongoDB, with an endpoint that is subscribed to all events.

    Raises:
        MissingError: a server is missing.
    """
    own = {**_TO_THIS_MACHINE, **(settings or {})}
    env = shops.clustered_environment(directory, servers) | own
    with (
        _receiver(directory) as receiver,
        shops.clustered_in(env, directory) as shop,
    ):
        _subscribe(receiver, env)
        yield ListenedShop(shop, receiver)


@contextmanager
def shop_of(listened: AbstractContextManager[ListenedShop]) -> Iterator[shops.BenchShop]:
    """The shop, while its receiver runs. It rests once it has delivered all events."""
    with listened as (shop, receiver):
        yield shop._replace(rest=lambda: _wait_until_quiet(receiver))


def _wait_until_quiet(receiver: ReceiverProcess) -> None:
    """Wait until nothing has been received for a while."""
    before, size = -1, receiver.record.stat().st_size if receiver.record.exists() else 0
    while before != size:
        time.sleep(_QUIET_S)
        before, size = size, receiver.record.stat().st_size if receiver.record.exists() else 0


def _receiver(directory: Path) -> ReceiverProcess:
    return ReceiverProcess(directory / "received.jsonl")


def _subscribe(receiver: ReceiverProcess, env: Mapping[str, str]) -> None:
    """Add the receiver as the shop's endpoint. It verifies each delivery, as a real one does."""
    said = shops.flashreserve(env, "webhooks", "add", receiver.url)
    secret = re.search(r"whsec_\S+", said)
    if secret is None:
        raise shops.ShopError(f"no endpoint was added: {said}")
    receiver.take(ReceiverPlan(secrets=(secret[0],)))
