"""The reservations that aren't in the customer index yet, kept in memory by customer and by idempotency key.

They are in the table `fresh` in arrival order. At the beginning of a flush, each process reads the rows that are new
since its last read. It has the write lock then, so it knows all rows, its own and those of other processes. It reads
only committed rows.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from flashreserve.core.facts import Claim, idempotency_claim

FORGET_AT: Final = 60_000
"""Drop indexed reservations at this many in memory, or at twice the number left the last time if that is more."""

_decode = msgspec.json.Decoder(list[tuple[int, str, str | None, str, int]]).decode


class UnindexedReservations:
    """The unindexed reservations that one process knows. Only for use inside a transaction that writes.

    Reservations that were indexed are dropped from time to time. Until then both this object and the index have them,
    with the same content. `place` is the place (row number in `fresh`) that was read last. With `counts`, reservations
    are also kept by customer for counting quotas, so `learn` also needs the rows without a key.
    """

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts
        self._holders: dict[Claim, tuple[int, str]] = {}
        self._by_customer: dict[str, list[tuple[int, int, str]]] = {}
        self._kept = 0
        self._forget_at = FORGET_AT
        self.place = 0

    def learn(self, rows: str, first: int | None, last: int | None) -> None:
        """Add the rows above `place`, given as JSON. `first` and `last` are the first and last place in `fresh`."""
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
        """The claims that a reservation in memory holds, with the reservation's id."""
        holders = self._holders
        return {claim: holders[claim][1] for claim in claims if claim in holders}

    def counting(self, customers: Iterable[str], now: int) -> Iterator[tuple[str, str]]:
        """The customers' reservations in memory that may count for quotas at `now`: customer and reservation id."""
        for user_id in customers:
            for _, counts_until, reservation_id in self._by_customer.get(user_id, ()):
                if counts_until > now:
                    yield user_id, reservation_id
