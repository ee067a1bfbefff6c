"""The first admin of an empty shop, made by a link that the banner prints."""

import asyncio
from typing import Final

import msgspec

from flashreserve.auth.outcomes import CreationOutcome
from flashreserve.auth.purpose_tokens import PurposeTokens
from flashreserve.clock import Clock
from flashreserve.service.accounts import AccountService
from flashreserve.stores.port import AccountStore

LINK_S: Final = 24 * 3600
"""How long the link is good. Each start prints a new one as long as there is no account."""

_SUBJECT: Final = "first-admin"


class LinkUsed(msgspec.Struct, frozen=True, tag=True):
    """The link is invalid or too old, or there is an admin."""


class FirstAdmin:
    """Makes the first admin's account. The link's token is signed, so whoever has it has read the server's output.

    The link is of no use once there is an admin. Two people who use it in the same moment, by two processes, may both
    become admins: both had the link.
    """

    def __init__(self, store: AccountStore, accounts: AccountService, tokens: PurposeTokens, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._clock = clock
        self._making = asyncio.Lock()

    async def is_open(self, token: str) -> bool:
        """Whether the link can be used now."""
        subject = self._tokens.read(token, self._clock.now_ms())
        if subject is None or subject.name != _SUBJECT:
            return False
        return not await self._store.has_admin()

    async def make(self, token: str, email: str, password: str) -> CreationOutcome | LinkUsed:
        """Make the account."""
        async with self._making:
            if not await self.is_open(token):
                return LinkUsed()
            return await self._accounts.create_admin(email, password)


async def new_link_token(store: AccountStore, tokens: PurposeTokens, clock: Clock) -> str | None:
    """The token of a new link; None if the shop has an account already.

    Raises:
        StoreUnavailableError: the database doesn't answer.
    """
    if await store.list_accounts(None, 1):
        return None
    return tokens.issue(_SUBJECT, clock.now_ms()).text
