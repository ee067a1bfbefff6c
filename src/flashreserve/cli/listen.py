"""`flashreserve listen`: shows events as they happen, and forwards them to a program that is being developed."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from typing import Final, assert_never

import msgspec
import rich_click as click

from flashreserve.bootstrap import (
    LOCAL_DESTINATIONS,
    database_identity,
    key_ring,
    open_forwarder,
    open_live_events,
)
from flashreserve.cli.event_lines import event_line
from flashreserve.cli.failures import FailedError, InputError, sentence
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.clock import SystemClock
from flashreserve.core.events import Event, EventType
from flashreserve.core.outcomes import Invalid
from flashreserve.core.words import counted
from flashreserve.http.event_views import event_view
from flashreserve.logs import printable
from flashreserve.service.forwarder import TRIES_MAX, ForwardAttempt, Forwarder
from flashreserve.service.live_events import LiveEvents
from flashreserve.settings import Settings
from flashreserve.side_by_side import end_all
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt
from flashreserve.webhooks.endpoint_urls import read_endpoint_url

LOOK_EVERY_S: Final = 0.25
AWAY_EVERY_S: Final = 1.0
"""The time before the next look while the database doesn't answer."""

WAITING_MAX: Final = 10_000
"""Events that wait to be forwarded. While there are so many, no more are read."""

BEHIND_MIN: Final = 100
"""From so many waiting events on, the command warns that it falls behind."""


