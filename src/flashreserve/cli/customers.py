"""`flashreserve customers`: exports and erases what is stored about a person."""

from typing import assert_never

import rich_click as click

from flashreserve.bootstrap import open_books, open_store, open_store_to_read, steady_clock
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.core import customers as ids
from flashreserve.core.words import counted
from flashreserve.http.customer_export import customer_export
from flashreserve.service.persons import REFUSED_AFTER_S, AdminKept, Erased, ErasureUnfinished, PersonService
from flashreserve.settings import Settings


@click.group()
def customers() -> None:
    """Export or erase what is stored about a person."""


@customers.command()
@click.argument("customer_id", metavar="ID")
@with_settings
def export(settings: Settings, customer_id: str) -> None:
    """Print all that is stored about the customer with this id, as JSON: the account and the reservations."""
    interrupts.run(_export(settings, _known(customer_id)))


async def _export(settings: Settings, customer_id: str) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        persons = PersonService(books.store, books.reservations, books.clock)
        if not await persons.is_stored(customer_id):
            raise _nothing_stored(customer_id)
        async for line in customer_export(customer_id, persons, books.reservations):
            click.echo(line)


@customers.command()
@click.argument("customer_id", metavar="ID")
@with_settings
def erase(settings: Settings, customer_id: str) -> None:
    """Erase the customer with this id: cancel open holds, delete the account, and forget who made the reservations.

    Stock and sales stay as they are. The reservations keep a pseudonym, which nothing leads back to the person.
    """
    match interrupts.run(_erase(settings, _known(customer_id))):
        case Erased(account, reservations):
            click.echo(f"Erased: {'an account' if account else 'no account'}, {counted(reservations, 'reservation')}.")
        case AdminKept():
            raise FailedError("ID: the account is an admin's; run `flashreserve accounts demote` first")
        case ErasureUnfinished(left):
            raise FailedError(
                f"{left:,} or more reservations are still being changed; run the same command again in a minute"
            )
        case outcome:
            assert_never(outcome)


async def _erase(settings: Settings, customer_id: str) -> Erased | AdminKept | ErasureUnfinished:
    store = await open_store(settings, create=False)
    async with open_books(store, clock=steady_clock(settings)) as books:
        persons = PersonService(store, books.reservations, books.clock)
        if not await persons.is_stored(customer_id) and not await persons.was_erased(customer_id):
            raise _nothing_stored(customer_id)
        click.echo(f"Waiting {REFUSED_AFTER_S:.0f} s, until all processes refuse the customer's tokens …", err=True)
        return await persons.erase(customer_id)


def _nothing_stored(customer_id: str) -> FailedError:
    hint = "`flashreserve accounts list` and `flashreserve reservations export` show the ids"
    if ":" not in customer_id and not ids.may_be_of_account(customer_id):
        hint = "the id of an issuer's customer is `<issuer's name>:<sub>`"
    return FailedError(f"nothing is stored about {customer_id}; {hint}")


def _known(customer_id: str) -> str:
    if not ids.is_customer_id(customer_id):
        raise InputError(f"ID: expected {ids.EXPECTED}")
    return customer_id
