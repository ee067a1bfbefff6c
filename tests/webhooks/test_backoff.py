"""The schedule of tries: the whole table of answers, the bounds of each wait, and the end."""

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.moving_clock import START_MS

from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt, error_of_status
from flashreserve.webhooks.backoff import (
    FAILING_MS_MAX,
    TRIES_MAX,
    WAITS_MS,
    Delivered,
    EndpointGone,
    GivenUp,
    Retry,
    has_failed_too_long,
    has_one_slot,
    judge,
    wait_ms,
)

FAILING = tuple(status for status in range(300, 600) if status != 410)
NETWORK_ERRORS = tuple(set(AttemptError) - {AttemptError.STATUS, AttemptError.REDIRECT})


def answered(status: int, retry_after_s: int | None = None) -> DeliveryAttempt:
    return DeliveryAttempt(status, 20, error_of_status(status), retry_after_s)


def middle() -> float:
    return 0.5


def test_ten_tries_take_75_hours() -> None:
    seconds = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]

    assert [wait / 1000 for wait in WAITS_MS] == seconds
    assert TRIES_MAX == 10
    assert sum(WAITS_MS) // 3_600_000 == 75


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
def test_every_success_is_delivered_at_any_try(tries: int) -> None:
    assert {judge(answered(status), tries, START_MS, middle) for status in range(200, 300)} == {Delivered()}


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
def test_every_failure_is_tried_again_until_the_tenth_which_is_given_up(tries: int) -> None:
    attempts = [answered(status) for status in FAILING] + [DeliveryAttempt(None, 20, error) for error in NETWORK_ERRORS]

    expected = GivenUp() if tries == TRIES_MAX else Retry(START_MS + WAITS_MS[tries])
    assert {judge(attempt, tries, START_MS, middle) for attempt in attempts} == {expected}


@pytest.mark.parametrize("tries", range(1, TRIES_MAX + 1))
def test_gone_ends_the_endpoint_at_any_try(tries: int) -> None:
    assert judge(answered(410, 60), tries, START_MS, middle) == EndpointGone()


def test_a_success_whose_body_never_ended_is_tried_again() -> None:
    assert judge(DeliveryAttempt(200, 15_000, AttemptError.TIMEOUT), 1, START_MS, middle) == Retry(START_MS + 5000)


@pytest.mark.parametrize("tries", [0, -1, TRIES_MAX + 1])
def test_other_numbers_of_tries_are_defects(tries: int) -> None:
    with pytest.raises(ValueError, match="1 to 10 times"):
        judge(answered(500), tries, START_MS, middle)


@given(st.integers(1, TRIES_MAX - 1), st.floats(0, 1))
def test_a_wait_is_at_most_a_fifth_shorter_or_longer(tries: int, drawn: float) -> None:
    wait = wait_ms(tries, None, lambda: drawn)

    assert 0.8 * WAITS_MS[tries] <= wait <= 1.2 * WAITS_MS[tries]
    assert isinstance(wait, int)


@given(st.integers(1, TRIES_MAX - 1), st.floats(0, 1), st.integers(0, 10**9))
def test_retry_after_is_honoured_within_one_and_two_times_the_wait(tries: int, drawn: float, after_s: int) -> None:
    planned_ms, wait = WAITS_MS[tries], wait_ms(tries, after_s, lambda: drawn)

    assert planned_ms <= wait <= 2 * planned_ms
    if 1.2 * planned_ms <= after_s * 1000 <= 2 * planned_ms:
        assert wait == after_s * 1000
    assert wait >= min(after_s * 1000, 2 * planned_ms)


@given(st.integers(), st.integers(1, TRIES_MAX - 1), st.integers(0, 10**6) | st.none(), st.integers(0, 2**32))
def test_the_next_try_is_never_before_the_failure(now_ms: int, tries: int, after_s: int | None, seed: int) -> None:
    found = judge(answered(503, after_s), tries, now_ms, random.Random(seed).random)

    assert isinstance(found, Retry)
    assert found.at_ms > now_ms
    assert found == judge(answered(503, after_s), tries, now_ms, random.Random(seed).random)


def test_tries_are_spread_over_the_whole_range() -> None:
    draw = random.Random(1).random
    waits = [wait_ms(3, None, draw) / WAITS_MS[3] for _ in range(1000)]

    assert min(waits) < 0.82
    assert max(waits) > 1.18
    assert 0.99 < sum(waits) / len(waits) < 1.01


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        *((answered(status), True) for status in (429, 502, 504)),
        *((DeliveryAttempt(status, 15_000, AttemptError.TIMEOUT), True) for status in (None, 200, 500)),
        *((answered(status), False) for status in (200, 204, 302, 400, 401, 404, 410, 500, 503)),
        *((DeliveryAttempt(None, 5, error), None) for error in NETWORK_ERRORS if error != AttemptError.TIMEOUT),
        (DeliveryAttempt(200, 5, AttemptError.DISCONNECTED), None),
        (DeliveryAttempt(429, 5, AttemptError.DISCONNECTED), True),
    ],
)
def test_overload_leaves_one_slot_until_the_endpoint_answers_again(
    attempt: DeliveryAttempt, *, expected: bool | None
) -> None:
    for before in (True, False):
        assert has_one_slot(attempt, before=before) is (before if expected is None else expected)


@pytest.mark.parametrize(
    ("failures", "after_ms"), [*product((0, TRIES_MAX - 1, TRIES_MAX, 1000), (0, FAILING_MS_MAX - 1, FAILING_MS_MAX))]
)
def test_an_endpoint_is_disabled_after_five_days_of_failures_and_ten_of_them(failures: int, after_ms: int) -> None:
    expected = failures >= 10 and after_ms >= 5 * 24 * 3600 * 1000

    assert has_failed_too_long(START_MS, failures, START_MS + after_ms) is expected
