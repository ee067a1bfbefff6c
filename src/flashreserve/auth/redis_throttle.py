"""Counting tries for all processes together, in Redis or Valkey.

The same buckets as `MemoryThrottle`'s, by the same algorithm, each under a key that goes away when the bucket is full.
The server's own clock counts, because the clocks of several machines differ.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.throttle import Bucket, Throttle
from flashreserve.calls import Calls
from flashreserve.clock import Clock
from flashreserve.redis_server import REDIS_ERRORS, Presence, connect

KEY_PREFIX: Final = "flashreserve:tries:"
TIMEOUT_S: Final = 0.2
"""How long a login waits for Redis before it is counted in this process instead."""

AWAY_S: Final = 1.0
"""For so long after a failure, Redis isn't asked: or every login during an outage would wait."""

CONNECTIONS_MAX: Final = 8

_CLOSE_TIMEOUT_S: Final = 1.0

# Both scripts: KEYS are the buckets, ARGV the burst and the milliseconds a try of each in turn. What is kept is the
# moment (the server's milliseconds) at which a bucket will be full. A moment further off than an empty bucket's comes
# from a clock that has been set back since.
_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function full_at(number)
  local kept = tonumber(redis.call('GET', KEYS[number]) or now)
  return math.max(now, math.min(kept, now + ARGV[2 * number - 1] * ARGV[2 * number]))
end

local function keep(number, moment)
  if moment > now then
    redis.call('SET', KEYS[number], string.format('%.0f', moment), 'PX', string.format('%.0f', moment - now))
  else
    redis.call('DEL', KEYS[number])
  end
end
"""

_TAKE: Final = (
    _NOW
    + """
local wait = 0
for number = 1, #KEYS do
  wait = math.max(wait, full_at(number) - now - (ARGV[2 * number - 1] - 1) * ARGV[2 * number])
end
if wait == 0 then
  for number = 1, #KEYS do
    keep(number, full_at(number) + ARGV[2 * number])
  end
end
return wait
"""
)

_GIVE_BACK: Final = (
    _NOW
    + """
for number = 1, #KEYS do
  keep(number, full_at(number) - ARGV[2 * number])
end
return 0
"""
)


class RedisThrottle:
    """See `Throttle`. What Redis doesn't answer in time, `fallback` counts.

    Each process then allows the whole rate. A call whose answer was lost may have been counted in both: that only
    makes it stricter.
    """

    def __init__(self, redis: Redis, fallback: Throttle, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        """Takes over `redis`; `close` closes it."""
        self._redis = redis
        self._fallback = fallback
        self._clock = clock
        self._presence = Presence(clock, "counting tries", "each process counts its own")
        self._timeout_s = timeout_s
        self._away_until = -math.inf
        self._calls = Calls("redis")
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
        """See `Throttle`."""
        if not buckets:
            return None
        wait_ms = await self._ask(self._take, buckets)
        if wait_ms is None:
            return await self._fallback.take(buckets)
        return TooManyTries(retry_after_s=math.ceil(wait_ms / 1000)) if wait_ms > 0 else None

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """See `Throttle`."""
        if buckets and await self._ask(self._give_back, buckets) is None:
            await self._fallback.give_back(buckets)

    async def close(self) -> None:
        """Let go of Redis."""
        try:
            await self._calls.run("closing", self._redis.aclose(), limit_s=_CLOSE_TIMEOUT_S)
        except REDIS_ERRORS as error:
            self._presence.missed(error)

    async def _ask(self, script: AsyncScript, buckets: Sequence[Bucket]) -> int | None:
        """What the script returns; None when Redis is away."""
        if self._clock.monotonic() < self._away_until:
            return None
        rates = [number for bucket in buckets for number in (bucket.rate.burst, bucket.rate.every_ms)]
        try:
            call = script(keys=[_key(bucket) for bucket in buckets], args=rates)
            answer = int(await self._calls.run("counting tries", call, limit_s=self._timeout_s))
        except REDIS_ERRORS as error:
            self._away_until = self._clock.monotonic() + AWAY_S
            self._presence.missed(error)
            return None
        self._presence.seen()
        return answer


def open_redis_throttle(
    redis_url: str, fallback: Throttle, clock: Clock, *, timeout_s: float = TIMEOUT_S
) -> RedisThrottle:
    """A throttle on this server, which may be away.

    Raises:
        ValueError: the URL can't be meant.
    """
    redis = connect(redis_url, timeout_s=timeout_s, connections_max=CONNECTIONS_MAX)
    return RedisThrottle(redis, fallback, clock, timeout_s=timeout_s)


def _key(bucket: Bucket) -> str:
    """Emails and addresses stay out of Redis, and a name of any length takes the same room."""
    return KEY_PREFIX + hashlib.blake2b(bucket.key.encode(), digest_size=16).hexdigest()
