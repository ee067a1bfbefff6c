"""How many tries anybody has, and how soon they come back.

A bucket holds `burst` tries and gets one back every `every_ms`; an empty one refuses. Buckets are kept as the generic
cell rate algorithm does it (ITU-T I.371): one number each, the moment at which the bucket will be full again.

A try is counted before the password is looked at, and given back when it turns out right: were it counted afterwards,
a thousand parallel guesses would all pass before the first one failed.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.clock import Clock

ENTRIES_MAX: Final = 65_536
"""Buckets that a process remembers, about 30 MB of them at worst."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """`burst` tries at once, and one more every `every_ms` milliseconds."""

    burst: int
    every_ms: int

    def times(self, factor: int) -> "Rate":
        """So many times as much, at once and later."""
        return Rate(self.burst * factor, max(1, self.every_ms // factor))


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """Whose tries are counted: all that are made under `key` draw on the same `rate`."""

    key: str
    rate: Rate


_ADDRESS_FACTORS: Final = (1, 4, 16)
"""How much wider the allowances of wider address groups are: many customers may share a /48."""


def by_address(what: str, groups: Sequence[str], rate: Rate) -> Sequence[Bucket]:
    """The buckets of an address, which count `what`; `groups` are the address's, the narrowest first.

    None without an address: one for all who have none would let any of them lock out all the others.
    """
    return [
        Bucket(f"{what} address {group}", rate.times(factor))
        for group, factor in zip(groups, _ADDRESS_FACTORS, strict=False)
    ]


class TryRates(msgspec.Struct, frozen=True):
    """How often what may be tried.

    Tries at an account are counted by the address group that they come from: some 1,450 guesses a day from one, and
    nobody there keeps the owner out elsewhere. `login_account_everywhere` bounds what many addresses guess together,
    some 8,600 a day. A device that its owner has signed in from has its own rate. An address may stand for everybody
    behind it (a school, a mobile carrier), so its rates are wider.

    Right passwords give those tries back, but not the rates `…_work`: hashing costs the same whether right or wrong.
    """

    login_account: Rate = Rate(burst=10, every_ms=60_000)
    login_account_everywhere: Rate = Rate(burst=1_000, every_ms=10_000)
    login_device: Rate = Rate(burst=10, every_ms=60_000)
    login_device_work: Rate = Rate(burst=60, every_ms=5_000)
    login_address: Rate = Rate(burst=50, every_ms=6_000)
    login_address_work: Rate = Rate(burst=500, every_ms=100)
    register_address: Rate = Rate(burst=100, every_ms=3_000)


class Throttle(Protocol):
    """Counts tries. One that processes share can stand in for `MemoryThrottle`."""

    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
        """Takes one try out of every bucket, or, when any of them is empty, out of none and says when to come back.

        Atomic: of n parallel calls, no more succeed than there are tries.
        """
        ...

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """Puts back what a `take` of the same buckets took. Never fills a bucket above its burst."""
        ...


class MemoryThrottle:
    """This process's own counting, which a restart forgets; with several processes each allows the whole rate.

    At most `entries_max` buckets are remembered, and the one untouched for longest is forgotten first. To push a
    bucket out, somebody would have to fail a tenth as many tries elsewhere, each at the price of a password hash.
    """

    def __init__(self, clock: Clock, *, entries_max: int = ENTRIES_MAX) -> None:
        if entries_max < 1:
            raise ValueError(f"room for at least 1 bucket is needed, not {entries_max}")
        self._clock = clock
        self._entries_max = entries_max
        # For each key, the moment (monotonic milliseconds) at which its bucket will be full. Longest untouched first.
        self._full_at: OrderedDict[str, int] = OrderedDict()

    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
        """See `Throttle`."""
        now = self._now_ms()
        wait_ms = max((self._wait_ms(bucket, now) for bucket in buckets), default=0)
        if wait_ms > 0:
            return TooManyTries(retry_after_s=math.ceil(wait_ms / 1000))
        for bucket in buckets:
            self._full_at[bucket.key] = max(self._full_at.get(bucket.key, now), now) + bucket.rate.every_ms
            self._full_at.move_to_end(bucket.key)
        while len(self._full_at) > self._entries_max:
            self._full_at.popitem(last=False)
        return None

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """See `Throttle`."""
        now = self._now_ms()
        for bucket in buckets:
            full_at = self._full_at.get(bucket.key)
            if full_at is None:
                continue
            if full_at - bucket.rate.every_ms > now:
                self._full_at[bucket.key] = full_at - bucket.rate.every_ms
            else:
                del self._full_at[bucket.key]

    def _now_ms(self) -> int:
        return int(self._clock.monotonic() * 1000)

    def _wait_ms(self, bucket: Bucket, now: int) -> int:
        """Milliseconds until the bucket has a whole try; 0 or less when it has one."""
        full_at = self._full_at.get(bucket.key)
        if full_at is None:
            return 0
        # A bucket that is being tried in vain is the last one to forget.
        self._full_at.move_to_end(bucket.key)
        return full_at - now - (bucket.rate.burst - 1) * bucket.rate.every_ms
