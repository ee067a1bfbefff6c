"""Room for connections and for unsent data: closes some connections so that others can be served.

It costs a client nothing to connect and send nothing, or to ask and read nothing. So there are limits on the
connections of one address, on all connections, and on the unsent bytes of all of them. Above a limit, the server closes
connections that keep it waiting: the ones that have waited longest, or the slowest readers. A connection is never
closed while the server is working on its request.
"""

import heapq
from collections.abc import Callable, Collection
from typing import Final, Generic, Protocol, TypeVar

import msgspec

LOOK_AGAIN_S: Final = 0.1
"""Pause after finding no connection to close: a search through ten thousand connections takes milliseconds."""

_SHARE: Final = 100
"""Above a limit, one in this many connections is closed at once: a search for each new one would cost too much."""

_SPARE: Final = 20
"""Extra candidates in a search, because some may have sent something meanwhile, and stay."""

_RELIEF: Final = 0.75
"""Above the limit, slow readers are closed until unsent data is at this share of it, for the same reason."""


class Guest(Protocol):
    """The part of a connection that `Room` and `Unsent` use."""

    def waits_since(self) -> float | None:
        """When the server began to wait for the client, in the loop's time; None while it is the server's turn."""
        ...

    def make_way(self) -> bool:
        """Close at once and leave the `Room`, unless the client has sent something meanwhile.

        Returns whether it closed.
        """
        ...

    def unsent(self) -> int:
        """Bytes in the process's buffer that the client hasn't taken."""
        ...

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged, those in the system's buffers included."""
        ...

    def abort(self) -> None:
        """Close at once, and drop everything that isn't sent yet."""
        ...


GuestT = TypeVar("GuestT", bound=Guest)


class Room(Generic[GuestT]):
    """The open connections, by address.

    Args:
        guests: All connections. The caller adds a new one before `enter`.
        most: Limit on all connections.
        each: Limit on one address's connections.
        address_of: The name under which a peer's connections are counted; None if they aren't, such as a proxy's.
        now: The loop's time.
    """

    def __init__(
        self,
        guests: set[GuestT],
        *,
        most: int,
        each: int,
        address_of: Callable[[str | None], str | None],
        now: Callable[[], float],
    ) -> None:
        self._all = _Group(guests)
        self._most = most
        self._each = each
        self._address_of = address_of
        self._now = now
        self._by_address: dict[str, _Group[GuestT]] = {}

    def enter(self, guest: GuestT, peer: str | None) -> tuple[bool, str | None]:
        """Whether there is room for the connection, perhaps after closing others; and its `address` for `leave`."""
        address = self._address_of(peer)
        if address is not None:
            group = self._by_address.get(address)
            if group is None:
                group = self._by_address[address] = _Group(set())
            group.guests.add(guest)
            if len(group.guests) > self._each:
                self._make_room(group)
        return len(self._all.guests) <= self._most or self._make_room(self._all), address

    def leave(self, guest: GuestT, address: str | None) -> None:
        """The connection is closed. A second call has no effect."""
        self._all.guests.discard(guest)
        group = None if address is None else self._by_address.get(address)
        if group is not None:
            group.guests.discard(guest)
            if not group.guests:
                del self._by_address[address or ""]

    def _make_room(self, group: "_Group[GuestT]") -> bool:
        """Close the connections that have kept the server waiting longest. Returns whether there were any."""
        now = self._now()
        if now < group.full_until:
            return False
        wanted = len(group.guests) // _SHARE + 1
        waiting = ((since, id(guest), guest) for guest in group.guests if (since := guest.waits_since()) is not None)
        closed = 0
        for _, _, guest in heapq.nsmallest(wanted + _SPARE, waiting):
            closed += guest.make_way()
            if closed == wanted:
                break
        else:
            group.full_until = now + LOOK_AGAIN_S
        return closed > 0


class _Group(Generic[GuestT]):
    """Connections that share a limit."""

    def __init__(self, guests: set[GuestT]) -> None:
        self.guests = guests
        self.full_until = 0.0


class _Reading(msgspec.Struct):
    """Measures how fast a client takes its data.

    Attributes:
        since: When unsent data was first seen.
        kept: Bytes in the process's buffer at the last measurement.
        untaken: Bytes that the client had not acknowledged at that time.
        taken: Bytes taken since `since`, as the sum of the decreases of `untaken`.
    """

    since: float
    untaken: int
    kept: int = 0
    taken: int = 0


class Unsent(Generic[GuestT]):
    """The unsent bytes of all connections together.

    Measured at each tick, and for one connection when its buffer fills up. Above the limit, the slowest readers are
    closed.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._kept = 0
        self._readings: dict[GuestT, _Reading] = {}

    def add(self, guest: GuestT) -> None:
        """The connection's buffer is full: measure it now."""
        self._read(guest, guest.unsent())
        self._relieve()

    def discard(self, guest: GuestT) -> None:
        """The connection's buffer has room again, or it is closed."""
        reading = self._readings.pop(guest, None)
        if reading is not None:
            self._kept -= reading.kept

    def look(self, guests: Collection[GuestT]) -> None:
        """Measure all connections."""
        for guest in guests:
            kept = guest.unsent()
            if kept:
                self._read(guest, kept)
            elif guest in self._readings:
                self.discard(guest)
        self._relieve()

    def _read(self, guest: GuestT, kept: int) -> None:
        untaken = guest.untaken()
        reading = self._readings.get(guest)
        if reading is None:
            reading = self._readings[guest] = _Reading(self._now(), untaken)
        self._kept += kept - reading.kept
        reading.kept = kept
        reading.taken += max(0, reading.untaken - untaken)
        reading.untaken = untaken

    def _relieve(self) -> None:
        if self._kept <= self._most:
            return
        for guest in sorted(self._readings, key=self._pace):
            if self._kept <= self._most * _RELIEF:
                return
            self.discard(guest)
            guest.abort()

    def _pace(self, guest: GuestT) -> tuple[float, float]:
        """The client's bytes per second, and since when. The first one in this order is the first to be closed."""
        reading = self._readings[guest]
        return reading.taken / max(1.0, self._now() - reading.since), reading.since
