"""How many holds were granted, bought, refused and returned in each second of the last quarter of an hour.

Grants are counted in the reservations, purchases and returned holds in the log of events, so these figures are those of
all processes, and are there after a restart. Refusals are stored nowhere: each process counts its own (see
`process_reports`), and they are known from when this process began to look.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from flashreserve.core.events import EventType
from flashreserve.core.monitoring import ProcessReport
from flashreserve.stores.outbox import EventStore
from flashreserve.stores.port import ReservationStore

SECONDS: Final = 900
_AGAIN_S: Final = 5
"""Grants of so many past seconds are counted again: some become visible a little after their time."""

_READ_MAX: Final = 50_000
"""Reservations, and events, that one look counts at most. After a rush, the next looks catch up."""

_BOUGHT: Final = frozenset({EventType.RESERVATION_CONFIRMED})
_RETURNED: Final = frozenset(
    {EventType.RESERVATION_EXPIRED, EventType.RESERVATION_CANCELLED, EventType.RESERVATION_RETURNED}
)
_SPREAD_S_MAX: Final = 30

REFUSED: Final = "refused"
"""How the names of counts of refusals begin in a process's report: `refused:<code>:<product id>`."""


class ActivityStore(ReservationStore, EventStore, Protocol):
    """The part of a store that the counts come from."""


class ActivitySeries(msgspec.Struct, frozen=True):
    """Counts by second; the first is that of the second `start` (UTC seconds). None: unknown."""

    start: int
    reserved: list[int]
    bought: list[int]
    refused: list[int | None]
    returned: list[int]


class Activity:
    """The counts of one shop, as one process sees them. `look` is called about once a second while somebody watches."""

    def __init__(self, store: ActivityStore) -> None:
        self._store = store
        self._place: int | None = None
        self._counted_from = 0
        self._refused_from: int | None = None
        self._reserved: dict[int, int] = {}
        self._bought: dict[int, int] = defaultdict(int)
        self._returned: dict[int, int] = defaultdict(int)
        self._refused: dict[int, int] = defaultdict(int)
        self._seen: dict[str, tuple[int, int]] = {}

    async def look(self, now: int, processes: Sequence[ProcessReport]) -> None:
        """Count what has happened since the last call.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        if self._place is None:
            self._counted_from = now // 1000 - SECONDS
            self._place = await self._store.place_before(now - SECONDS * 1000)
        found = await self._store.logged_counts(self._place, _READ_MAX)
        self._place = max(self._place, found.looked_to)
        for (second, type_), count in found.counts.items():
            if type_ in _BOUGHT:
                self._bought[second] += count
            elif type_ in _RETURNED:
                self._returned[second] += count
        self._reserved |= await self._store.grants(self._counted_from * 1000, _READ_MAX)
        self._counted_from = min(now // 1000 - _AGAIN_S, max(self._reserved, default=now // 1000))
        self._count_refusals(now, processes)
        self._forget(now // 1000 - SECONDS)

    def series(self, now: int, seconds: int = SECONDS) -> ActivitySeries:
        """The last whole seconds, the one before `now` last."""
        start = now // 1000 - seconds
        span = range(start, start + seconds)
        since = self._refused_from
        return ActivitySeries(
            start=start,
            reserved=[self._reserved.get(second, 0) for second in span],
            bought=[self._bought.get(second, 0) for second in span],
            refused=[None if since is None or second < since else self._refused.get(second, 0) for second in span],
            returned=[self._returned.get(second, 0) for second in span],
        )

    def _count_refusals(self, now: int, processes: Sequence[ProcessReport]) -> None:
        """Add the refusals that the processes report. Those between two reports are spread over the time between."""
        if self._refused_from is None:
            self._refused_from = now // 1000
        for report in processes:
            total = round(sum(count for name, count in report.counts.items() if name.startswith(REFUSED)))
            since, before = self._seen.get(report.id, (report.seen_at, total))
            self._seen[report.id] = (report.seen_at, total)
            if total > before:
                self._spread(total - before, since // 1000, report.seen_at // 1000)
        known = {report.id for report in processes}
        for id_ in self._seen.keys() - known:
            del self._seen[id_]

    def _spread(self, count: int, first: int, last: int) -> None:
        """Add whole numbers that sum to `count` to the seconds from `first` until before `last`, or to `last` alone."""
        span = range(max(first, last - _SPREAD_S_MAX), last) or range(last, last + 1)
        for done, second in enumerate(span):
            self._refused[second] += count * (done + 1) // len(span) - count * done // len(span)

    def _forget(self, before: int) -> None:
        for counts in (self._reserved, self._bought, self._returned, self._refused):
            for second in [second for second in counts if second < before]:
                del counts[second]
