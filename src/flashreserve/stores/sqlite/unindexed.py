"""The reservations that aren't filed by customer yet: found by customer, and by idempotency key, without an index.

They stand in the table `fresh` in the order of their arrival. Each process keeps them by customer and key in memory,
and reads on where it left off at the beginning of a flush: then it holds the lock under which alone anybody writes, so
it knows them all, its own and other processes'. Only what was committed is ever read.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from flashreserve.core.facts import Claim, idempotency_claim

FORGET_AT: Final = 60_000
"""Look which are filed by now when so many are kept, or twice as many as weren't when last looked."""

_decode = msgspec.json.Decoder(list[tuple[int, str, str | None, str, int]]).decode


class UnindexedReservations:
    """What one process knows of them. Only for use inside a transaction that writes.

    Those that were filed are forgotten from time to time. Until then they stand in the table of claims as well, which
    says the same of them. `place` is the last one that was read. With `counts`, reservations are kept by customer as
    well, and those without a key are to be learnt too.
    """

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts
        self._holders: dict[Claim, tuple[int, str]] = {}
        self._by_customer: dict[str, list[tuple[int, int, str]]] = {}
        self._kept = 0
        self._forget_at = FORGET_AT
        self.place = 0

    def learn(self, rows: str, first: int | None, last: int | None) -> None:
        """Take in the rows above `place`, as JSON, and the first and the last place that aren't filed."""
        for place, user_id, key, reservation_id, counts_until in _decode(rows):
            if key is not None:
                self._holders[user_id, idempotency_claim(key)] = (place, reservation_id)
            if self._counts:
                self._by_customer.setdefault(user_id, []).append((place, counts_until, reservation_id))
            self._kept += 1
        self.place = max(self.place, last or 0)
        if self._kept >= self._forget_at and first is not None:
            self._forget_before(first)

    def _forget_before(self, first: int) -> None:
        self._holders = {claim: held for claim, held in self._holders.items() if held[0] >= first}
        left = {user_id: [each for each in own if each[0] >= first] for user_id, own in self._by_customer.items()}
        self._by_customer = {user_id: own for user_id, own in left.items() if own}
        self._kept = sum(map(len, self._by_customer.values())) if self._counts else len(self._holders)
        self._forget_at = max(FORGET_AT, 2 * self._kept)

    def holders(self, claims: set[Claim]) -> dict[Claim, str]:
        """Which of the claims are held by reservations that may not be filed, and by which."""
        holders = self._holders
        return {claim: holders[claim][1] for claim in claims if claim in holders}

    def counting(self, customers: Iterable[str], now: int) -> Iterator[tuple[str, str]]:
        """Each customer's reservations that may count for quotas at `now`, of those that may not be filed."""
        for user_id in customers:
            for _, counts_until, reservation_id in self._by_customer.get(user_id, ()):
                if counts_until > now:
                    yield user_id, reservation_id
