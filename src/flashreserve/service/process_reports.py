"""The report of each process: its role, that it runs, and its own counts. Together they describe all processes."""

import platform
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from flashreserve import __version__
from flashreserve.core.monitoring import ProcessReport
from flashreserve.stores.monitor import MonitorStore

REPORT_EVERY_S: Final = 2.0
HEARTBEAT_MS: Final = 30_000
"""A process whose counts don't change reports this often."""

GONE_AFTER_MS: Final = 3 * HEARTBEAT_MS
"""A process without a report for so long has ended."""

_HOST_LENGTH_MAX: Final = 100


class ProcessRole(msgspec.Struct, frozen=True):
    """What a process is: one run of a program in a role, on a host."""

    id: str
    role: Literal["all", "api", "worker"]
    host: str
    pid: int
    started_at: int

    @classmethod
    def here(cls, id_: str, role: Literal["all", "api", "worker"], pid: int, now: int) -> "ProcessRole":
        """This process, started at `now` (UTC milliseconds)."""
        return cls(id_, role, platform.node()[:_HOST_LENGTH_MAX] or "unnamed", pid, now)


class ProcessReporter:
    """Writes a process's report. `counts` returns its present counts; `now` the time in UTC milliseconds."""

    def __init__(
        self,
        store: MonitorStore,
        process: ProcessRole,
        counts: Callable[[], Mapping[str, float]],
        now: Callable[[], int],
    ) -> None:
        self._store = store
        self._process = process
        self._counts = counts
        self._now = now
        self._last: ProcessReport | None = None

    def report(self) -> ProcessReport:
        """The report as of now."""
        process = self._process
        return ProcessReport(
            id=process.id,
            role=process.role,
            host=process.host,
            pid=process.pid,
            version=__version__,
            started_at=process.started_at,
            seen_at=self._now(),
            counts=dict(self._counts()),
        )

    async def write(self) -> int:
        """Write the report if it has changed, or if the last one is old.

        Returns:
            0, because nothing was done that the loop could log.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        report, last = self.report(), self._last
        if last is None or report.counts != last.counts or report.seen_at - last.seen_at >= HEARTBEAT_MS:
            await self._store.note_process(report)
            self._last = report
        return 0

    async def leave(self) -> None:
        """Write that the process has ended, if it has reported before.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        if self._last is not None:
            report = self.report()
            await self._store.note_process(replace(report, seen_at=report.seen_at - GONE_AFTER_MS - 1))
