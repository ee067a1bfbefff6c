import asyncio
import socket
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from tests.servers.valkey import MakeValkey, ValkeyProcess

from flashreserve.redis_server import check_redis, connect, disconnect


async def test_a_server_as_it_should_be_is_only_named(own_valkey: MakeValkey) -> None:
    (finding,) = await check_redis(own_valkey(persistent=True).url)
    assert finding.level == "fine"
    assert finding.seen.startswith("Valkey 9.")


async def test_a_server_that_evicts_is_a_fault(own_valkey: MakeValkey) -> None:
    findings = await check_redis(own_valkey(policy="allkeys-lru", persistent=True).url)
    assert [(finding.level, finding.advice) for finding in findings][1:] == [
        ("fault", "set maxmemory-policy noeviction")
    ]
    assert "allkeys-lru" in findings[1].seen


async def test_a_server_that_forgets_is_advised_otherwise(valkey: ValkeyProcess) -> None:
    findings = await check_redis(valkey.url)
    assert [(finding.level, finding.advice) for finding in findings][1:] == [("advice", "set appendonly yes")]


async def test_a_replica_is_a_fault(own_valkey: MakeValkey) -> None:
    primary, replica = own_valkey(persistent=True), own_valkey(persistent=True)
    with replica.client() as client:
        client.replicaof("127.0.0.1", str(primary.port))
    assert "replica" in (await check_redis(replica.url))[1].seen


async def test_a_server_that_is_away_is_a_fault() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        (finding,) = await check_redis(f"redis://127.0.0.1:{nobody.getsockname()[1]}")
    assert (finding.level, "FLASHRESERVE_REDIS_URL" in finding.advice) == ("fault", True)


async def test_checking_changes_nothing(valkey: ValkeyProcess) -> None:
    await check_redis(valkey.url)
    with valkey.client() as client:
        assert client.dbsize() == 0


async def test_timeouts_in_the_url_do_not_count(valkey: ValkeyProcess) -> None:
    redis = connect(valkey.url + "?socket_timeout=0.2", timeout_s=10, connections_max=1)
    assert await redis.blpop(["nothing"], timeout=1) is None
    await disconnect(redis)


async def test_calls_wait_for_a_free_connection(valkey: ValkeyProcess) -> None:
    redis = connect(valkey.url, timeout_s=10, connections_max=1)
    assert await asyncio.gather(*(redis.incr("calls") for _ in range(50))) == list(range(1, 51))
    await disconnect(redis)


async def test_no_call_leaves_a_connection_open_behind_a_closed_client(valkey: ValkeyProcess) -> None:
    for steps in range(60):  # of the loop, which begin with the call and end with its reply
        redis = connect(valkey.url, timeout_s=10, connections_max=2)
        call = asyncio.ensure_future(redis.ping())
        for _ in range(steps):
            await asyncio.sleep(0)
        await disconnect(redis)
        await asyncio.wait({call})
        call.exception()  # redis-py raises what it likes: it lost its connection
        assert not [each for each in made_by(redis) if each.is_connected], steps
        with pytest.raises(RedisConnectionError, match="the client is closed"):
            await redis.ping()


def made_by(redis: Redis) -> list[AbstractConnection]:
    """The connections of a client: those in its pool, and those in use."""
    pool: Any = redis.connection_pool
    return [*pool._available_connections, *pool._in_use_connections]
