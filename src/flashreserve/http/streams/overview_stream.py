"""The stream of a shop's overview, for admins: about once a second, if something has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from flashreserve.http import monitor_views
from flashreserve.http.monitor_views import OverviewView
from flashreserve.http.streams.event_stream import encode_event
from flashreserve.http.streams.stream_room import StreamRoom
from flashreserve.http.views import encode
from flashreserve.server.open_stream import OpenStream
from flashreserve.service.activity import SECONDS
from flashreserve.service.monitor import LOOK_EVERY_S, Monitor
from flashreserve.stores.port import StoreUnavailableError

EVENT_NAME: Final = "overview"
HISTORY_NAME: Final = "history"
WATCHERS_MAX: Final = 100
"""Admins' streams that may be open at once."""

_CHECK_EVERY_S: Final = 5.0
"""How often a stream's owner is checked: a demotion or a sign-out ends the stream so soon."""

_log = structlog.get_logger(__name__)

Allowed = Callable[[], Awaitable[bool]]
"""Whether the admin who opened a stream may still see it."""


class OverviewStreams:
    """Sends the overview to every admin who watches."""

    def __init__(
        self,
        monitor: Monitor,
        room: StreamRoom,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._monitor = monitor
        self._room = room
        self._monotonic = monotonic
        self._pause = pause
        self._watchers: dict[OpenStream, Allowed] = {}
        self._told: OverviewView | None = None
        self._behind: list[OpenStream] = []
        """Streams that couldn't take the last event, or began while it was sent."""
        self._check_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether as many admins watch as may."""
        return len(self._watchers) >= WATCHERS_MAX

    async def beginning(self) -> bytes:
        """The first events of a stream: the last quarter of an hour, and the present state.

        Raises:
            StoreUnavailableError: the database doesn't answer.
        """
        shown = await self._shown()
        history = monitor_views.history_view(await self._monitor.activity(SECONDS))
        return encode_event(HISTORY_NAME, shown.as_of, encode(history)) + _event(shown)

    def enter(self, beginning: bytes, stream: OpenStream, address: str | None, allowed: Allowed) -> None:
        """Add a stream. `allowed` is asked every few seconds; once it says no, the stream ends."""
        self._watchers[stream] = allowed
        self._room.enter(stream, address, self._leave)
        stream.write(beginning)
        self._behind.append(stream)

    def _leave(self, stream: OpenStream) -> None:
        self._watchers.pop(stream, None)

    async def run(self) -> None:
        """Send events until cancelled."""
        while True:
            if self._watchers:
                try:
                    await self._send()
                except StoreUnavailableError as error:
                    _log.debug("overview not streamed", error=str(error))
                except Exception:  # noqa: BLE001 - a bug in one turn must not end all later ones
                    _log.exception("overview not streamed")
            await self._pause(LOOK_EVERY_S)

    async def _send(self) -> None:
        if self._monotonic() >= self._check_at:
            self._check_at = self._monotonic() + _CHECK_EVERY_S
            for stream, allowed in tuple(self._watchers.items()):
                if not await allowed():
                    stream.end()
        shown = await self._shown()
        told = monitor_views.told_by(shown)
        if told != self._told:
            self._told = told
            behind = list(self._watchers)
        else:
            behind = self._behind
        self._behind = []  # Streams that begin during the writing are added to it.
        self._behind += await self._room.write(behind, _event(shown))

    async def _shown(self) -> OverviewView:
        overview = await self._monitor.overview()
        return monitor_views.overview_view(overview, await self._monitor.activity(monitor_views.RECENT_S))


def _event(shown: OverviewView) -> bytes:
    return encode_event(EVENT_NAME, shown.as_of, encode(shown))
