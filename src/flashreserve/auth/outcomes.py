"""What a request about an account came to: values, not exceptions.

Their printed form shows neither tokens nor password hashes: a log line with an outcome in it gives nothing away.
"""

import msgspec

from flashreserve.core.model import Account


class Registered(msgspec.Struct, frozen=True, tag=True):
    """The account exists now, and it is durable."""

    account: Account

    def __repr__(self) -> str:
        return f"Registered(account id={self.account.id!r}, role={self.account.role.value!r})"


class EmailTaken(msgspec.Struct, frozen=True, tag=True):
    """Another account has this email. Saying so tells a stranger that it exists; registration can't avoid that."""


class InvalidField(msgspec.Struct, frozen=True, tag=True):
    """`field` (`email` or `password`) breaks a rule; `message` says which, and never repeats the value."""

    field: str
    message: str


class LoggedIn(msgspec.Struct, frozen=True, tag=True):
    """The password was right.

    `token` is good until `expires_at` (UTC milliseconds). `device_token` is for the HTTP-only cookie that tells this
    browser from a stranger's at the next login; it is good until `device_expires_at` and opens nothing.
    """

    token: str
    expires_at: int
    account: Account
    device_token: str
    device_expires_at: int

    def __repr__(self) -> str:
        return f"LoggedIn(account id={self.account.id!r}, expires_at={self.expires_at})"


class WrongCredentials(msgspec.Struct, frozen=True, tag=True):
    """Unknown email or wrong password; which of them, nobody is told."""


class TooManyTries(msgspec.Struct, frozen=True, tag=True):
    """Nothing was looked at. The next try is welcome after `retry_after_s` whole seconds, at least 1."""

    retry_after_s: int


class Busy(msgspec.Struct, frozen=True, tag=True):
    """Passwords can't be hashed now (too many wait, or memory or threads are short): nothing was changed."""

    retry_after_s: int = 1


class AccountNotFound(msgspec.Struct, frozen=True, tag=True):
    """No account has this id or email."""


class Promoted(msgspec.Struct, frozen=True, tag=True):
    """The account is an admin's, now or since an earlier call. `account` is as it is now."""

    account: Account

    def __repr__(self) -> str:
        return f"Promoted(account id={self.account.id!r})"


CreationOutcome = Registered | EmailTaken | InvalidField | Busy
RegistrationOutcome = CreationOutcome | TooManyTries
LoginOutcome = LoggedIn | WrongCredentials | InvalidField | TooManyTries | Busy
PromotionOutcome = Promoted | AccountNotFound | InvalidField
