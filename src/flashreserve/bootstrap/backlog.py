"""The backlog: the lapsed hold that waits longest for its release, and what is set aside because it can't be read.

Every process that serves measures it, whoever sweeps: so it shows where all workers are gone.
"""

from collections.abc import Callable
from typing import Final

from flashreserve.health import Check
from flashreserve.metrics import Metrics
from flashreserve.stores.port import Store

MEASURE_EVERY_S: Final = 5.0
LATE_S: Final = 15.0
"""A hold that waits longer says that nobody sweeps, or that it is set aside: sweeps come every second."""


class Backlog:
    """What one process knows of it. `now` is the time by which holds lapse, UTC milliseconds."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self.oldest_s = 0.0
        """How long the longest lapsed hold has waited, when that was last measured; 0 where none waits."""

    def show(self, metrics: Metrics) -> None:
        """Put the figures among the metrics."""
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
        """Ask the database; nothing is done, so nothing is counted.

        Raises:
            StoreUnavailableError: it doesn't answer.
        """
        now = self._now()
        oldest = await self._store.oldest_due(now)
        self.oldest_s = 0.0 if oldest is None else (now - oldest) / 1000
        return 0

    def checks(self) -> list[Check]:
        """Neither keeps a process from serving."""
        waits = f"the longest lapsed hold waits for {self.oldest_s:.1f} s" if self.oldest_s else "no lapsed hold waits"
        aside = self._store.set_aside()
        first = f"; the first is {aside[0].kind} {aside[0].id}: {aside[0].why}" if aside else ""
        return [
            Check("sweep", ok=self.oldest_s <= LATE_S, detail=waits, needed=False),
            Check("documents", ok=not aside, detail=f"{len(aside)} are set aside{first}", needed=False),
        ]
