"""A throttle in Redis or Valkey, which counts tries for all processes together.

It has the same buckets and algorithm as `MemoryThrottle`. Each bucket is a key that expires when the bucket is full.
Times are those of the server's clock, because clocks of several machines differ.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from typing_extensions import override

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.throttle import Bucket, Throttle
from flashreserve.calls import Calls
from flashreserve.clock import Clock
from flashreserve.redis_server import REDIS_ERRORS, Presence, connect, disconnect

KEY_PREFIX: Final = "flashreserve:tries:"
TIMEOUT_S: Final = 0.2
"""Seconds that a login waits for Redis; after that, this process counts it."""

AWAY_S: Final = 1.0
"""Seconds without calls to Redis after a failure. Otherwise every login during an outage would wait."""

CONNECTIONS_MAX: Final = 8

_CLOSE_TIMEOUT_S: Final = 1.0

# In both scripts, KEYS are the buckets, and ARGV has two numbers for each: its burst, and milliseconds per try. The
# stored value is the moment (the server's milliseconds) at which the bucket will be full. A moment later than an empty
# bucket's is possible only if the clock was set back since; it counts as an empty bucket's.
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


class RedisThrottle(Throttle):
    """Counts in Redis or, if that doesn't answer in time, by `fallback`.

    With the fallback, each process allows the whole rate. A call whose answer was lost may count in both, which only
    makes the limit stricter.
    """

    def __init__(self, redis: Redis, fallback: Throttle, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        """Take over `redis`; `close` closes it."""
        self._redis = redis
        self._fallback = fallback
        self._clock = clock
        self._presence = Presence(clock, "counting tries", "each process counts its own")
        self._timeout_s = timeout_s
        self._away_until = -math.inf
        self._calls = Calls("redis")
        self._take = redis.register_script(_TAKE)
        self._give_back = redis.register_script(_GIVE_BACK)

    @override
    async def take(self, buckets: Sequence[Bucket]) -> TooManyTries | None:
        if not buckets:
            return None
        wait_ms = await self._ask(self._take, buckets)
        if wait_ms is None:
            return await self._fallback.take(buckets)
        return TooManyTries(retry_after_s=math.ceil(wait_ms / 1000)) if wait_ms > 0 else None

    @override
    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        if buckets and await self._ask(self._give_back, buckets) is None:
            await self._fallback.give_back(buckets)

    async def close(self) -> None:
        """Close the connections to Redis."""
        try:
            await self._calls.run("closing", disconnect(self._redis), limit_s=_CLOSE_TIMEOUT_S)
        except REDIS_ERRORS as error:
            self._presence.missed(error)

    async def _ask(self, script: AsyncScript, buckets: Sequence[Bucket]) -> int | None:
        """The result of the script; None if Redis is away."""
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
        ValueError: the URL is invalid.
    """
    redis = connect(redis_url, timeout_s=timeout_s, connections_max=CONNECTIONS_MAX)
    return RedisThrottle(redis, fallback, clock, timeout_s=timeout_s)


def _key(bucket: Bucket) -> str:
    """A hash of the bucket's key: Redis holds no emails or addresses, and every key has the same length."""
    return KEY_PREFIX + hashlib.blake2b(bucket.key.encode(), digest_size=16).hexdigest()
