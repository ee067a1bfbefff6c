"""The schedule of tries: when a failed delivery is sent again, and when it is given up.

An event is tried ten times within about 75 hours. The waits are those that the Standard Webhooks specification
recommends.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import msgspec

from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt

_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60 * _SECOND_MS
_HOUR_MS: Final = 60 * _MINUTE_MS

WAITS_MS: Final = (
    0,
    5 * _SECOND_MS,
    5 * _MINUTE_MS,
    30 * _MINUTE_MS,
    2 * _HOUR_MS,
    5 * _HOUR_MS,
    10 * _HOUR_MS,
    14 * _HOUR_MS,
    20 * _HOUR_MS,
    24 * _HOUR_MS,
)
"""The time before each try: the first is made at once."""

TRIES_MAX: Final = len(WAITS_MS)
JITTER: Final = 0.2
"""A wait is up to this part shorter or longer, so that deliveries that failed together are spread."""

FAILING_MS_MAX: Final = 5 * 24 * _HOUR_MS
"""An endpoint that only fails is disabled after this time, but not before `TRIES_MAX` attempts."""

_OVERLOADED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})


class Delivered(msgspec.Struct, frozen=True):
    """The endpoint has the event."""


class Retry(msgspec.Struct, frozen=True):
    """The next try is due at `at_ms`."""

    at_ms: int


class GivenUp(msgspec.Struct, frozen=True):
    """The last try failed. The event is FAILED, and the next one of its subject follows."""


class EndpointGone(msgspec.Struct, frozen=True):
    """The endpoint answered 410: it is disabled at once, and gets no further try."""


Consequence = Delivered | Retry | GivenUp | EndpointGone


def judge(attempt: DeliveryAttempt, tries: int, now_ms: int, draw: Callable[[], float]) -> Consequence:
    """The consequence of an attempt that ended at `now_ms`.

    Args:
        attempt: The result of the attempt.
        tries: How often this event was tried, this attempt included: 1 to `TRIES_MAX`.
        now_ms: The time from which the next wait counts.
        draw: A random number from 0 to 1, such as `random.random`.
    """
    if not 1 <= tries <= TRIES_MAX:
        raise ValueError(f"an event is tried 1 to {TRIES_MAX} times, not {tries}")
    if attempt.delivered:
        return Delivered()
    if attempt.status == HTTPStatus.GONE:
        return EndpointGone()
    if tries == TRIES_MAX:
        return GivenUp()
    return Retry(now_ms + wait_ms(tries, attempt.retry_after_s, draw))


def wait_ms(tries: int, retry_after_s: int | None, draw: Callable[[], float]) -> int:
    """The time before the next try of an event that failed `tries` times.

    Retry-After lengthens a wait to at most twice its time, and never shortens it.
    """
    planned_ms = WAITS_MS[tries]
    spread_ms = round(planned_ms * (1 + JITTER * (2 * draw() - 1)))
    if retry_after_s is None:
        return spread_ms
    return min(max(spread_ms, retry_after_s * _SECOND_MS, planned_ms), 2 * planned_ms)


def has_one_slot(attempt: DeliveryAttempt, *, before: bool) -> bool:
    """Whether the endpoint gets one request at a time after this attempt. `before`: whether it did so until now.

    Overload (429, 502, 504, or a timeout) narrows it to one. Any other complete answer, an error too, ends that. An
    attempt without an answer changes nothing.
    """
    if attempt.error is AttemptError.TIMEOUT or attempt.status in _OVERLOADED:
        return True
    answered = attempt.error in {None, AttemptError.STATUS, AttemptError.REDIRECT}
    return before and not answered


def has_failed_too_long(failing_since_ms: int, failures: int, now_ms: int) -> bool:
    """Whether an endpoint is to be disabled that had `failures` failed attempts, and no other, since that instant."""
    return failures >= TRIES_MAX and now_ms - failing_since_ms >= FAILING_MS_MAX
