"""Room for connections and for what is written to them: which connections are closed so that others are served.

A client costs nothing to itself by connecting and saying nothing, or by asking and reading nothing. So there is a bound
for one address, one for all connections, and one for the bytes that all of them have not taken yet. Past a bound, those
that keep the server waiting are closed: of connections the ones that have waited longest, of readers the slowest. A
request that the server itself is working on is never one of them.
"""

import heapq
from collections.abc import Callable, Collection
from typing import Final, Generic, Protocol, TypeVar

import msgspec

LOOK_AGAIN_S: Final = 0.1
"""After finding nobody to close. Looking at ten thousand connections takes milliseconds."""

_SHARE: Final = 100
"""Of so many connections one is closed at once: looking through all of them for each new one would cost too much."""

_SPARE: Final = 20
"""Of those that are found, so many may have sent something meanwhile, and stay."""

_RELIEF: Final = 0.75
"""Down to this part of the bound, for the same reason."""


class Guest(Protocol):
    """A connection, as far as room is concerned."""

    def waits_since(self) -> float | None:
        """Since when the server has waited for the client, in the loop's time; None while the client waits for it."""
        ...

    def make_way(self) -> bool:
        """Close at once and leave the room, unless the client has sent something meanwhile. Whether it was closed."""
        ...

    def unsent(self) -> int:
        """Bytes that the process keeps for the client to take."""
        ...

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged: those that the system keeps too."""
        ...

    def abort(self) -> None:
        """Close at once, whatever is still to be sent."""
        ...


GuestT = TypeVar("GuestT", bound=Guest)


class Room(Generic[GuestT]):
    """The connections that are open, by address.

    Args:
        guests: All of them. The caller adds to it before `enter`.
        most: Bound of all.
        each: Bound of one address.
        address_of: The name under which a peer's connections are counted; None if they aren't, as a proxy's.
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
        """Whether there is room, or could be made; and the name under which it counts, to be given to `leave`."""
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
        """The connection is closed. A second time does nothing."""
        self._all.guests.discard(guest)
        group = None if address is None else self._by_address.get(address)
        if group is not None:
            group.guests.discard(guest)
            if not group.guests:
                del self._by_address[address or ""]

    def _make_room(self, group: "_Group[GuestT]") -> bool:
        """Close those who have kept the server waiting for longest. Whether there were any."""
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
    """Connections that share a bound."""

    def __init__(self, guests: set[GuestT]) -> None:
        self.guests = guests
        self.full_until = 0.0


class _Reading(msgspec.Struct):
    """How a client takes what was written.

    Attributes:
        since: When it was first seen not to have taken all.
        kept: What the process kept for it at the last look.
        untaken: What it had not taken then.
        taken: What it has taken since, as far as it was more than was written meanwhile.
    """

    since: float
    untaken: int
    kept: int = 0
    taken: int = 0


class Unsent(Generic[GuestT]):
    """The bytes that were written and that clients have not taken, of all connections together.

    Counted at each tick, and for a connection whose buffer becomes full at once. Past the bound the slowest readers are
    closed.
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._kept = 0
        self._readings: dict[GuestT, _Reading] = {}

    def add(self, guest: GuestT) -> None:
        """The connection's buffer is full: count it now."""
        self._read(guest, guest.unsent())
        self._relieve()

    def discard(self, guest: GuestT) -> None:
        """Its buffer has room again, or it is closed."""
        reading = self._readings.pop(guest, None)
        if reading is not None:
            self._kept -= reading.kept

    def look(self, guests: Collection[GuestT]) -> None:
        """Count what all of them keep."""
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
        """Bytes a second that it takes, and since when: the first to be closed comes first."""
        reading = self._readings[guest]
        return reading.taken / max(1.0, self._now() - reading.since), reading.since
