"""`flashreserve trail`: prints who changed what, and when."""

import sys
from collections.abc import Callable
from typing import Final

import msgspec
import rich_click as click

from flashreserve.bootstrap import open_books, open_store_to_read, steady_clock
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.option_values import instant_value, option_value
from flashreserve.core.events import Event, EventType
from flashreserve.core.instants import format_instant
from flashreserve.http import fields
from flashreserve.http.event_schemas import EventView
from flashreserve.http.event_views import event_view
from flashreserve.logs import printable
from flashreserve.service.events import EventService
from flashreserve.service.export import cell, csv_bytes
from flashreserve.settings import Settings
from flashreserve.stores.filters import EventFilter

TRAIL_COLUMNS: Final = (
    "timestamp",
    "type",
    "subjectKind",
    "subjectId",
    "subjectExternalId",
    "sequence",
    "actorKind",
    "actorId",
    "data",
)
_ROW: Final = "{:24}  {:22}  {:36}  {:>8}  {:45}  {}"


@click.command()
@click.option("--subject", help="Only events of the reservation, product, account, API key or endpoint with this id.")
@click.option("--actor", help="Only events by the customer, account or API key with this id.")
@click.option(
    "--type",
    "types",
    type=click.Choice([type_.value for type_ in EventType]),
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, such as product.edited; several times for several.",
)
@click.option("--from", "since", help="Only events at this time (RFC 3339, with a time zone) or later.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a JSON object, one a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV for spreadsheets.")
@with_settings
def trail(
    settings: Settings,
    subject: str | None,
    actor: str | None,
    types: tuple[str, ...],
    since: str | None,
    as_json: bool,  # noqa: FBT001 - click passes by name
    as_csv: bool,  # noqa: FBT001
) -> None:
    """Print who changed what, and when, oldest first.

    The first event of a reservation is its grant; as a rule it is shown only with --subject. On the clustered engine,
    events appear within a second.
    """
    if as_json and as_csv:
        raise click.UsageError("expected --json or --csv, not both")
    subject_id = option_value(subject, fields.SubjectId, "--subject")
    where = EventFilter(
        subject_id=None if subject_id is None else subject_id.lower(),
        actor_id=option_value(actor, fields.CustomerId, "--actor"),
        types=frozenset(map(EventType, types)) or None,
        since=instant_value(since, "--from"),
    )
    if as_csv:
        sys.stdout.buffer.write(csv_bytes([TRAIL_COLUMNS]))
    elif not as_json:
        click.echo(_ROW.format("TIME", "TYPE", "SUBJECT", "SEQUENCE", "ACTOR", "DATA"))
    interrupts.run(_print(settings, where, _write_csv if as_csv else _echo_json if as_json else _echo_row))
    sys.stdout.buffer.flush()


async def _print(settings: Settings, where: EventFilter, write: Callable[[list[Event]], None]) -> None:
    async with open_books(await open_store_to_read(settings), clock=steady_clock(settings)) as books:
        async for page in EventService(books.store).whole_trail(where):
            write(page)


def _echo_json(events: list[Event]) -> None:
    for event in events:
        click.echo(msgspec.json.encode(event_view(event)).decode())


def _echo_row(events: list[Event]) -> None:
    for event in events:
        actor = event.actor.kind.value if event.actor.id is None else f"{event.actor.kind.value} {event.actor.id}"
        time = format_instant(event.at)
        view = event_view(event)
        click.echo(_ROW.format(time, event.type, event.subject_id, event.n, printable(actor), printable(_data(view))))


def _write_csv(events: list[Event]) -> None:
    sys.stdout.buffer.write(csv_bytes(_csv_row(event_view(event), event.type.value) for event in events))


def _csv_row(view: EventView, type_: str) -> tuple[str, ...]:
    return (
        view.timestamp,
        type_,
        view.subject.kind,
        view.subject.id,
        cell(view.subject.external_id),
        str(view.sequence),
        view.actor.kind,
        cell(view.actor.id),
        cell(_data(view)),
    )


def _data(view: EventView) -> str:
    return msgspec.json.encode(view.data).decode()
