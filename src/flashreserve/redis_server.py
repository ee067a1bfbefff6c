"""The Redis or Valkey server: connecting, checking its configuration, and logging its outages.

Redis makes the service prompt, but correctness never depends on its data. During an outage the service goes on.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from typing_extensions import override

from flashreserve.calls import CallError
from flashreserve.clock import Clock

REDIS_ERRORS: Final = (RedisError, OSError, TimeoutError, CallError)
"""The errors of a call to a server that is away, is too slow or refuses."""

VERSION_MIN: Final = (6, 2)
"""The oldest Redis that BullMQ recommends; every Valkey tells Redis clients a later one."""

CHECK_TIMEOUT_S: Final = 2.0
WARN_EVERY_S: Final = 60.0

_log = structlog.get_logger(__name__)


def connect(redis_url: str, *, timeout_s: float, connections_max: int) -> Redis:
    """A client of `redis://…`, `rediss://…` or `unix://…`, which connects when it is first used.

    A call takes at most `timeout_s` to get one of the connections, as long to connect it and as long for each reply;
    timeouts in the URL don't count. A connection that turns out to be dead, as all are after the server's restart, is
    replaced once.

    Raises:
        ValueError: the URL is none of these.
    """
    pool: _Pool = _Pool.from_url(
        redis_url,
        decode_responses=True,
        retry=Retry(NoBackoff(), retries=1, supported_errors=(RedisConnectionError,)),
        max_connections=connections_max,
        timeout=timeout_s,
    )
    pool.connection_kwargs |= {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    return Redis.from_pool(pool)


async def disconnect(redis: Redis) -> None:
    """Close this client of `connect` for good: calls that still run lose their connections and get no others.

    Raises:
        RedisError, OSError: a connection closed badly; all are closed.
    """
    pool = redis.connection_pool
    if not isinstance(pool, _Pool):
        raise TypeError(f"{redis!r} is no client of `connect`")
    pool.closed = True
    await redis.aclose()


class _Pool(BlockingConnectionPool):
    """Connections that `disconnect` closes for good.

    `Redis.aclose` only disconnects what is connected at that moment: a call that is just connecting, or that tries
    again, would leave a new connection open behind it. `aclose` itself can't close for good, because BullMQ calls it on
    a client that is used afterwards.
    """

    closed = False

    @override
    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> Any:
        if self.closed:
            raise RedisConnectionError("the client is closed")
        return await super().get_connection()  # type: ignore[no-untyped-call]

    @override
    async def release(self, connection: Any) -> None:
        if self.closed:
            await connection.disconnect()
        await super().release(connection)


class RedisFinding(msgspec.Struct, frozen=True):
    """An observation about the server and, if something is wrong, advice.

    `fault` means that wake-ups are lost or can't be added; `advice` means that the server works and could be better.
    """

    level: Literal["fine", "advice", "fault"]
    seen: str
    advice: str = ""


async def check_redis(redis_url: str) -> list[RedisFinding]:
    """Check the server without changing anything.

    Returns:
        At least one finding: the server's version, or that it doesn't answer.

    Raises:
        ValueError: the URL is invalid.
    """
    redis = connect(redis_url, timeout_s=CHECK_TIMEOUT_S, connections_max=1)
    try:
        facts: dict[str, Any] = await redis.info()
    except REDIS_ERRORS as error:
        advice = "start it, or correct FLASHRESERVE_REDIS_URL; until then sweeps alone release what has lapsed"
        return [RedisFinding("fault", f"doesn't answer: {error}", advice)]
    finally:
        await disconnect(redis)
    return [_version(facts), *_role(facts), *_memory(facts), *_persistence(facts)]


def _version(facts: Mapping[str, Any]) -> RedisFinding:
    version = str(facts.get("redis_version", ""))
    # Valkey tells Redis clients the version of Redis that it came from, and its own beside it.
    seen = f"Valkey {facts['valkey_version']}" if "valkey_version" in facts else f"Redis {version or 'of no version'}"
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < VERSION_MIN:
        return RedisFinding("fault", seen, "install Redis 6.2 or later, or Valkey")
    return RedisFinding("fine", seen)


def _role(facts: Mapping[str, Any]) -> Iterator[RedisFinding]:
    if facts.get("role", "master") != "master":
        yield RedisFinding("fault", "a replica, which takes no jobs", "point FLASHRESERVE_REDIS_URL at its primary")
    if facts.get("cluster_enabled"):
        yield RedisFinding("fault", "cluster mode, which isn't supported", "use one server, with a replica if need be")


def _memory(facts: Mapping[str, Any]) -> Iterator[RedisFinding]:
    policy = facts.get("maxmemory_policy")
    if policy != "noeviction":
        # A server that evicts keys drops parts of jobs silently.
        yield RedisFinding("fault", f"evicts keys when memory is short ({policy})", "set maxmemory-policy noeviction")


def _persistence(facts: Mapping[str, Any]) -> Iterator[RedisFinding]:
    if not facts.get("aof_enabled"):
        yield RedisFinding("advice", "forgets wake-ups when it restarts", "set appendonly yes")


class Presence:
    """Logs an outage of the server, again every minute while it lasts, and its end.

    `purpose` says what the server is used for, and `meanwhile` what happens without it.
    """

    def __init__(self, clock: Clock, purpose: str, meanwhile: str) -> None:
        self._clock = clock
        self._purpose = purpose
        self._meanwhile = meanwhile
        self._warned_at: float | None = None

    def missed(self, error: BaseException) -> None:
        """A call failed."""
        now = self._clock.monotonic()
        if self._warned_at is None or now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            reason = str(error) or type(error).__name__
            _log.warning("redis fails", purpose=self._purpose, meanwhile=self._meanwhile, error=reason)

    def seen(self) -> None:
        """A call succeeded."""
        if self._warned_at is not None:
            self._warned_at = None
            _log.info("redis works again", purpose=self._purpose)
