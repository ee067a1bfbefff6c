"""The idempotency keys of reservations that aren't filed by customer yet, found without an index.

They stand in the table `fresh` in the order of their arrival. Each process keeps them by customer and key in memory,
and reads on where it left off at the beginning of a flush: then it holds the lock under which alone anybody writes, so
it knows them all, its own and other processes'. Only what was committed is ever read.
"""

from typing import Final

import msgspec

from flashreserve.core.facts import Claim, idempotency_claim

FORGET_AT: Final = 60_000
"""Look which keys are filed by now when so many are kept, or twice as many as weren't when last looked."""

_decode = msgspec.json.Decoder(list[tuple[int, str, str, str]]).decode


class FreshKeys:
    """What one process knows of them. Only for use inside a transaction that writes.

    Those that were filed are forgotten from time to time. Until then they stand in the table of claims as well, which
    says the same of them. `place` is the last one that was read.
    """

    def __init__(self) -> None:
        self._holders: dict[Claim, tuple[int, str]] = {}
        self._forget_at = FORGET_AT
        self.place = 0

    def learn(self, rows: str, first: int | None, last: int | None) -> None:
        """Take in the rows above `place`, as JSON, and the first and the last place that aren't filed."""
        for place, user_id, key, reservation_id in _decode(rows):
            self._holders[user_id, idempotency_claim(key)] = (place, reservation_id)
        self.place = max(self.place, last or 0)
        if len(self._holders) >= self._forget_at and first is not None:
            self._holders = {claim: held for claim, held in self._holders.items() if held[0] >= first}
            self._forget_at = max(FORGET_AT, 2 * len(self._holders))

    def holders(self, claims: set[Claim]) -> dict[Claim, str]:
        """Which of the claims are held by reservations that may not be filed, and by which."""
        holders = self._holders
        return {claim: holders[claim][1] for claim in claims if claim in holders}
