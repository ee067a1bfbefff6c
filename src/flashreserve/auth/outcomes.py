"""The outcomes of requests about accounts: values, not exceptions.

Their printed form shows neither tokens nor password hashes, so they may appear in logs.
"""

import msgspec

from flashreserve.auth.tokens import Issued
from flashreserve.core.model import Account


class Registered(msgspec.Struct, frozen=True, tag=True):
    """The account was created, and is durable."""

    account: Account

    def __repr__(self) -> str:
        return f"Registered(account id={self.account.id!r}, role={self.account.role.value!r})"


class EmailTaken(msgspec.Struct, frozen=True, tag=True):
    """Another account has this email. Registration can't avoid telling a stranger that it exists."""


class InvalidField(msgspec.Struct, frozen=True, tag=True):
    """`field` (such as `email` or `password`) breaks a rule. `message` says which one, and never repeats the value.

    A wrong old password, of somebody who is signed in, is one too.
    """

    field: str
    message: str


class LoggedIn(msgspec.Struct, frozen=True, tag=True):
    """The password was right.

    `token` is valid until `expires_at` (UTC milliseconds). `device_token` is for the HTTP-only cookie by which the next
    login recognises this browser; it is valid until `device_expires_at` and grants no access.
    """

    token: str
    expires_at: int
    account: Account
    device_token: str
    device_expires_at: int

    def __repr__(self) -> str:
        return f"LoggedIn(account id={self.account.id!r}, expires_at={self.expires_at})"


class WrongCredentials(msgspec.Struct, frozen=True, tag=True):
    """The email is unknown or the password is wrong. The client isn't told which."""


class TooManyTries(msgspec.Struct, frozen=True, tag=True):
    """The try was not checked. The next one is allowed after `retry_after_s` whole seconds, at least 1."""

    retry_after_s: int


class Busy(msgspec.Struct, frozen=True, tag=True):
    """No password can be hashed now (too many wait, or memory or threads are short). Nothing was changed."""

    retry_after_s: int = 1


class AccountNotFound(msgspec.Struct, frozen=True, tag=True):
    """No account has this id or email."""


class Promoted(msgspec.Struct, frozen=True, tag=True):
    """The account is an admin's, by this call or an earlier one. `account` is its present state."""

    account: Account

    def __repr__(self) -> str:
        return f"Promoted(account id={self.account.id!r})"


class PasswordChanged(msgspec.Struct, frozen=True, tag=True):
    """The password is another one, and earlier tokens of the account are refused. `account` is its present state.

    `token` is a fresh one; None if the account was disabled, deleted or given another password meanwhile.
    """

    account: Account
    token: Issued | None

    def __repr__(self) -> str:
        return f"PasswordChanged(account id={self.account.id!r})"


class WrongCode(msgspec.Struct, frozen=True, tag=True):
    """The reset code is wrong, used or expired, or no enabled account has the email. The client isn't told which."""


class AccountDisabled(msgspec.Struct, frozen=True, tag=True):
    """The account is disabled, so a new password would be of no use to its owner. Nothing was changed."""


class ResetCodeMade(msgspec.Struct, frozen=True, tag=True):
    """A code by which the account's owner can set a new password, once, until `expires_at` (UTC milliseconds)."""

    code: str
    expires_at: int

    def __repr__(self) -> str:
        return f"ResetCodeMade(expires_at={self.expires_at})"


class SessionOver(msgspec.Struct, frozen=True, tag=True):
    """The sign-in is too long ago for another token, or was ended: by signing out everywhere, or disabling."""


class AccountChanged(msgspec.Struct, frozen=True, tag=True):
    """The account has what was asked for, by this call or an earlier one. `account` is its present state."""

    account: Account

    def __repr__(self) -> str:
        return f"AccountChanged(account id={self.account.id!r})"


class LastAdmin(msgspec.Struct, frozen=True, tag=True):
    """The account is the last admin's that isn't disabled, so it stays as it is."""


CreationOutcome = Registered | EmailTaken | InvalidField | Busy
RegistrationOutcome = CreationOutcome | TooManyTries
LoginOutcome = LoggedIn | WrongCredentials | InvalidField | TooManyTries | Busy
PasswordOutcome = PasswordChanged | InvalidField | AccountNotFound | SessionOver | TooManyTries | Busy
ResetOutcome = PasswordChanged | WrongCode | InvalidField | TooManyTries | Busy
ResetCodeOutcome = ResetCodeMade | AccountNotFound | AccountDisabled
ChangeOutcome = AccountChanged | AccountNotFound | LastAdmin
PromotionOutcome = Promoted | AccountNotFound | InvalidField
