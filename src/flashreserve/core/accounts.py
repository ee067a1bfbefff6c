"""Rules of accounts: signing out, and taking rights away."""

from enum import Enum
from typing import assert_never

from msgspec.structs import replace

from flashreserve.core.model import Account, Role


class Restriction(Enum):
    """Less rights for an account: an admin's becomes a customer's, or the account can't sign in."""

    DEMOTED = "demoted"
    DISABLED = "disabled"


class Restricted(Enum):
    """The outcome of a restriction: it was carried out, or refused to the last admin, or there is no such account."""

    DONE = "done"
    LAST_ADMIN = "last admin"
    NO_ACCOUNT = "no account"


def is_able_admin(account: Account) -> bool:
    """Whether it is an admin's account that isn't disabled."""
    return account.role is Role.ADMIN and account.disabled_at is None


def restricted(account: Account, restriction: Restriction, at: int) -> Account:
    """The account after a restriction at `at` (UTC milliseconds), which signs it out too."""
    signed_out = replace(account, signed_out_at=signed_out_at(at, account.signed_out_at))
    match restriction:
        case Restriction.DEMOTED:
            return replace(signed_out, role=Role.CUSTOMER)
        case Restriction.DISABLED:
            return replace(signed_out, disabled_at=at if account.disabled_at is None else account.disabled_at)
        case _:
            assert_never(restriction)


def signed_out_at(now: int, before: int | None) -> int:
    """The instant up to which tokens are refused by a sign-out at `now`, if an earlier one was noted as `before`.

    After that one, tokens were issued for the next whole second, which may be later than `now`. They are refused too,
    so the instant never goes back (UTC milliseconds).
    """
    return now if before is None else max(now, (before // 1000 + 1) * 1000)
