"""Rate limits on tries, by buckets.

A bucket holds `burst` tries and gets one back every `every_ms`; an empty bucket refuses. Buckets follow the generic
cell rate algorithm (ITU-T I.371): each is one number, the moment at which the bucket will be full again.

A try is taken before the password is checked, and given back if it is right. If it were taken afterwards, a thousand
parallel guesses would all pass before the first one failed.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from typing_extensions import override

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.clock import Clock

ENTRIES_MAX: Final = 65_536
"""Buckets that a process keeps: about 30 MB at worst."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """`burst` tries at once, and one more every `every_ms` milliseconds."""

    burst: int
    every_ms: int

    def times(self, factor: int) -> "Rate":
        """The rate multiplied by `factor`: its burst, and its tries per time."""
        return Rate(self.burst * factor, max(1, self.every_ms // factor))


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """A limit on tries: all tries under the same `key` share the `rate`."""

    key: str
    rate: Rate


_ADDRESS_FACTORS: Final = (1, 4, 16)
"""Factors of the rate for wider address groups: many customers may share a /48."""


def by_address(what: str, groups: Sequence[str], rate: Rate) -> Sequence[Bucket]:
    """The buckets of an address for tries of the kind `what`; `groups` are the address's, the narrowest first.

    Empty without an address: in a shared bucket, one client without an address could lock out all others.
    """
    return [
        Bucket(f"{what} address {group}", rate.times(factor))
        for group, factor in zip(groups, _ADDRESS_FACTORS, strict=False)
    ]


class TryRates(msgspec.Struct, frozen=True):
    """The rates of all kinds of tries.

    Tries at an account are counted by address group: about 1,450 guesses a day from each, and they don't lock out the
    owner elsewhere. `login_account_everywhere` limits the guesses from all addresses together to about 8,600 a day. A
    device in which the owner has signed in has its own rate. Many people may share an address (a school, a mobile
    carrier), so the rates of addresses are wider.

    A right password gives its tries back, except those of the rates `…_work`: hashing costs the same for right and
    wrong passwords.
    """

    login_account: Rate = Rate(burst=10, every_ms=60_000)
    login_account_everywhere: Rate = Rate(burst=1_000, every_ms=10_000)
    login_device: Rate = Rate(burst=10, every_ms=60_000)
    login_device_work: Rate = Rate(burst=60, every_ms=5_000)
    login_address: Rate = Rate(burst=50, every_ms=6_000)
    login_address_work: Rate = Rate(burst=500, every_ms=100)
    register_address: Rate = Rate(burst=100, every_ms=3_000)


class Throttle(Protocol):
    """Counts tries in buckets."""

    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
        """Take one try out of every bucket. If any of them is empty, take none, and say when to try again.

        Atomic: of parallel calls, no more succeed than there are tries.
        """
        ...

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """Put back the tries that a `take` of the same buckets took. A bucket never holds more than its burst."""
        ...


class MemoryThrottle(Throttle):
    """Counts in memory. A restart forgets all; with several processes, each allows the whole rate.

    At most `entries_max` buckets are kept, and the least recently used is evicted first. To evict a bucket, somebody
    must fail a tenth as many tries elsewhere, each at the price of a password hash.
    """

    def __init__(self, clock: Clock, *, entries_max: int = ENTRIES_MAX) -> None:
        if entries_max < 1:
            raise ValueError(f"room for at least 1 bucket is needed, not {entries_max}")
        self._clock = clock
        self._entries_max = entries_max
        # For each key, the moment (monotonic milliseconds) at which its bucket will be full; least recently used first.
        self._full_at: OrderedDict[str, int] = OrderedDict()

    @override
    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
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

    @override
    async def give_back(self, buckets: Sequence[Bucket]) -> None:
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
        """Milliseconds until the bucket has a whole try; 0 or less if it has one."""
        full_at = self._full_at.get(bucket.key)
        if full_at is None:
            return 0
        # A bucket that still gets tries must not be evicted.
        self._full_at.move_to_end(bucket.key)
        return full_at - now - (bucket.rate.burst - 1) * bucket.rate.every_ms
