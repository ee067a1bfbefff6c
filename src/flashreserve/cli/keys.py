"""`flashreserve keys`: makes, lists and revokes API keys."""

from datetime import timedelta
from typing import Final, assert_never

import rich_click as click

from flashreserve.auth.outcomes import InvalidField
from flashreserve.bootstrap import key_ring, open_core, open_store
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.core import names
from flashreserve.core.instants import format_instant
from flashreserve.core.model import ApiKey, Scope
from flashreserve.core.outcomes import Invalid
from flashreserve.logs import printable
from flashreserve.service.access import KeyMade, KeysFull
from flashreserve.settings import Settings

_ROW: Final = "{:32}  {:36}  {:24}  {:24}  {:9}  {}"
_DAYS_MAX: Final = 3_650


@click.group()
def keys() -> None:
    """API keys for programs of the shop's."""


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What the key may do; several times for several.",
)
@click.option(
    "--expires",
    "days",
    type=click.IntRange(1, _DAYS_MAX),
    metavar="DAYS",
    help="After so many days the key is refused. Without it, it is good until it is revoked.",
)
@with_settings
def create(settings: Settings, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key and print it. It is shown this once: the database has only its hash."""
    parsed = names.parse_name(name)
    if isinstance(parsed, Invalid):
        raise InputError(f"name: {parsed.message}")
    click.echo(interrupts.run(_create(settings, parsed, [Scope(scope) for scope in scopes], days)))


async def _create(settings: Settings, name: str, scopes: list[Scope], days: int | None) -> str:
    store = await open_store(settings, create=False)
    async with open_core(settings, store, key_ring(settings, create=True)) as core:
        life_ms = None if days is None else timedelta(days=days) // timedelta(milliseconds=1)
        expires_at = None if life_ms is None else core.books.clock.now_ms() + life_ms
        match await core.access.create_key(name, scopes, expires_at, None):
            case KeyMade(_, text):
                return text
            case InvalidField(field, message):
                raise InputError(f"{field}: {message}")
            case KeysFull(most):
                raise FailedError(f"there are {most} keys, as many as there may be; revoke those that aren't used")
            case outcome:
                assert_never(outcome)


@keys.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Print all keys, oldest first, without their secrets."""
    click.echo(_ROW.format("ID", "SCOPES", "EXPIRES", "LAST USED", "STATE", "NAME"))
    keys, now_ms = interrupts.run(_keys(settings))
    for key in keys:
        click.echo(_row(key, now_ms))


async def _keys(settings: Settings) -> tuple[list[ApiKey], int]:
    store = await open_store(settings, create=False)
    async with open_core(settings, store, key_ring(settings, create=True)) as core:
        return await core.access.keys(), core.books.clock.now_ms()


def _row(key: ApiKey, now_ms: int) -> str:
    is_over = key.expires_at is not None and key.expires_at <= now_ms
    return _ROW.format(
        key.id,
        ", ".join(key.scopes),
        _instant(key.expires_at),
        _instant(key.last_used_at),
        "revoked" if key.revoked_at is not None else "expired" if is_over else "good",
        printable(key.name),
    )


def _instant(ms: int | None) -> str:
    return "-" if ms is None else format_instant(ms)


@keys.command()
@click.argument("key_id", metavar="ID")
@with_settings
def revoke(settings: Settings, key_id: str) -> None:
    """Revoke a key. All processes refuse it within 10 seconds."""
    if not interrupts.run(_revoke(settings, key_id.lower())):
        raise FailedError("ID: there is no such key; `flashreserve keys list` shows all")
    click.echo(f"Revoked {printable(key_id)}.")


async def _revoke(settings: Settings, key_id: str) -> bool:
    store = await open_store(settings, create=False)
    async with open_core(settings, store, key_ring(settings, create=True)) as core:
        return await core.access.revoke_key(key_id)
