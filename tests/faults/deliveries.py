"""Subscribes endpoints by the command, and compares what they received with the log of events."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from tests.faults.processes import Environment, command
from tests.proof import deliveries
from tests.proof.facts import HistoryFacts
from tests.proof.records import Ended, Received, Subscription, Terms, ToldEvent
from tests.simulation.histories import told
from tests.webhooks.receiver import Receipt
from tests.webhooks.receiver_process import ReceiverProcess

from flashreserve.stores.filters import ALL_EVENTS
from flashreserve.stores.port import Store

_PAGE: Final = 500


class DeliveryFindings(NamedTuple):
    """What is wrong with the deliveries, if anything, and how many events and deliveries there were."""

    violations: list[str]
    events: int
    deliveries: int
    refused: int


async def whole_log(store: Store) -> tuple[ToldEvent, ...]:
    """All events of the log, oldest first."""
    found, log = await store.events(ALL_EVENTS, 0, _PAGE), list[ToldEvent]()
    while found.events:
        log += map(told, found.events)
        found = await store.events(ALL_EVENTS, found.looked_to, _PAGE)
    return tuple(log)


def subscribe(settings: Environment, receiver: ReceiverProcess) -> str:
    """Add the receiver as an endpoint for all events; its secret."""
    added = command(settings, "webhooks", "add", receiver.url)
    assert added.returncode == 0, added.stderr
    secret = re.search(r"whsec_\S+", added.stdout)
    assert secret is not None, added.stdout
    return secret[0]


def compare(log: Sequence[ToldEvent], receipts: Sequence[Receipt], url: str) -> DeliveryFindings:
    """Whether an endpoint that is subscribed to all events received those of the log, each subject's in order.

    Only the subjects in this log count: others may have events from before the endpoint was there.
    """
    subjects = {event.subject for event in log}
    received = [_received(each, url) for each in receipts if each.subject in subjects]
    ended = Ended(0, (), (), True, tuple(log), (), (Subscription(url, ()),), tuple(received))  # noqa: FBT003
    violations = [str(each) for each in deliveries.check(HistoryFacts([ended], Terms((), 0, 0)))]
    return DeliveryFindings(violations, len(log), len(received), sum(each.status != 204 for each in received))


def _received(receipt: Receipt, url: str) -> Received:
    return Received(
        url,
        receipt.id,
        receipt.subject or "",
        receipt.sequence or 0,
        receipt.previous,
        receipt.sha256,
        receipt.status,
        signed=receipt.verified == 0,
    )
