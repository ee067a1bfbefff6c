"""The backlog: how long the oldest lapsed hold has waited for its release, and the documents that are set aside.

Every process that serves measures it, even if other processes run the jobs. So it shows when all workers are gone.
"""

from collections.abc import Callable
from typing import Final

from flashreserve.health import Check
from flashreserve.metrics import Metrics
from flashreserve.stores.port import Store

MEASURE_EVERY_S: Final = 5.0
LATE_S: Final = 15.0
"""A hold that waits longer shows that no sweep runs, or that the hold is set aside: sweeps come every second."""


class Backlog:
    """The backlog as one process last measured it. `now` tells the time by which holds lapse, in UTC milliseconds."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self.oldest_s = 0.0
        """Seconds that the oldest lapsed hold had waited when last measured; 0 if there was none."""

    def show(self, metrics: Metrics) -> None:
        """Add the figures to the metrics."""
        metrics.gauge(
            "flashreserve_oldest_due_seconds",
            "How long the longest lapsed hold has waited for its release",
            lambda: self.oldest_s,
            of_all="max",
        )
        metrics.gauge(
            "flashreserve_set_aside",
            "Documents that are left out because they can't be read or released",
            lambda: len(self._store.set_aside()),
            of_all="max",
        )

    async def measure(self) -> int:
        """Ask the database.

        Returns:
            0, because nothing was done that the loop could log.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        now = self._now()
        oldest = await self._store.oldest_due(now)
        self.oldest_s = 0.0 if oldest is None else (now - oldest) / 1000
        return 0

    def checks(self) -> list[Check]:
        """The checks of the backlog. Neither keeps a process from serving."""
        waits = f"the longest lapsed hold waits for {self.oldest_s:.1f} s" if self.oldest_s else "no lapsed hold waits"
        aside = self._store.set_aside()
        first = f"; the first is {aside[0].kind} {aside[0].id}: {aside[0].why}" if aside else ""
        return [
            Check("sweep", ok=self.oldest_s <= LATE_S, detail=waits, needed=False),
            Check("documents", ok=not aside, detail=f"{len(aside)} are set aside{first}", needed=False),
        ]
