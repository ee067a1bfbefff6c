import asyncio
import socket

from tests.servers.valkey import MakeValkey, ValkeyProcess

from flashreserve.redis_server import check_redis, connect


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
    await redis.aclose()


async def test_calls_wait_for_a_free_connection(valkey: ValkeyProcess) -> None:
    redis = connect(valkey.url, timeout_s=10, connections_max=1)
    assert await asyncio.gather(*(redis.incr("calls") for _ in range(50))) == list(range(1, 51))
    await redis.aclose()
