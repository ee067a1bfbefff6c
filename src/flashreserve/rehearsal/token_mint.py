"""Customers' tokens signed with the shop's own key, without accounts."""

from collections.abc import Callable, Sequence
from typing import Final

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import Clock, Ids
from flashreserve.core.model import Role

TOKEN_S: Final = 24 * 3600
"""Lifetime of a fresh shop's tokens: longer than any rehearsal."""


def minter(keys: KeyRing, ids: Ids, clock: Clock, *, ttl_s: int) -> Callable[[int], Sequence[str]]:
    """A `ServerUnderTest.mint` that signs as the shop does, each token for a new user id.

    `ttl_s` is the lifetime of the shop's own tokens: it refuses tokens that claim to live longer.
    """
    tokens = Tokens(keys, ttl_s=ttl_s)

    def mint(count: int) -> Sequence[str]:
        now_ms = clock.now_ms()
        return [tokens.issue(ids.new(), Role.CUSTOMER, now_ms).token for _ in range(count)]

    return mint
