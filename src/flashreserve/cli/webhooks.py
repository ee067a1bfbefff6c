"""`flashreserve webhooks`: adds, tests and manages webhook endpoints."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final, TypeVar, assert_never

import rich_click as click
from msgspec import UNSET

from flashreserve.bootstrap import Webhooks, key_ring, open_books, open_store, open_webhooks, steady_clock
from flashreserve.cli.attempt_words import said_of
from flashreserve.cli.failures import FailedError, InputError
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.option_values import instant_value, option_value
from flashreserve.core import limits
from flashreserve.core.endpoints import DeliveryBacklog, DisabledWhy, Endpoint, LoggedAttempt
from flashreserve.core.events import BY_COMMAND_LINE, Event, EventType
from flashreserve.core.instants import format_instant
from flashreserve.core.outcomes import Invalid, NotFound
from flashreserve.core.words import counted
from flashreserve.http import fields
from flashreserve.logs import printable
from flashreserve.service.webhooks import EndpointMade, EndpointsFull
from flashreserve.settings import Settings
from flashreserve.webhooks.subscriptions import ALL, read_types, written_types

_ROW: Final = "{:36}  {:8}  {:24}  {:24}  {}"
_ATTEMPT: Final = "{:24}  {:46}  {:>3}  {:>6}  {:>6}  {:9}  {}"
_FIELD: Final = "{:9}  {}"
T = TypeVar("T")


@click.group()
def webhooks() -> None:
    """Endpoints that events are delivered to."""


@webhooks.command()
@click.argument("url")
@click.option(
    "--event",
    "names",
    metavar="TYPE",
    multiple=True,
    help="Deliver only events of this type, such as reservation.confirmed; several times for several.",
)
@with_settings
def add(settings: Settings, url: str, names: tuple[str, ...]) -> None:
    """Add an endpoint, and print its secret. It is shown this once."""
    types = _types(names or (ALL,))
    match _run(settings, lambda opened: opened.endpoints.add(url, types, BY_COMMAND_LINE)):
        case EndpointMade(endpoint, secret):
            click.echo(f"Added {endpoint.id}. Events are delivered to it from now on.")
            click.echo(f"Secret: {secret}")
        case Invalid(_, message):
            raise InputError(f"URL: {message}")
        case EndpointsFull(most):
            raise FailedError(f"there are {most} endpoints, as many as there may be; remove those that aren't used")
        case outcome:
            assert_never(outcome)


def _types(names: tuple[str, ...]) -> tuple[EventType, ...]:
    types = read_types(names)
    if isinstance(types, Invalid):
        raise InputError(f"--event: {types.message}")
    return types


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@click.option("--url", metavar="URL", help="Deliver to this URL from now on, also what waits.")
@click.option(
    "--event",
    "names",
    metavar="TYPE",
    multiple=True,
    help="Deliver only events of this type, and of no other than those named; several times for several; '*' for all.",
)
@with_settings
def edit(settings: Settings, endpoint_id: str, url: str | None, names: tuple[str, ...]) -> None:
    """Change the URL or the types of an endpoint. Its secret, and what isn't named, stay as they are."""
    id_ = _id(endpoint_id)
    if url is None and not names:
        raise InputError("name what to change: --url, --event or both")
    new_url, types = UNSET if url is None else url, _types(names) if names else UNSET
    edited = _run(settings, lambda opened: opened.endpoints.edit(id_, BY_COMMAND_LINE, new_url, types))
    if isinstance(edited, Invalid):
        raise InputError(f"--url: {edited.message}")
    endpoint = _found(edited).endpoint
    click.echo(f"Changed {id_}. It gets {', '.join(written_types(endpoint.types))} at {printable(endpoint.url)}")


