"""The relay: adds events to the log, where the store couldn't do so together with their transitions."""

from typing import Final

from flashreserve.stores.port import Store

SUBJECTS_MAX: Final = 5_000
"""Subjects of each kind whose events one pass adds to the log."""


async def relay_once(store: Store, now: int) -> int:
    """Add the events of at most `SUBJECTS_MAX` subjects of each kind to the log. Returns how many subjects it was."""
    return await store.relay(now, SUBJECTS_MAX)
