"""The state of webhook deliveries, as metrics show it: what waits, since when, and which endpoints are disabled.

Every process that serves asks the database for it, even if other processes deliver. So it shows when all of them are
gone.
"""

from collections.abc import Callable
from typing import Final

from flashreserve.metrics import Metrics
from flashreserve.stores.outbox import DeliveryStore

MEASURE_EVERY_S: Final = 5.0


class DeliveryState:
    """The state as one process last saw it. `now` is the time in UTC milliseconds."""

    def __init__(self, store: DeliveryStore, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self.disabled = 0
        self.groups = 0
        self.oldest_s = 0.0
        """Seconds for which the first group has been due; 0 if none is."""

    def show(self, metrics: Metrics) -> None:
        """Add the figures to the metrics."""
        metrics.gauge(
            "flashreserve_endpoints_disabled",
            "Webhook endpoints that nothing is sent to until an admin enables them",
            lambda: self.disabled,
            of_all="max",
        )
        metrics.gauge(
            "flashreserve_delivery_backlog",
            "Groups (endpoint and subject) with events to deliver, those that wait for another try included",
            lambda: self.groups,
            of_all="max",
        )
        metrics.gauge(
            "flashreserve_delivery_oldest_due_seconds",
            "How long the longest waiting group could have been sent to its endpoint, and wasn't",
            lambda: self.oldest_s,
            of_all="max",
        )

    async def measure(self) -> int:
        """Ask the database.

        Returns:
            0, because nothing was done that the loop could log.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        endpoints = await self._store.endpoints()
        backlogs = [await self._store.backlog(each.id) for each in endpoints if each.disabled_at is None]
        due = [each.oldest_due for each in backlogs if each.oldest_due is not None]
        self.disabled = sum(each.disabled_at is not None for each in endpoints)
        self.groups = sum(each.groups for each in backlogs)
        self.oldest_s = max(0.0, (self._now() - min(due)) / 1000) if due else 0.0
        return 0