@webhooks.command("list")
@with_settings
def list_(settings: Settings) -> None:
    """Print all endpoints, oldest first, without their secrets."""
    click.echo(_ROW.format("ID", "STATE", "SINCE", "EVENTS", "URL"))
    for endpoint in _run(settings, lambda opened: opened.endpoints.endpoints()):
        state, since = _state(endpoint)
        events = ",".join(written_types(endpoint.types))
        click.echo(_ROW.format(endpoint.id, state, _instant(since), events, printable(endpoint.url)))


def _state(endpoint: Endpoint) -> tuple[str, int | None]:
    """The endpoint's state, and since when it is so."""
    if endpoint.disabled_at is not None:
        return "disabled", endpoint.disabled_at
    if endpoint.failing_since is not None:
        return "failing", endpoint.failing_since
    return "good", None


def _instant(ms: int | None) -> str:
    return "-" if ms is None else format_instant(ms)


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@with_settings
def show(settings: Settings, endpoint_id: str) -> None:
    """Print one endpoint, and how much waits for it."""
    id_ = _id(endpoint_id)

    async def read(opened: Webhooks) -> tuple[Endpoint | NotFound, DeliveryBacklog]:
        return await opened.endpoints.endpoint(id_), await opened.endpoints.backlog(id_)

    found, backlog = _run(settings, read)
    endpoint = _found(found)
    for name, value in _shown(endpoint, backlog):
        click.echo(_FIELD.format(name, printable(value)))


def _shown(endpoint: Endpoint, backlog: DeliveryBacklog) -> Iterator[tuple[str, str]]:
    yield "id", endpoint.id
    yield "url", endpoint.url
    yield "events", ", ".join(written_types(endpoint.types))
    yield "created", f"{format_instant(endpoint.created_at)} by {endpoint.created_by}"
    yield "state", _state_in_words(endpoint)
    due = "" if backlog.oldest_due is None else f", due since or at {format_instant(backlog.oldest_due)}"
    yield "backlog", f"{counted(backlog.groups, 'subject')} with events to deliver{due}"


def _state_in_words(endpoint: Endpoint) -> str:
    failing = ""
    if endpoint.failing_since is not None:
        failing = f"{counted(endpoint.failures, 'failure')} since {format_instant(endpoint.failing_since)}"
    if endpoint.disabled_at is None or endpoint.disabled_why is None:
        return failing or "good"
    return f"disabled since {format_instant(endpoint.disabled_at)}: {_why(endpoint.disabled_why)}" + (
        f"; {failing}" if failing else ""
    )


