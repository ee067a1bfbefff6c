"""The metrics token, and the limit on guessing it."""

import hmac
from typing import Final

from flashreserve.auth.address import address_groups
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.throttle import Rate, Throttle, by_address

RATE: Final = Rate(burst=10, every_ms=6_000)
"""The rate of wrong tokens from one address."""


class MetricsToken:
    """One token that gives access to docs and metrics. If it is empty, it gives no access.

    Wrong tries are counted by address. An address without tries left is refused even with the right token: otherwise it
    could go on guessing.
    """

    def __init__(self, token: str, throttle: Throttle, *, rate: Rate = RATE) -> None:
        """`throttle` must not be shared: guesses here are cheap, and would evict the buckets of others."""
        self._token = token.encode()
        self._throttle = throttle
        self._rate = rate

    async def admits(self, sent: str, address: str | None) -> bool | TooManyTries:
        """Whether `sent` is the token, or when the address may try again."""
        if not self._token or not sent:
            return False
        buckets = by_address("metrics", address_groups(address), self._rate)
        refused = await self._throttle.take(buckets)
        if refused is not None:
            return refused
        if not hmac.compare_digest(sent.encode(), self._token):
            return False
        await self._throttle.give_back(buckets)
        return True
