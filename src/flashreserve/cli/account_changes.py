"""`flashreserve accounts`: lists and shows accounts, and changes their rights."""

from collections.abc import Awaitable, Callable
from typing import Final, assert_never

import rich_click as click

from flashreserve.auth.emails import normalised_email
from flashreserve.auth.outcomes import (
    AccountChanged,
    AccountDisabled,
    AccountNotFound,
    ChangeOutcome,
    InvalidField,
    LastAdmin,
    ResetCodeMade,
)
from flashreserve.bootstrap import Core, key_ring, open_core, open_store
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.core import limits
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Account
from flashreserve.service.account_changes import AccountChanges
from flashreserve.settings import Settings

_ROW: Final = "{:36}  {:8}  {:8}  {:24}  {}"
_KEPT_BY_THE_SHOP: Final = "the accounts of the shop's own customers, such as shop:42, are kept by the shop"
_Change = Callable[[AccountChanges, str], Awaitable[ChangeOutcome]]


@click.group()
def accounts() -> None:
    """List accounts, and change their rights."""


@accounts.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Print all accounts, oldest first."""
    click.echo(_ROW.format("ID", "ROLE", "STATE", "MADE", "E-MAIL"))
    interrupts.run(_list(settings))


async def _list(settings: Settings) -> None:
    store = await open_store(settings, create=False)
    async with open_core(settings, store, key_ring(settings, create=True)) as core:
        after: str | None = None
        while page := await core.account_changes.accounts(after, limits.PAGE_MAX):
            click.echo("\n".join(map(_row, page)))
            after = page[-1].id


def _row(account: Account) -> str:
    state = "good" if account.disabled_at is None else "disabled"
    return _ROW.format(account.id, account.role.value, state, format_instant(account.created_at), account.email)


@accounts.command()
@click.argument("who", metavar="EMAIL|ID")
@with_settings
def show(settings: Settings, who: str) -> None:
    """Print one account, found by its e-mail address or its id."""

    async def run() -> Account:
        store = await open_store(settings, create=False)
        async with open_core(settings, store, key_ring(settings, create=True)) as core:
            if "@" in who:
                return await _account(core, who)
            found = await core.account_changes.account(who.lower())
            if isinstance(found, AccountNotFound):
                raise FailedError("id: there is no account with it; an e-mail address has an @")
            return found

    click.echo(_shown(interrupts.run(run())))


def _shown(account: Account) -> str:
    """All that an operator may see of the account, one field a line."""
    times = {"made": account.created_at, "disabled": account.disabled_at, "signed out": account.signed_out_at}
    fields = {"id": account.id, "e-mail": account.email, "role": account.role.value}
    fields |= {name: "-" if ms is None else format_instant(ms) for name, ms in times.items()}
    return "\n".join(f"{name + ':':12}{value}" for name, value in fields.items())


@accounts.command()
@click.argument("email")
@with_settings
def disable(settings: Settings, email: str) -> None:
    """Let the account sign in no more, and refuse its tokens within 10 seconds."""
    _run(settings, email, AccountChanges.disable, "is disabled")


@accounts.command()
@click.argument("email")
@with_settings
def enable(settings: Settings, email: str) -> None:
    """Let a disabled account sign in again."""
    _run(settings, email, AccountChanges.enable, "may sign in")


@accounts.command()
@click.argument("email")
@with_settings
def promote(settings: Settings, email: str) -> None:
    """Make the account an admin's."""
    _run(settings, email, AccountChanges.promote, "is an admin")


@accounts.command()
@click.argument("email")
@with_settings
def demote(settings: Settings, email: str) -> None:
    """Make the account a customer's, and refuse its tokens within 10 seconds."""
    _run(settings, email, AccountChanges.demote, "is a customer")


@accounts.command("sign-out")
@click.argument("email")
@with_settings
def sign_out(settings: Settings, email: str) -> None:
    """Refuse all tokens of the account that were issued so far, within 10 seconds."""
    _run(settings, email, AccountChanges.sign_out_everywhere, "is signed out everywhere")


def _run(settings: Settings, email: str, change: _Change, state: str) -> None:
    async def run() -> Account:
        store = await open_store(settings, create=False)
        async with open_core(settings, store, key_ring(settings, create=True)) as core:
            account = await _account(core, email)
            match await change(core.account_changes, account.id):
                case AccountChanged(after):
                    return after
                case AccountNotFound():
                    raise no_account(account.email)
                case LastAdmin():
                    raise FailedError("email: this is the last admin; promote another account first")
                case outcome:
                    assert_never(outcome)

    account = interrupts.run(run())
    click.echo(f"{account.email} {state} now (id {account.id}).")


def no_account(email: str, field: str = "email") -> FailedError:
    """The error of an address without an account. `field` is the argument or option that has the address."""
    return FailedError(f"{field}: there is no account with {email}; `flashreserve accounts list` shows all")


async def _account(core: Core, email: str) -> Account:
    known = normalised_email(email)
    if isinstance(known, InvalidField):
        kept = f"; {_KEPT_BY_THE_SHOP}" if ":" in email else ""
        raise InputError(f"{known.field}: {known.message}{kept}")
    account = await core.books.store.account_by_email(known)
    if account is None:
        raise no_account(known)
    return account


@accounts.command()
@click.argument("email")
@with_settings
def reset(settings: Settings, email: str) -> None:
    """Print a code by which the account's owner can set a new password, once, within half an hour."""

    async def run() -> str:
        store = await open_store(settings, create=False)
        async with open_core(settings, store, key_ring(settings, create=True)) as core:
            account = await _account(core, email)
            match await core.account_changes.make_reset_code(account.id):
                case ResetCodeMade(code):
                    return code
                case AccountNotFound():
                    raise no_account(account.email)
                case AccountDisabled():
                    enabling = f"flashreserve accounts enable {account.email}"
                    raise FailedError(f"{account.email} is disabled; enable it first: {enabling}")
                case outcome:
                    assert_never(outcome)

    click.echo(interrupts.run(run()))
