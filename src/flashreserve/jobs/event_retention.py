"""Event retention: one pass deletes the events that are older than the log keeps them."""

from typing import Final

from flashreserve.settings import EVENTS_DAYS_DEFAULT
from flashreserve.stores.outbox import EventStore

STEP_MAX: Final = 1_000
"""Events that one step deletes, so that other requests don't wait long for it."""

STEPS_MAX: Final = 1_000
_DAY_MS: Final = 24 * 3600 * 1000


async def forget_events_once(
    store: EventStore,
    now: int,
    *,
    days: int = EVENTS_DAYS_DEFAULT,
    step_max: int = STEP_MAX,
    steps_max: int = STEPS_MAX,
) -> int:
    """Delete the events that are older than `days` days at `now` (UTC milliseconds), in steps.

    Returns:
        How many; at most `step_max` times `steps_max`.
    """
    deleted = 0
    for _ in range(steps_max):
        count = await store.forget_events(now - days * _DAY_MS, step_max)
        deleted += count
        if count < step_max:
            break
    return deleted
