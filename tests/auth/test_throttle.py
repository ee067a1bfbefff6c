import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.moving_clock import MovingClock

from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.throttle import Bucket, MemoryThrottle, Rate

THREE_A_MINUTE = Rate(burst=3, every_ms=20_000)
ACCOUNT = Bucket("account ada", THREE_A_MINUTE)
ADDRESS = Bucket("address 192.0.2.1", Rate(burst=5, every_ms=1_000))


@pytest.fixture
def throttle(clock: MovingClock) -> MemoryThrottle:
    return MemoryThrottle(clock)


async def taken(throttle: MemoryThrottle, *buckets: Bucket) -> int:
    """Take all tries that the buckets have; their number."""
    count = 0
    while await throttle.take(buckets) is None:
        count += 1
    return count


async def test_a_burst_passes_and_the_next_try_is_told_when(throttle: MemoryThrottle) -> None:
    assert [await throttle.take([ACCOUNT]) for _ in range(4)] == [None, None, None, TooManyTries(20)]


async def test_a_try_comes_back_exactly_when_it_was_said(throttle: MemoryThrottle, clock: MovingClock) -> None:
    await taken(throttle, ACCOUNT)
    clock.advance(12.5)
    assert await throttle.take([ACCOUNT]) == TooManyTries(8)
    clock.advance(7.499)
    assert await throttle.take([ACCOUNT]) == TooManyTries(1)
    clock.advance(0.001)
    assert await throttle.take([ACCOUNT]) is None
    assert await throttle.take([ACCOUNT]) == TooManyTries(20)


async def test_refused_tries_don_t_put_off_the_next_one(throttle: MemoryThrottle, clock: MovingClock) -> None:
    await taken(throttle, ACCOUNT)
    for _ in range(20):
        assert await throttle.take([ACCOUNT]) is not None
        clock.advance(1)
    assert await throttle.take([ACCOUNT]) is None


async def test_of_1000_parallel_tries_the_burst_passes(throttle: MemoryThrottle) -> None:
    answers = await asyncio.gather(*(throttle.take([ACCOUNT]) for _ in range(1_000)))
    assert answers.count(None) == 3


async def test_one_empty_bucket_refuses_and_the_others_stay_as_they_are(throttle: MemoryThrottle) -> None:
    await taken(throttle, ACCOUNT)
    for _ in range(50):
        assert await throttle.take([ADDRESS, ACCOUNT]) == TooManyTries(20)
    assert await taken(throttle, ADDRESS) == 5


async def test_the_longest_wait_is_told(throttle: MemoryThrottle) -> None:
    await taken(throttle, ACCOUNT)
    await taken(throttle, ADDRESS)
    assert await throttle.take([ADDRESS, ACCOUNT]) == TooManyTries(20)
    assert await throttle.take([ACCOUNT, ADDRESS]) == TooManyTries(20)


async def test_a_try_given_back_can_be_had_again(throttle: MemoryThrottle) -> None:
    for _ in range(100):
        assert await throttle.take([ACCOUNT, ADDRESS]) is None
        await throttle.give_back([ACCOUNT, ADDRESS])
    assert await taken(throttle, ACCOUNT) == 3


async def test_giving_back_never_makes_more_than_a_burst(throttle: MemoryThrottle, clock: MovingClock) -> None:
    await throttle.take([ACCOUNT])
    clock.advance(60)
    for _ in range(10):
        await throttle.give_back([ACCOUNT])
    assert await taken(throttle, ACCOUNT) == 3


async def test_no_buckets_refuse_nothing(throttle: MemoryThrottle) -> None:
    assert await throttle.take([]) is None


async def test_memory_is_bounded_and_what_is_being_tried_stays(clock: MovingClock) -> None:
    throttle = MemoryThrottle(clock, entries_max=100)
    await taken(throttle, ACCOUNT)
    for number in range(10_000):
        await throttle.take([Bucket(f"account {number}", THREE_A_MINUTE)])
        assert await throttle.take([ACCOUNT]) is not None
    assert len(throttle._full_at) == 100


async def test_a_full_bucket_is_not_remembered(throttle: MemoryThrottle) -> None:
    await throttle.take([ACCOUNT, ADDRESS])
    await throttle.give_back([ACCOUNT, ADDRESS])
    assert len(throttle._full_at) == 0


def test_no_room_at_all_is_refused(clock: MovingClock) -> None:
    with pytest.raises(ValueError, match="at least 1 bucket"):
        MemoryThrottle(clock, entries_max=0)


@given(
    rate=st.builds(Rate, burst=st.integers(1, 5), every_ms=st.integers(1, 5_000)),
    gaps_ms=st.lists(st.integers(0, 3_000), min_size=1, max_size=60),
)
async def test_in_no_stretch_of_time_do_more_pass_than_burst_and_rate_allow(rate: Rate, gaps_ms: list[int]) -> None:
    clock = MovingClock()
    throttle, bucket, passed = MemoryThrottle(clock), Bucket("k", rate), []
    for gap_ms in gaps_ms:
        clock.advance(gap_ms / 1000)
        refused = await throttle.take([bucket])
        if refused is None:
            passed.append(clock.now_ms())
        else:
            assert 1 <= refused.retry_after_s <= rate.every_ms / 1000 + 1
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            # One millisecond more, for the rounding of a clock of floats.
            assert last - first + 1 <= rate.burst + (passed[last] - passed[first] + 1) // rate.every_ms
