"""Event retention: one pass deletes events as old as the log keeps them, and what their deliveries left behind."""

from typing import Final

from flashreserve.settings import EVENTS_DAYS_DEFAULT
from flashreserve.stores.port import Store

STEP_MAX: Final = 1_000
"""Events that one step deletes, so that other requests don't wait long for it."""

STEPS_MAX: Final = 1_000
_DAY_MS: Final = 24 * 3600 * 1000


async def forget_events_once(
    store: Store,
    now: int,
    *,
    days: int = EVENTS_DAYS_DEFAULT,
    step_max: int = STEP_MAX,
    steps_max: int = STEPS_MAX,
) -> int:
    """Delete the events that are older than `days` days at `now` (UTC milliseconds), in steps.

    With them go the attempts at deliveries, and the groups of subjects that are as old and have nothing to deliver.

    Returns:
        How many events; at most `step_max` times `steps_max`.
    """
    before, deleted = now - days * _DAY_MS, 0
    for _ in range(steps_max):
        count = await store.forget_events(before, step_max)
        deleted += count
        if count < step_max:
            break
    for _ in range(steps_max):
        if await store.forget_deliveries(before, step_max) < step_max:
            break
    return deleted
