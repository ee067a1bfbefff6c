"""Quotas: how many holds one customer may have, whatever the products. Without them, one customer could hold it all.

A quota is kept by claims, like a product's limit. `open:<k>` is given up when the hold is confirmed or released;
`hour:<hour>:<k>` is kept, so that the holds of an hour can be counted, and those of them that lapsed. Hours are those
of the UTC clock: a fixed hour can be counted exactly by claims, where one that slides with the time could not.
"""

from functools import lru_cache
from typing import Final

import msgspec

HOUR_MS: Final = 3_600_000


class Quotas(msgspec.Struct, frozen=True):
    """The quotas of every customer; 0 is none.

    `open_holds_max`: holds that are open (PENDING and not lapsed) at one time. `holds_per_hour_max`: holds granted in
    one hour. `lapses_per_hour_max`: once so many of the holds granted in an hour have lapsed, and none was bought, no
    more are granted in that hour; it counts by the claims of `holds_per_hour_max`, and is off where that is 0.
    """

    open_holds_max: int = 0
    holds_per_hour_max: int = 0
    lapses_per_hour_max: int = 0

    @property
    def some(self) -> bool:
        """Whether there is any quota."""
        return self.open_holds_max > 0 or self.holds_per_hour_max > 0


NO_QUOTAS: Final = Quotas()


@lru_cache(maxsize=128)
def open_claim(place: int) -> str:
    """The claim of one of the customer's open holds; places count from 0."""
    return f"open:{place}"


@lru_cache(maxsize=2_048)
def hour_claim(hour: int, place: int) -> str:
    """The claim of one of the customer's holds granted in the hour; places count from 0.

    Whoever holds any holds the first: it is never given up, and no other may be taken before it is.
    """
    return f"hour:{hour}:{place}"


def is_first_of_hour(claim: str) -> bool:
    """Whether the claim is the one that has to be taken before all others of its hour."""
    return claim.startswith("hour:") and claim.endswith(":0")


def is_quota_claim(claim: str) -> bool:
    """Whether the claim counts for a quota."""
    return claim.startswith(("open:", "hour:"))


def is_open_claim(claim: str) -> bool:
    """Whether the claim is one of an open hold."""
    return claim.startswith("open:")


def hour_at(now: int) -> int:
    """The number of the hour in which `now` (ms) lies."""
    return now // HOUR_MS


def seconds_until(instant: int, now: int) -> int:
    """Whole seconds from `now` (ms) until `instant`, rounded up; at least one."""
    return max(1, -((now - instant) // 1000))