def _why(why: DisabledWhy) -> str:
    match why:
        case DisabledWhy.ADMIN:
            return "by an admin"
        case DisabledWhy.GONE:
            return "it answered 410"
        case DisabledWhy.FAILING:
            return "it only failed for five days"
        case _:
            assert_never(why)


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@with_settings
def test(settings: Settings, endpoint_id: str) -> None:
    """Send an event to an endpoint now, and say how it went. Exit code 1 if it wasn't delivered."""
    id_ = _id(endpoint_id)
    attempt = _run(settings, lambda opened: opened.endpoints.test(id_))
    if isinstance(attempt, Invalid):
        raise FailedError(f"ID: {attempt.message}")
    found = _found(attempt)
    if not found.delivered:
        raise FailedError(said_of(found))
    click.echo(said_of(found))


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@with_settings
def rotate(settings: Settings, endpoint_id: str) -> None:
    """Give an endpoint a new secret, and print it. It is shown this once; the old one signs too for a day."""
    id_ = _id(endpoint_id)
    made = _found(_run(settings, lambda opened: opened.endpoints.rotate(id_, BY_COMMAND_LINE)))
    click.echo(f"Secret: {made.secret}")
    click.echo(f"The old secret signs too until {_instant(made.endpoint.old_until)}.")


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@with_settings
def disable(settings: Settings, endpoint_id: str) -> None:
    """Deliver nothing to an endpoint until it is enabled."""
    id_ = _id(endpoint_id)
    _found(_run(settings, lambda opened: opened.endpoints.disable(id_, BY_COMMAND_LINE)))
    click.echo(f"Disabled {id_}.")


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@click.option(
    "--replay-from",
    "since",
    metavar="INSTANT",
    help="Deliver all events since then (RFC 3339, with a time zone), those again that were delivered already.",
)
@with_settings
def enable(settings: Settings, endpoint_id: str, since: str | None) -> None:
    """Deliver to a disabled endpoint again: from now on, or what happened since an instant."""
    id_, replay_from = _id(endpoint_id), instant_value(since, "--replay-from")
    done = _run(settings, lambda opened: opened.endpoints.enable(id_, replay_from, BY_COMMAND_LINE))
    if isinstance(done, Invalid):
        raise InputError(f"--replay-from: {done.message}")
    _found(done)
    start = "from now on" if replay_from is None else f"since {format_instant(replay_from)}"
    click.echo(f"Enabled {id_}. Events {start} are delivered.")


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@with_settings
def remove(settings: Settings, endpoint_id: str) -> None:
    """Remove an endpoint. Nothing is sent to it any more."""
    id_ = _id(endpoint_id)
    _found(_run(settings, lambda opened: opened.endpoints.remove(id_, BY_COMMAND_LINE)))
    click.echo(f"Removed {id_}.")


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@click.option(
    "--limit",
    type=click.IntRange(1, limits.PAGE_MAX),
    default=fields.PAGE_DEFAULT,
    show_default=True,
    help="Print at most so many.",
)
@with_settings
def deliveries(settings: Settings, endpoint_id: str, limit: int) -> None:
    """Print the last attempts to deliver to an endpoint, newest first."""
    id_ = _id(endpoint_id)
    attempts = _found(_run(settings, lambda opened: opened.endpoints.attempts(id_, None, limit)))
    click.echo(_ATTEMPT.format("TIME", "EVENT", "TRY", "STATUS", "MS", "RESULT", "ERROR"))
    for attempt in attempts:
        click.echo(_attempt_row(attempt))


def _attempt_row(attempt: LoggedAttempt) -> str:
    status = "-" if attempt.status is None else attempt.status
    time, error = format_instant(attempt.at), attempt.error or "-"
    return _ATTEMPT.format(
        time, attempt.event_id, attempt.number, status, attempt.duration_ms, attempt.result.value, error
    )


@webhooks.command()
@click.argument("endpoint_id", metavar="ID")
@click.argument("event_id", metavar="EVENT_ID")
@with_settings
def resend(settings: Settings, endpoint_id: str, event_id: str) -> None:
    """Send an event to an endpoint once more, beside all other deliveries."""
    id_ = _id(endpoint_id)
    wanted = str(option_value(event_id, fields.EventId, "EVENT_ID")).lower()
    sent = _run(settings, lambda opened: opened.endpoints.resend(id_, wanted))
    if isinstance(sent, Invalid):
        raise InputError(f"{'ID' if sent.field == 'id' else 'EVENT_ID'}: {sent.message}")
    if isinstance(sent, NotFound) and sent.what == "event":
        raise FailedError("EVENT_ID: the log has no such event; `flashreserve webhooks deliveries` shows some")
    event: Event = _found(sent)
    click.echo(f"A running server sends {event.id} ({event.type}) within moments; `flashreserve deliver` does so now.")


def _id(text: str) -> str:
    return str(option_value(text, fields.Id, "ID")).lower()


def _found(outcome: T | NotFound) -> T:
    if isinstance(outcome, NotFound):
        raise FailedError("ID: there is no such endpoint; `flashreserve webhooks list` shows all")
    return outcome


def _run(settings: Settings, work: Callable[[Webhooks], Awaitable[T]]) -> T:
    return interrupts.run(_with_webhooks(settings, work))


async def _with_webhooks(settings: Settings, work: Callable[[Webhooks], Awaitable[T]]) -> T:
    store = await open_store(settings, create=False)
    async with (
        open_books(store, clock=steady_clock(settings)) as books,
        open_webhooks(settings, store, key_ring(settings, create=True), books.clock) as opened,
    ):
        return await work(opened)