@click.command()
@click.option("--forward", "url", metavar="URL", help="POST each event to this URL too, as a delivery to an endpoint.")
@click.option(
    "--type",
    "types",
    type=click.Choice([type_.value for type_ in EventType]),
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, such as reservation.confirmed; several times for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a JSON object, one a line.")
@with_settings
def listen(
    settings: Settings,
    url: str | None,
    types: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click passes by name
) -> None:
    """Show events as they happen, from now on, until Ctrl-C.

    With --forward they are also sent to a program on your machine, signed as deliveries are. Forwarding is for
    development: it is refused in production, and an event is tried a few times only.
    """
    target = None if url is None else _target(settings, url)
    wanted = [EventType(each) for each in types]
    interrupts.run(_Listening(settings, wanted, _json if as_json else event_line).run(target))


def _target(settings: Settings, url: str) -> str:
    """The URL to forward to.

    Raises:
        InputError: it is invalid, or nothing may be forwarded.
    """
    if settings.production:
        raise InputError("FLASHRESERVE_ENV: expected development with --forward; in production add an endpoint instead")
    if not url.lower().startswith(("http://", "https://")):
        raise InputError("--forward: expected a URL such as http://localhost:4000/hook")
    found = read_endpoint_url(url, LOCAL_DESTINATIONS)
    if isinstance(found, Invalid):
        raise InputError(f"--forward: {found.message}")
    return found.text


def _json(event: Event) -> str:
    return msgspec.json.encode(event_view(event)).decode()


class _Listening:
    """One run of the command."""

    def __init__(self, settings: Settings, types: list[EventType], line: Callable[[Event], str]) -> None:
        self._settings = settings
        self._types = types
        self._line = line
        self._clock = SystemClock()
        self._away = False
        self._behind = 0
        """The number of waiting events in the last warning; 0 if there was none since all were done."""

    async def run(self, url: str | None) -> None:
        """Show events until cancelled, and forward them to the URL if there is one."""
        keys = None if url is None else key_ring(self._settings, create=False)
        identity = database_identity(self._settings)
        async with AsyncExitStack() as stack:
            live = await stack.enter_async_context(open_live_events(self._settings, self._types))
            _say("Listening for events from now on. Ctrl-C ends it.")
            if not self._settings.events_grants and (not self._types or EventType.RESERVATION_CREATED in self._types):
                _say("Grants of holds aren't shown: servers log them only with FLASHRESERVE_EVENTS_GRANTS=on.")
            if url is None or keys is None:
                await self._follow(live, None, identity)
                return
            forwarder = await stack.enter_async_context(open_forwarder(url, keys, _tell))
            _say(f"Forwarding them to {url}. The secret of the receiver is {forwarder.secret}")
            await self._follow_and_forward(live, forwarder, identity)

    async def _follow_and_forward(self, live: LiveEvents, forwarder: Forwarder, identity: str) -> None:
        tasks = (
            asyncio.create_task(self._follow(live, forwarder, identity)),
            asyncio.create_task(forwarder.run()),
        )
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()  # Raises: both run until they are cancelled.
        finally:
            await end_all(*tasks)
            if forwarder.waiting:
                _say(f"Not forwarded: {counted(forwarder.waiting, 'event')}.")

    async def _follow(self, live: LiveEvents, forwarder: Forwarder | None, identity: str) -> None:
        while True:
            if database_identity(self._settings) != identity:
                raise FailedError("the database file was removed or replaced; start `flashreserve listen` again")
            if forwarder is None or forwarder.waiting < WAITING_MAX:
                pause_s = await self._look(live, forwarder)
            else:
                pause_s = LOOK_EVERY_S
            await asyncio.sleep(pause_s)

    async def _look(self, live: LiveEvents, forwarder: Forwarder | None) -> float:
        """Show the next events. Returns the time before the next look."""
        try:
            events = await live.look(self._clock.now_ms())
        except (StoreUnavailableError, StoreOutcomeUnknownError) as error:
            if not self._away:
                _say(f"Trying again, because {sentence(f'the database does not answer: {error}')}")
            self._away = True
            return AWAY_EVERY_S
        if self._away:
            _say("The database answers again.")
            self._away = False
        for event in events:
            click.echo(self._line(event))
            if forwarder is not None:
                forwarder.add(event)
        with suppress(StoreUnavailableError):  # The next look tells it.
            unread = await live.unread() if live.has_more else 0
            self._warn(unread + (0 if forwarder is None else forwarder.waiting))
        return 0 if live.has_more else LOOK_EVERY_S

    def _warn(self, waiting: int) -> None:
        """Say that the command falls behind, and again each time that twice as many events wait."""
        if waiting >= max(BEHIND_MIN, 2 * self._behind):
            _say(f"Behind: {waiting:,} events wait.")
            self._behind = waiting
        elif waiting == 0 and self._behind:
            _say("No event waits any more.")
            self._behind = 0


def _tell(result: ForwardAttempt) -> None:
    """Say what the receiver answered."""
    told = _answer(result.attempt)
    if result.again_s is not None:
        told += f"; try {result.tries} of {TRIES_MAX}, again in {result.again_s:.0f} s"
    elif result.attempt.status == HTTPStatus.GONE:
        told += "; this answer would disable an endpoint"
    elif not result.attempt.delivered:
        told += f"; given up after {result.tries} tries"
    _say(f"  → {result.event.type.value} {result.event.id}: {told}")


def _answer(attempt: DeliveryAttempt) -> str:  # noqa: C901 - one match over all errors
    """The answer in words."""
    match attempt.error:
        case None | AttemptError.STATUS:
            return f"{attempt.status} in {attempt.duration_ms} ms"
        case AttemptError.REDIRECT:
            return f"{attempt.status}, and redirects aren't followed"
        case AttemptError.URL:
            return "the URL can't be called"
        case AttemptError.ADDRESS_REFUSED:
            return "the host has an address that may not be called"
        case AttemptError.DNS:
            return "the host's name has no address"
        case AttemptError.CONNECT:
            return "no connection (is the receiver running?)"
        case AttemptError.TLS:
            return "no encrypted connection: the certificate is invalid, or the receiver doesn't speak TLS"
        case AttemptError.TIMEOUT:
            return f"no complete answer within {attempt.duration_ms / 1000:.0f} s"
        case AttemptError.DISCONNECTED:
            return "the receiver closed the connection before its answer was complete"
        case AttemptError.PROTOCOL:
            return "the answer isn't valid HTTP"
        case _:
            assert_never(attempt.error)


def _say(text: str) -> None:
    """Print to standard error; standard output has the events only."""
    click.echo(printable(text), err=True)
