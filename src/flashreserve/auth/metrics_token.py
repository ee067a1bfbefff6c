"""The metrics token, and the brake on guessing it."""

import hmac
from typing import Final

from flashreserve.auth.address import address_groups
from flashreserve.auth.outcomes import TooManyTries
from flashreserve.auth.throttle import Rate, Throttle, by_address

RATE: Final = Rate(burst=10, every_ms=6_000)
"""Wrong tokens from one address."""


class MetricsToken:
    """One token that opens docs and metrics; an empty one opens nothing.

    Wrong tries are counted by address. Once an address has none left, it is refused whatever it sends: were the right
    token let through, the others' refusals would only be slower guesses.
    """

    def __init__(self, token: str, throttle: Throttle, *, rate: Rate = RATE) -> None:
        """`throttle` is this one's own: guesses cost nothing, and would push out what others count by."""
        self._token = token.encode()
        self._throttle = throttle
        self._rate = rate

    async def admits(self, sent: str, address: str | None) -> bool | TooManyTries:
        """Whether `sent` is the token; or when the address may try again."""
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
