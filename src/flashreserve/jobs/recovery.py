"""Recovery: one pass finishes or undoes the stock movements that a crashed process left behind."""

from flashreserve.core import limits
from flashreserve.stores.port import ReservationStore


async def recover_once(store: ReservationStore, now: int, *, most: int = limits.SWEEP_MAX) -> int:
    """Finish or undo abandoned stock movements, as of `now` (UTC milliseconds).

    Returns:
        How many; at most `most`.
    """
    return await store.recover(now, most)
