"""`flashreserve admin` and `flashreserve token`."""

import sys
from typing import Final

import rich_click as click

from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import (
    AccountNotFound,
    Busy,
    CreationOutcome,
    EmailTaken,
    InvalidField,
    Promoted,
    PromotionOutcome,
    Registered,
)
from flashreserve.auth.passwords import new_password
from flashreserve.auth.tokens import Tokens
from flashreserve.bootstrap import key_ring, open_core, open_store, open_store_to_read
from flashreserve.cli.account_changes import no_account
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.clock import SystemClock, SystemIds
from flashreserve.core.customers import may_be_of_account
from flashreserve.core.model import Account, Role
from flashreserve.settings import Settings

COUNT_MAX: Final = 1_000_000
"""Tokens in one run."""

_BATCH: Final = 1_000
_PASSWORD_LINE_MAX: Final = 4_096


@click.group()
def admin() -> None:
    """Accounts that may manage products."""


@admin.command()
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--promote", is_flag=True, help="Make an existing account an admin's; its password stays.")
@with_settings
def create(settings: Settings, email: str, password_stdin: bool, promote: bool) -> None:  # noqa: FBT001
    """Make an admin's account. The password is asked for."""
    if promote:
        if password_stdin:
            raise click.UsageError("--password-stdin: not with --promote, which leaves the password as it is")
        account = interrupts.run(_promote(settings, email))
        click.echo(f"{account.email} is an admin now (id {account.id}).")
        return
    _check(normalised_email(email))
    password = _password_line() if password_stdin else _ask_password()
    _check(new_password(password))
    account = interrupts.run(_create(settings, email, password))
    click.echo(f"Made the admin {account.email} (id {account.id}).")


def _check(valid: str | InvalidField) -> None:
    if isinstance(valid, InvalidField):
        raise InputError(f"{valid.field}: {valid.message}")


def _password_line() -> str:
    line = sys.stdin.buffer.readline(_PASSWORD_LINE_MAX)
    if not line:
        raise InputError("password: expected a line on standard input, which was empty")
    try:
        # Some editors and shells put a byte order mark first.
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("password: expected UTF-8 text on standard input") from None


def _ask_password() -> str:
    if not sys.stdin.isatty():
        raise InputError("password: there is no terminal to ask on; use --password-stdin")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


async def _create(settings: Settings, email: str, password: str) -> Account:
    keys = key_ring(settings, create=True)
    async with open_core(settings, await open_store(settings, create=True), keys) as core:
        return _account(await core.accounts.create_admin(email, password), email)


async def _promote(settings: Settings, email: str) -> Account:
    store = await open_store(settings, create=False)  # First: in a wrong directory no key is made.
    async with open_core(settings, store, key_ring(settings, create=True)) as core:
        return _account(await core.accounts.promote(email), email)


def _account(outcome: CreationOutcome | PromotionOutcome, email: str) -> Account:
    match outcome:
        case Registered(account) | Promoted(account):
            return account
        case InvalidField(field, message):
            raise InputError(f"{field}: {message}")
        case EmailTaken():
            raise FailedError("email: there is an account with it already; --promote makes it an admin's")
        case AccountNotFound():
            raise no_account(email)
        case Busy():
            raise FailedError("passwords can't be hashed now, for want of memory or threads; try again")


@click.command()
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.CUSTOMER.value,
    show_default=True,
    help="The role of the tokens' owners. An admin's rights are those of an account, so admin needs --email.",
)
@click.option("--count", type=click.IntRange(1, COUNT_MAX), default=1, show_default=True, help="How many tokens.")
@click.option("--email", help="All tokens for this account.")
@click.option("--user-id", help="All tokens for this user id (UUID) instead of a new one for each.")
@with_settings
def token(settings: Settings, role: str, count: int, email: str | None, user_id: str | None) -> None:
    """Print signed tokens for load tests, one a line. Refused in production."""
    if settings.production:
        raise InputError("FLASHRESERVE_ENV: expected development; in production only a sign-in makes tokens")
    if email is not None and user_id is not None:
        raise click.UsageError("--user-id: not with --email, which names the user already")
    if role == Role.ADMIN and email is None:
        raise click.UsageError("--email: expected with --role admin, since the rights are those of an account")
    if user_id is not None and not may_be_of_account(user_id):
        raise click.BadParameter("expected a UUID such as 0199c7e0-0000-7000-8000-000000000000", param_hint="--user-id")
    tokens = Tokens(key_ring(settings, create=False), ttl_s=settings.token_s)
    owner = user_id.lower() if user_id else None if email is None else _owner(settings, email, Role(role))
    ids, now_ms = SystemIds(), SystemClock().now_ms()
    for done in range(0, count, _BATCH):
        batch = range(min(_BATCH, count - done))
        click.echo("\n".join(tokens.issue(owner or ids.new(), Role(role), now_ms).token for _ in batch))


def _owner(settings: Settings, email: str, role: Role) -> str:
    """The id of the account that the tokens are for."""
    known = normalised_email(email)
    if isinstance(known, InvalidField):
        raise InputError(f"--{known.field}: {known.message}")
    account = interrupts.run(_account_by_email(settings, known))
    if account is None:
        raise no_account(known, "--email")
    if account.role is not role:
        raise FailedError(f"--email: the account's role is {account.role.value}, not {role.value}")
    return account.id


async def _account_by_email(settings: Settings, email: str) -> Account | None:
    store = await open_store_to_read(settings)
    try:
        return await store.account_by_email(email)
    finally:
        await store.close()
