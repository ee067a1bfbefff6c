"""Quotas: how many holds of all products one customer may have. Without them, one customer could hold all stock.

A quota is enforced by claims, like a product's limit. `open:<k>` is given up when the hold is confirmed or released.
`hour:<hour>:<k>` is kept for good, so that the holds granted in an hour, and their lapses, can be counted. Hours are
those of the UTC clock: claims can count a fixed hour exactly, but not a sliding one.
"""

from functools import lru_cache
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000


class Quotas(msgspec.Struct, frozen=True):
    """The quotas of every customer; 0 means no quota.

    `open_holds_max`: holds that are open (PENDING and not lapsed) at one time. `holds_per_hour_max`: holds granted in
    one hour. `lapses_per_hour_max`: once this many of the holds granted in an hour have lapsed, and none was bought, no
    more are granted in that hour. It counts by the claims of `holds_per_hour_max`, so it is off if that is 0.
    """

    open_holds_max: int = 0
    holds_per_hour_max: int = 0
    lapses_per_hour_max: int = 0

    @property
    def some(self) -> bool:
        """Whether there is any quota. `lapses_per_hour_max` has no effect by itself."""
        return self.open_holds_max > 0 or self.holds_per_hour_max > 0


NO_QUOTAS: Final = Quotas()


@lru_cache(maxsize=128)
def open_claim(place: int) -> str:
    """The claim of an open hold, by its place among those that the quota allows the customer. Places count from 0."""
    return f"open:{place}"


@lru_cache(maxsize=2_048)
def hour_claim(hour: int, place: int) -> str:
    """The claim of a hold granted in the hour, by its place among those that the quota allows. Places count from 0.

    A customer who has any claim of the hour has the first one: it is taken before all others and never given up.
    """
    return f"hour:{hour}:{place}"


def is_first_of_hour(claim: str) -> bool:
    """Whether the claim is the first one of its hour, which has to be taken before all others."""
    return claim.startswith("hour:") and claim.endswith(":0")


def is_quota_claim(claim: str) -> bool:
    """Whether the claim counts for a quota."""
    return claim.startswith(("open:", "hour:"))


def is_open_claim(claim: str) -> bool:
    """Whether the claim is that of an open hold."""
    return claim.startswith("open:")


def hour_at(now: int) -> int:
    """The number of the hour that contains `now` (ms)."""
    return now // HOUR_MS


def seconds_until(instant: int, now: int) -> int:
    """Whole seconds from `now` (ms) until `instant` (ms), rounded up, at least one."""
    return max(1, -((now - instant) // 1000))
