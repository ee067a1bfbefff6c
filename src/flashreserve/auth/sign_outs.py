"""Sign-outs: accounts whose earlier tokens are refused, although they haven't expired."""

from collections.abc import Mapping
from typing import Final

from flashreserve.auth.tokens import Identity
from flashreserve.core.customers import HASHED, hashed_id

_LOOKED_UP_MAX: Final = 10_000
"""Customers whose sign-out was looked up since the list was read, at most."""


class SignOuts:
    """By customer, the instant up to which tokens are refused. A process reads the list about every second.

    A customer who was erased is in it by `hashed_id`, since the id itself is forgotten. The list has a limit. Beyond it
    the oldest sign-outs are missing, and those of customers with older sign-ins are looked up one by one.
    """

    def __init__(self) -> None:
        self._until: Mapping[str, int] = {}
        self._hashes = False
        self._missing_until = -1
        self._looked_up: dict[str, int | None] = {}

    def learn(self, until: Mapping[str, int], most: int) -> None:
        """Replace the list, which has the latest `most` sign-outs."""
        self._until = until
        self._hashes = any(name.startswith(HASHED) for name in until)
        self._missing_until = min(until.values()) if len(until) >= most else -1
        self._looked_up.clear()

    def note(self, customer_id: str, until: int | None) -> None:
        """Keep what was looked up, until the list is read again."""
        if len(self._looked_up) >= _LOOKED_UP_MAX:
            self._looked_up.clear()
        self._looked_up[customer_id] = until

    def refuse(self, identity: Identity) -> bool | None:
        """Whether the identity signed in before its account was signed out everywhere, or erased.

        A token that was refreshed at the same time may be younger than that, but its sign-in is not. None: the sign-out
        may be missing from the list, so it has to be looked up.
        """
        until = self._until.get(identity.user_id)
        if until is None and self._hashes:
            until = self._until.get(hashed_id(identity.user_id))
        if until is None and identity.signed_in_at <= self._missing_until:
            if identity.user_id not in self._looked_up:
                return None
            until = self._looked_up[identity.user_id]
        return until is not None and identity.signed_in_at <= until
