"""Customers' tokens made without accounts: whoever holds the shop's signing key may rehearse with it."""

from collections.abc import Callable, Sequence
from typing import Final

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import Clock, Ids
from flashreserve.core.model import Role

TOKEN_S: Final = 24 * 3600
"""How long a token of a fresh shop is good for: longer than any rehearsal."""


def minter(keys: KeyRing, ids: Ids, clock: Clock, *, ttl_s: int) -> Callable[[int], Sequence[str]]:
    """A `ServerUnderTest.mint` that signs as the shop does, each token for a user who has never been.

    `ttl_s` is the shop's own lifetime of tokens: it refuses those that claim to live longer.
    """
    tokens = Tokens(keys, ttl_s=ttl_s)

    def mint(count: int) -> Sequence[str]:
        now_ms = clock.now_ms()
        return [tokens.issue(ids.new(), Role.CUSTOMER, now_ms).token for _ in range(count)]

    return mint
