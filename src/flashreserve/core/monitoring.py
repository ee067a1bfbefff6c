"""Figures that show an operator the state of a shop. No rule depends on them.

Instants are UTC milliseconds.
"""

from typing import Final, Literal, TypeAlias, assert_never

import msgspec
from msgspec.structs import replace

from flashreserve.core.audits import Audit

COUNTS_MAX: Final = 300
"""Counts in the report of one process."""

FINDINGS_MAX: Final = 100
"""Differences, and items set aside, in the verdict of an audit."""


class ProcessReport(msgspec.Struct, frozen=True):
    """The report of a running process on itself. `role` is `all`, `api` or `worker`.

    `counts` are cumulative, since the process started at `started_at`. The process was last seen at `seen_at`.
    """

    id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: int
    seen_at: int
    counts: dict[str, float]

    @property
    def is_bounded(self) -> bool:
        """Whether it has no more than `COUNTS_MAX` counts."""
        return len(self.counts) <= COUNTS_MAX


class AuditVerdict(msgspec.Struct, frozen=True):
    """The findings of an audit that `by` began at `at`, and that took `took_ms`. `id` is a UUIDv7."""

    id: str
    at: int
    took_ms: int
    by: str
    audit: Audit

    def shortened(self) -> "AuditVerdict":
        """The verdict with its first `FINDINGS_MAX` differences and items set aside, which are kept."""
        found = self.audit
        return replace(
            self,
            audit=replace(
                found, differences=found.differences[:FINDINGS_MAX], set_aside=found.set_aside[:FINDINGS_MAX]
            ),
        )


class HoldCount(msgspec.Struct, frozen=True):
    """A number of holds, and the units in all their lines."""

    holds: int = 0
    units: int = 0


Direction: TypeAlias = Literal["reserved", "bought", "returned"]
"""The way that units go."""


class Flows(msgspec.Struct, frozen=True):
    """Units of one product that were reserved, bought and returned, in successive buckets of time."""

    reserved: list[int]
    bought: list[int]
    returned: list[int]

    @classmethod
    def none(cls, buckets: int) -> "Flows":
        """No units, in so many buckets."""
        return cls([0] * buckets, [0] * buckets, [0] * buckets)

    def add(self, direction: Direction, bucket: int, units: int) -> None:
        """Add units to a bucket."""
        match direction:
            case "reserved":
                self.reserved[bucket] += units
            case "bought":
                self.bought[bucket] += units
            case "returned":
                self.returned[bucket] += units
            case _:
                assert_never(direction)
