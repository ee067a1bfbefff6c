"""The link that makes the first admin of an empty shop."""

from flashreserve.auth.keys import KeyRing
from flashreserve.auth.purpose_tokens import PurposeTokens
from flashreserve.clock import Clock
from flashreserve.service.accounts import AccountService
from flashreserve.service.first_admin import LINK_S, FirstAdmin, new_link_token
from flashreserve.stores.port import AccountStore


def first_admin(store: AccountStore, accounts: AccountService, keys: KeyRing, clock: Clock) -> FirstAdmin:
    """The service that makes the first admin."""
    return FirstAdmin(store, accounts, _tokens(keys), clock)


async def first_admin_token(store: AccountStore, keys: KeyRing, clock: Clock) -> str | None:
    """The token of a new link; None if the shop has an account already.

    Raises:
        StoreUnavailableError: the database doesn't answer.
    """
    return await new_link_token(store, _tokens(keys), clock)


def _tokens(keys: KeyRing) -> PurposeTokens:
    return PurposeTokens(keys, "first-admin", ttl_s=LINK_S)
