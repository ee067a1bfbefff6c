"""The shared throttle on a real server, whose clock can't be moved: the tests move the stored times instead."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.auth.test_accounts import AccountsShop
from tests.moving_clock import MovingClock
from tests.servers.valkey import MakeValkey, ValkeyProcess, own_valkey, valkey, valkey_of_session
from typing_extensions import override

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.passwords import Passwords
from flashreserve.auth.redis_throttle import KEY_PREFIX, TIMEOUT_S, RedisThrottle, open_redis_throttle
from flashreserve.auth.throttle import Bucket, MemoryThrottle, Rate, Throttle

__all__ = ["own_valkey", "valkey", "valkey_of_session"]

# A try takes an hour to come back, so the time that a test takes has no effect.
HOUR_MS = 3_600_000
THREE = Rate(burst=3, every_ms=HOUR_MS)
ACCOUNT = Bucket("login account ann@example.com", THREE)
ADDRESS = Bucket("login address 192.0.2.1", Rate(burst=5, every_ms=HOUR_MS))


class UnusedThrottle(Throttle):
    """A fallback for tests in which Redis answers: it must not be used."""

    @override
    async def take(self, buckets: object) -> TooManyTries | None:
        raise AssertionError(f"the fallback was asked for {buckets}")

    @override
    async def give_back(self, buckets: object) -> None:
        raise AssertionError(f"the fallback was given {buckets}")


class SharedThrottles:
    """One server, and the throttles of several processes on it."""

    def __init__(self, server: ValkeyProcess) -> None:
        self.server = server
        self._opened: list[RedisThrottle] = []

    def open(self, clock: MovingClock | None = None, fallback: MemoryThrottle | None = None) -> RedisThrottle:
        made = open_redis_throttle(
            self.server.url,
            fallback or UnusedThrottle(),
            clock or MovingClock(),
            # If the fallback must not be used, Redis gets enough time to answer on a busy machine.
            timeout_s=TIMEOUT_S if fallback else 30,
        )
        self._opened.append(made)
        return made

    def pass_time(self, passed_ms: int) -> None:
        """Change the stored times as if this much time had passed; a negative time undoes that."""
        with self.server.client() as client:
            for key in client.keys(KEY_PREFIX + "*"):
                full_at, left_ms = int(client.get(key)), client.pttl(key)
                client.delete(key)
                if left_ms > passed_ms:
                    client.set(key, full_at - passed_ms, px=left_ms - passed_ms)

    async def close(self) -> None:
        for throttle in self._opened:
            await throttle.close()


@pytest.fixture
async def shared(valkey: ValkeyProcess) -> AsyncIterator[SharedThrottles]:
    made = SharedThrottles(valkey)
    yield made
    await made.close()


async def test_a_stranger_does_not_lock_the_owner_out_on_a_new_device(
    shared: SharedThrottles, clock: MovingClock, keys: KeyRing, passwords: Passwords
) -> None:
    shop = AccountsShop(clock, keys, passwords)
    shop.throttle = cast("Any", shared.open())
    shop.accounts = shop.service(passwords)
    await shop.registered()
    for _ in range(3):
        assert isinstance((await shop.guess(11))[-1], TooManyTries)
        await shop.logged_in()
        shared.pass_time(60_000)


async def taken(throttle: RedisThrottle, *buckets: Bucket) -> int:
    count = 0
    while await throttle.take(buckets) is None:
        count += 1
    return count


def almost(refused: TooManyTries | None, seconds: int) -> bool:
    """Whether the wait is this long, minus at most a minute that the test itself has taken."""
    return refused is not None and seconds - 60 <= refused.retry_after_s <= seconds


async def test_processes_share_one_burst(shared: SharedThrottles) -> None:
    one, other = shared.open(), shared.open()
    assert [await throttle.take([ACCOUNT]) for throttle in (one, other, one)] == [None] * 3
    assert almost(await other.take([ACCOUNT]), 3600)


async def test_of_500_parallel_tries_of_two_processes_the_burst_passes(shared: SharedThrottles) -> None:
    throttles = [shared.open(), shared.open()]
    answers = await asyncio.gather(*(throttles[number % 2].take([ACCOUNT]) for number in range(500)))
    assert answers.count(None) == 3


async def test_one_empty_bucket_refuses_and_the_others_stay_as_they_are(shared: SharedThrottles) -> None:
    throttle = shared.open()
    await taken(throttle, ACCOUNT)
    for _ in range(20):
        assert almost(await throttle.take([ADDRESS, ACCOUNT]), 3600)
    assert await taken(throttle, ADDRESS) == 5


async def test_a_try_comes_back_when_it_was_said(shared: SharedThrottles) -> None:
    throttle = shared.open()
    await taken(throttle, ACCOUNT)
    shared.pass_time(HOUR_MS - 60_000)
    assert almost(await throttle.take([ACCOUNT]), 60)
    shared.pass_time(60_000)
    assert await throttle.take([ACCOUNT]) is None
    assert almost(await throttle.take([ACCOUNT]), 3600)


async def test_refused_tries_don_t_put_off_the_next_one(shared: SharedThrottles) -> None:
    throttle = shared.open()
    await taken(throttle, ACCOUNT)
    for _ in range(6):
        assert await throttle.take([ACCOUNT]) is not None
        shared.pass_time(HOUR_MS // 6)
    assert await throttle.take([ACCOUNT]) is None


async def test_a_try_given_back_by_another_process_can_be_had_again(shared: SharedThrottles) -> None:
    one, other = shared.open(), shared.open()
    for _ in range(20):
        assert await one.take([ACCOUNT, ADDRESS]) is None
        await other.give_back([ACCOUNT, ADDRESS])
    assert await taken(one, ACCOUNT) == 3


async def test_giving_back_never_makes_more_than_a_burst(shared: SharedThrottles) -> None:
    throttle = shared.open()
    for _ in range(10):
        await throttle.give_back([ACCOUNT])
    assert await taken(throttle, ACCOUNT) == 3


async def test_a_full_bucket_leaves_nothing_behind_and_no_other_stays_for_ever(shared: SharedThrottles) -> None:
    throttle = shared.open()
    await throttle.take([ACCOUNT, ADDRESS])
    with shared.server.client() as client:
        keys = client.keys("*")
        assert len(keys) == 2
        assert all(HOUR_MS - 60_000 < client.pttl(key) <= HOUR_MS for key in keys)
        await throttle.give_back([ACCOUNT, ADDRESS])
        assert client.keys("*") == []


async def test_no_email_and_no_address_stands_in_redis(shared: SharedThrottles) -> None:
    await shared.open().take([ACCOUNT, ADDRESS])
    with shared.server.client() as client:
        assert not [key for key in client.keys("*") if "ann" in key or "192" in key]


async def test_a_server_clock_that_was_set_back_locks_nobody_out_for_longer_than_an_empty_bucket(
    shared: SharedThrottles,
) -> None:
    throttle = shared.open()
    await throttle.take([ACCOUNT])
    shared.pass_time(-1_000 * HOUR_MS)
    assert almost(await throttle.take([ACCOUNT]), 3600)


async def test_no_buckets_ask_nobody(shared: SharedThrottles) -> None:
    throttle = shared.open()
    assert await throttle.take([]) is None
    await throttle.give_back([])


async def test_scripts_are_sent_again_after_the_server_forgot_them(shared: SharedThrottles) -> None:
    throttle = shared.open()
    assert await throttle.take([ACCOUNT]) is None
    with shared.server.client() as client:
        client.script_flush()
    await throttle.give_back([ACCOUNT])
    assert await taken(throttle, ACCOUNT) == 3


Step = tuple[str, int]
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.sampled_from(["take", "give back"]), st.integers(0, 3))
    | st.tuples(st.just("pass"), st.integers(1, 8)),
    max_size=30,
)


@given(steps=STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_it_answers_as_the_throttle_in_memory_does(valkey: ValkeyProcess, steps: list[Step]) -> None:
    valkey.flush()
    shared, clock = SharedThrottles(valkey), MovingClock()
    throttle, memory = shared.open(), MemoryThrottle(clock)
    choices = ([ACCOUNT], [ADDRESS], [ACCOUNT, ADDRESS], [ADDRESS, ACCOUNT])
    for what, number in steps:
        if what == "pass":
            # In the middle between two returns of tries, so that the time that the test takes has no effect.
            passed_ms = number * HOUR_MS // 2 + 60_000
            clock.advance(passed_ms / 1000)
            shared.pass_time(passed_ms)
        elif what == "give back":
            await throttle.give_back(choices[number])
            await memory.give_back(choices[number])
        else:
            refused, expected = await throttle.take(choices[number]), await memory.take(choices[number])
            assert (refused is None) == (expected is None)
            if expected is not None:
                assert almost(refused, expected.retry_after_s)
    await shared.close()


async def test_while_redis_is_away_this_process_counts(own_valkey: MakeValkey) -> None:
    server, clock = own_valkey(), MovingClock()
    shared = SharedThrottles(server)
    throttle = shared.open(clock, MemoryThrottle(clock))
    assert await throttle.take([ACCOUNT]) is None
    server.kill()
    assert [await throttle.take([ACCOUNT]) for _ in range(4)] == [None, None, None, TooManyTries(3600)]
    await throttle.give_back([ACCOUNT])
    assert await throttle.take([ACCOUNT]) is None
    server.start()
    assert await throttle.take([ACCOUNT]) is not None, "it was asked again too early"
    clock.advance(1)
    assert await taken(throttle, ACCOUNT) == 3
    await shared.close()


async def test_a_frozen_redis_holds_up_one_login_and_not_for_long(own_valkey: MakeValkey) -> None:
    server, clock = own_valkey(), MovingClock()
    shared = SharedThrottles(server)
    throttle = shared.open(clock, MemoryThrottle(clock))
    assert await throttle.take([ACCOUNT]) is None
    server.freeze()
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await throttle.take([ACCOUNT]) is None
    first = loop.time() - began
    for _ in range(100):
        await throttle.take([ACCOUNT])
    assert first < 5 * TIMEOUT_S
    assert loop.time() - began - first < 10 * TIMEOUT_S, "of 100 logins, many have waited"
    server.thaw()
    await shared.close()


async def test_a_redis_that_is_full_is_as_good_as_away(own_valkey: MakeValkey) -> None:
    server, clock = own_valkey(), MovingClock()
    shared = SharedThrottles(server)
    with server.client() as client:
        client.config_set("maxmemory", "1")
    throttle = shared.open(clock, MemoryThrottle(clock))
    assert await taken(throttle, ACCOUNT) == 3
    await shared.close()


async def test_an_outage_is_logged_once_a_minute_and_its_end_once(
    own_valkey: MakeValkey, capsys: pytest.CaptureFixture[str]
) -> None:
    server, clock = own_valkey(), MovingClock()
    shared = SharedThrottles(server)
    throttle = shared.open(clock, MemoryThrottle(clock))
    server.kill()
    for _ in range(90):
        await throttle.take([ACCOUNT])
        clock.advance(1)
    server.start()
    for _ in range(5):
        await throttle.take([ACCOUNT])
    said = capsys.readouterr().out
    assert said.count("redis fails") == 2
    assert said.count("redis works again") == 1
    await shared.close()


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        open_redis_throttle("localhost:6379", UnusedThrottle(), MovingClock())
