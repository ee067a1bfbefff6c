"""The sweep: one pass releases the holds that have lapsed."""

from typing import Final

from flashreserve.stores.port import ReservationStore

STEPS_MAX: Final = 1_000


async def sweep_once(
    store: ReservationStore, now: int, *, step_max: int | None = None, steps_max: int = STEPS_MAX
) -> int:
    """Release the holds that have lapsed at `now` (UTC milliseconds), in steps between which others get their turn.

    Returns:
        How many were released; at most `step_max` (the store's own `sweep_max` if that is None) times `steps_max`.
    """
    released = 0
    for _ in range(steps_max):
        swept = await store.release_lapsed(now, step_max or store.sweep_max)
        released += swept.released
        if not swept.more:
            break
    return released
