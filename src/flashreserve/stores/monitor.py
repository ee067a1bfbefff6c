"""The contract of a store's figures for operators: holds, flows of units, processes and audits. See `stores.port`.

All instants are UTC milliseconds. No rule and no job depends on these figures. A reservation that can't be read may be
missing from them, or be counted in part. Reports and verdicts that can't be read are left out.
"""

from typing import Final, Protocol

from flashreserve.core.monitoring import AuditVerdict, Flows, HoldCount, ProcessReport

FLOW_RESERVATIONS_MAX: Final = 500_000
"""Reservations of a product that its flows are summed from, at most. They are read in pages."""

PROCESSES_MAX: Final = 500
"""Reports of processes in one list."""

REPORTS_KEPT_MS: Final = 24 * 3600 * 1000
"""How long the report of a process that has ended is kept."""

VERDICTS_KEPT: Final = 100
"""Verdicts of audits that are kept."""


class MonitorStore(Protocol):
    """Figures that show an operator the state of a shop."""

    async def held_units(self) -> dict[str, int]:
        """The units in PENDING reservations, by product id. Products without any are left out.

        Lapsed holds that aren't released yet are included, because their units aren't on sale either. Units that a
        confirmation of a part has given back already are not.
        """
        ...

    async def lapses(self, now: int, bucket_ms: int, buckets: int) -> list[HoldCount]:
        """The PENDING reservations by the time when they lapse, in `buckets` + 2 entries.

        The first entry has those that have lapsed at `now`. Each of the next `buckets` entries has those that lapse in
        the `bucket_ms` after the entry before it; its end belongs to it. The last has all later ones. A reservation is
        one hold, and its units are those of all its lines, as in `held_units`.
        """
        ...

    async def flows(self, product_id: str, since: int, bucket_ms: int, buckets: int) -> Flows:
        """The units of the product that were reserved, bought and returned, in buckets of `bucket_ms` from `since` on.

        A bucket has its start, and not its end. Only reservations made from `since` on count. Those with ids from a day
        before `since` on (`filters.IDS_APART_MS`) are read, but only the newest `FLOW_RESERVATIONS_MAX`. An unknown
        product has no flows.

        Each unit is reserved once, at `created_at`. It is bought at `confirmed_at`, unless a confirmation of a part
        gave it back. It is returned at `released_at` with a hold that expired or was cancelled, or at the time of the
        return entry that gave it back: by a confirmation of a part, or after the purchase. So a unit is returned once
        at most, and the units that were reserved and neither bought nor returned are those still held.
        """
        ...

    async def note_process(self, report: ProcessReport) -> None:
        """Write the report, in place of the process's earlier one (with the same id).

        Reports of processes that were seen more than `REPORTS_KEPT_MS` before this one are deleted.

        Raises:
            StoreDefectError: it has more than `core.monitoring.COUNTS_MAX` counts.
        """
        ...

    async def processes(self, since: int) -> list[ProcessReport]:
        """The reports of processes that were seen at `since` or later, at most the first `PROCESSES_MAX`.

        They are in the order of `started_at`, then of ids.
        """
        ...

    async def add_verdict(self, verdict: AuditVerdict) -> None:
        """Add the verdict, as `AuditVerdict.shortened` gives it. Only those with the `VERDICTS_KEPT` highest ids stay.

        Raises:
            StoreDefectError: a verdict has this id already.
        """
        ...

    async def verdicts(self, most: int) -> list[AuditVerdict]:
        """At most `most` verdicts, newest (highest id) first."""
        ...
