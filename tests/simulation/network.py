"""The network between processes and the simulated server: it delays, loses, splits and reorders messages."""

import asyncio  # noqa: TC003 - annotations with its types are evaluated at run time, too
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from tests.simulation.faults import AT_A_READ, AT_A_WRITE, SimulatedFault
from tests.simulation.mongo.matcher import Document
from tests.simulation.mongo.server import Part, SimulatedMongoServer, aggregated, arrange
from tests.simulation.mongo.updater import UpdateRefusedError
from tests.simulation.script import EPOCH_MS
from tests.simulation.world import ProcessLoop, World
from typing_extensions import override

from flashreserve.stores.mongo.database import (
    DRIVER_RETRIES_WRITES,
    Collection,
    Database,
    Fields,
    Index,
    Order,
    Query,
    Update,
)
from flashreserve.stores.port import StoreOutcomeUnknownError, StoreUnavailableError

SOCKET_S: Final = 10.0
"""The longest time that a process waits for a reply."""
SERVER_WAIT_S: Final = 2.0
"""The longest time that a process waits for a server that is away, before it sends anything."""
_BEHIND_S: Final = 0.3
"""The most that a new primary is behind the old one."""


class Weather(Protocol):
    """The conditions of the network, drawn by the seed."""

    @property
    def latency_s(self) -> float:
        """The typical time that a message takes."""
        ...

    @property
    def scattered(self) -> float:
        """The share of writes of several documents that are carried out at several instants."""
        ...

    @property
    def torn(self) -> float:
        """The share of reads of several documents that are carried out at several instants."""
        ...

    @property
    def storm_rate(self) -> float:
        """The share of messages that a storm disturbs."""
        ...


class Host(Protocol):
    """The process at one end of a link."""

    name: str
    loop: ProcessLoop

    def crash(self) -> None:
        """Die at once."""
        ...

    def freeze(self, seconds: float) -> None:
        """Sleep for `seconds`."""
        ...


class _Call:
    """A message in flight, and the future of its reply."""

    __slots__ = ("begin", "current", "future", "link", "may_miss", "over", "void", "whole", "write")

    def __init__(
        self,
        link: "Link",
        begin: Callable[[], list[Part]],
        whole: Part | None,
        *,
        write: bool,
        may_miss: bool,
        current: bool,
    ) -> None:
        self.link = link
        self.begin = begin
        self.whole = whole
        self.write = write
        self.may_miss = may_miss
        self.current = current
        self.future: asyncio.Future[Any] = link.loop.create_future()
        self.over = False
        """The caller has its answer, or has given up."""
        self.void = False
        """The message is lost: nothing more of it is carried out."""


class Link:
    """One process's connection to the server."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.loop = host.loop
        self.armed: list[SimulatedFault] = []
        self.cut_until = 0.0


class Network:
    """Carries the messages of all processes to one server."""

    def __init__(
        self, world: World, server: SimulatedMongoServer, weather: Weather, note: Callable[[str, str, float], None]
    ) -> None:
        self._world = world
        self._server = server
        self._weather = weather
        self._note = note
        self._open: dict[_Call, None] = {}
        self._down_until = 0.0
        self._slow_until = 0.0
        self._slowness = 1.0
        self._storm_until = 0.0
        self._elected_until = 0.0
        """Until then a new primary hasn't reached a majority: it shows older data, and acknowledges nothing."""
        self._healed = False
        self.quiet_at = 0.0
        """When the last message that is in flight will have arrived."""

    # Faults of the whole network

    def crash_server(self, seconds: float) -> None:
        """Let the server die. It is back after `seconds`, with all writes that it has acknowledged."""
        now = self._world.now
        self._down_until = max(self._down_until, now + seconds)
        for call in list(self._open):
            call.void = True
            self._fail_later(call, self._latency(), unknown=call.write)

    def slow_down(self, seconds: float, factor: float) -> None:
        """Slow down all messages for `seconds`."""
        self._slow_until, self._slowness = self._world.now + seconds, factor

    def storm(self, seconds: float) -> None:
        """Disturb many messages for `seconds`."""
        self._storm_until = self._world.now + seconds

    def elect(self, seconds: float) -> None:
        """Elect a new primary in a moment. For `seconds`, its reads show only the data of now."""
        view = self._server.snapshot()

        def begin() -> None:
            if not self._healed:
                self._server.show(view)
                self._elected_until = self._world.now + seconds
                self._world.after(seconds, end)

        def end() -> None:
            if self._world.now >= self._elected_until:
                self._server.show(None)

        self._world.after(min(seconds, _BEHIND_S), begin)

    def heal(self) -> None:
        """End all faults."""
        self._healed = True
        now = self._world.now
        self._server.show(None)
        self._elected_until = min(self._elected_until, now)
        self._down_until, self._slow_until, self._storm_until = min(self._down_until, now), now, now

    # A message from departure to reply

    def send(
        self,
        link: Link,
        begin: Callable[[], list[Part]],
        whole: Part | None = None,
        *,
        write: bool,
        may_miss: bool = False,
        current: bool = False,
    ) -> "asyncio.Future[Any]":
        """Send a message; the future gets the results of its parts, or one of the port's errors.

        On arrival, `begin` returns the parts. `whole`, if given, carries out all of them at one instant, and is faster.
        A command that `may_miss` a document while it is moved answers as if nothing were wrong. A `current` read waits
        for the majority.
        """
        call = _Call(link, begin, whole, write=write, may_miss=may_miss, current=current)
        self._open[call] = None
        fault = None if self._healed else self._fault_of(call)
        if fault is not None:
            self._meet(call, fault)
        else:
            self._depart(call)
        return call.future

    def _latency(self) -> float:
        random = self._world.random.random()
        seconds = self._weather.latency_s * (0.5 + random)
        if random > 0.97:
            seconds *= 20
        if self._world.now < self._slow_until:
            seconds *= self._slowness
        return seconds

    def _depart(self, call: _Call) -> None:
        now = self._world.now
        if now < self._down_until:
            wait = self._down_until - now
            if wait >= SERVER_WAIT_S:
                self._fail_later(call, SERVER_WAIT_S, unknown=False)
            else:
                self._world.after(wait, self._depart, call)
        elif now < call.link.cut_until:
            self._depart_into_the_cut(call)
        else:
            self._world.after(self._latency(), self._arrive, call)

    def _depart_into_the_cut(self, call: _Call) -> None:
        """Send a message into a cut link: no reply comes back, but a write may still arrive after the cut."""
        random = self._world.random
        self._fail_later(call, random.uniform(0.05, 3.0), unknown=call.write)
        if call.write and random.random() < 0.5:
            self._arrive_late(call, call.link.cut_until - self._world.now + random.uniform(0, 2))

    def _arrive_late(self, call: _Call, seconds: float) -> None:
        self.quiet_at = max(self.quiet_at, self._world.now + seconds)
        self._world.after(seconds, self._arrive, call)

    def _is_lost(self, call: _Call) -> bool:
        """Whether the message is lost on arrival: the server is away, or has died since it was sent."""
        if not call.void and self._world.now < self._down_until:
            self._fail_later(call, self._latency(), unknown=call.write)
            return True
        return call.void

    def _awaits_majority(self, call: _Call, arrive: Callable[..., None], *more: object) -> bool:
        """Whether the message has to wait and arrive again: a current read does until the primary has a majority."""
        if not call.current:
            return False
        if self._world.now < self._elected_until:
            self._world.after(self._elected_until - self._world.now, arrive, call, *more)
            return True
        self._server.show(None)  # A majority has confirmed the primary: from now on, nobody reads older data.
        return False

    def _arrive(self, call: _Call) -> None:
        if self._is_lost(call) or self._awaits_majority(call, self._arrive):
            return
        random = self._world.random
        rate = self._weather.scattered if call.write else self._weather.torn
        spread = rate > 0 and random.random() < rate
        if call.whole is not None and not spread:
            self._finish(call, [call.whole()])
            return
        parts = call.begin()
        if not spread or len(parts) < 2:
            self._finish(call, [part() for part in parts])
            return
        self._carry_out_next(call, parts, [], random.sample(range(len(parts)), len(parts)) if call.write else None)

    def _carry_out_next(self, call: _Call, parts: list[Part], results: list[Any], order: list[int] | None) -> None:
        """Carry out the parts at different instants, writes in any order."""
        if call.void or self._awaits_majority(call, self._carry_out_next, parts, results, order):
            return
        if not results:
            results += [None] * len(parts)
            order = list(range(len(parts))) if order is None else order
        assert order is not None
        place = order.pop()
        results[place] = parts[place]()
        if order:
            self._world.after(self._latency(), self._carry_out_next, call, parts, results, order)
        else:
            self._finish(call, results)

    def _finish(self, call: _Call, results: list[Any]) -> None:
        if not call.over:
            wait = max(0.0, self._elected_until - self._world.now) if call.write else 0.0
            self._world.after(wait + self._latency(), self._reply, call, results)

    def _reply(self, call: _Call, results: list[Any]) -> None:
        if call.over or call.void:
            return
        if self._world.now < call.link.cut_until:
            self._fail(call, unknown=call.write)
            return
        self._close(call)
        if not call.link.loop.dead:
            _succeed(call.future, results)

    def _fail_later(self, call: _Call, seconds: float, *, unknown: bool) -> None:
        self._world.after(seconds, lambda: self._fail(call, unknown=unknown))

    def _fail(self, call: _Call, *, unknown: bool) -> None:
        if call.over:
            return
        self._close(call)
        error = StoreOutcomeUnknownError("no reply") if unknown else StoreUnavailableError("no server")
        if not call.future.done() and not call.link.loop.dead:
            call.future.set_exception(error)

    def _close(self, call: _Call) -> None:
        call.over = True
        self._open.pop(call, None)

    # Faults of single messages

    def _fault_of(self, call: _Call) -> SimulatedFault | None:
        now, random = self._world.now, self._world.random
        armed = call.link.armed
        kinds = AT_A_WRITE if call.write else AT_A_READ
        for place, fault in enumerate(armed):
            if fault.kind in kinds and (call.may_miss or fault.kind != "missed"):
                if fault.skip == 0:
                    return armed.pop(place)
                armed[place] = fault._replace(skip=fault.skip - 1)
                break
        if now < self._storm_until and random.random() < self._weather.storm_rate:
            kind = random.choice(_STORM_WRITES if call.write else AT_A_READ)
            return SimulatedFault(now, kind, 0, random.uniform(0.02, 8.0))
        return None

    def _meet(self, call: _Call, fault: SimulatedFault) -> None:
        self._note(fault.kind, call.link.host.name, fault.seconds)
        _FAULTS[fault.kind](self, call, fault.seconds)

    def _meet_crash_before(self, call: _Call, _seconds: float) -> None:
        self._close(call)
        call.link.host.crash()

    def _meet_crash_after(self, call: _Call, _seconds: float) -> None:
        self._depart(call)
        call.link.host.crash()

    def _meet_crash_part(self, call: _Call, seconds: float) -> None:
        self._meet_part(call, seconds)
        call.link.host.crash()

    def _meet_crash_late(self, call: _Call, seconds: float) -> None:
        self._arrive_late(call, seconds)
        call.link.host.crash()

    def _meet_freeze_before(self, call: _Call, seconds: float) -> None:
        call.link.host.freeze(seconds)
        self._world.after(seconds, self._depart, call)

    def _meet_freeze_after(self, call: _Call, seconds: float) -> None:
        self._depart(call)
        call.link.host.freeze(seconds)

    def _meet_refused(self, call: _Call, _seconds: float) -> None:
        self._fail_later(call, self._latency(), unknown=False)

    def _meet_lost(self, call: _Call, _seconds: float) -> None:
        self._fail_later(call, self._give_up_s(), unknown=True)

    def _meet_unanswered(self, call: _Call, _seconds: float) -> None:
        self._world.after(self._latency(), self._arrive, call)
        self._fail_later(call, self._latency(), unknown=True)

    def _meet_late(self, call: _Call, seconds: float) -> None:
        self._fail_later(call, self._give_up_s(), unknown=True)
        self._arrive_late(call, seconds)

    def _meet_part(self, call: _Call, seconds: float) -> None:
        """Carry out some parts now, the others later or never. A message with a single part is late or lost."""
        self._fail_later(call, self._give_up_s(), unknown=True)
        self._world.after(self._latency(), self._arrive_in_part, call, seconds)

    def _arrive_in_part(self, call: _Call, seconds: float) -> None:
        if self._is_lost(call):
            return
        random = self._world.random
        rest: list[Part] = []
        for part in call.begin():
            if random.random() < 0.5:
                part()
            else:
                rest.append(part)
        if rest and random.random() < 0.7:
            self.quiet_at = max(self.quiet_at, self._world.now + seconds)
            self._world.after(seconds, lambda: [part() for part in rest])

    def _meet_sent_again(self, call: _Call, seconds: float) -> None:
        """Lose the reply. A driver that retries sends the write again, and the server recognises it as the same write.

        So parts that the second copy carried out aren't repeated; parts that it refused, the first copy may still do.
        """
        if DRIVER_RETRIES_WRITES and not call.may_miss:
            self._world.after(self._latency(), self._arrive_again, call, seconds)
        else:
            self._meet_late(call, seconds)

    def _arrive_again(self, call: _Call, seconds: float) -> None:
        if self._is_lost(call):
            return
        tried = [(part, part()) for part in call.begin()]
        refused = [part for part, result in tried if result is None or result is True]
        self._finish(call, [result for _, result in tried])
        if refused:
            self.quiet_at = max(self.quiet_at, self._world.now + seconds)
            self._world.after(seconds, lambda: [part() for part in refused])

    def _meet_stranded(self, call: _Call, seconds: float) -> None:
        self.crash_server(seconds)
        call.void = False
        self._arrive_late(call, seconds + self._latency())

    def _meet_missed(self, call: _Call, _seconds: float) -> None:
        begin = call.begin
        call.begin = lambda: begin()[:-1]
        self._depart(call)

    def _meet_delayed(self, call: _Call, seconds: float) -> None:
        if seconds >= SOCKET_S:
            self._fail_later(call, SOCKET_S, unknown=call.write)
        if self._world.random.random() < 0.5:
            self._arrive_late(call, seconds)
        else:
            self._world.after(self._latency(), self._arrive_and_reply_late, call, seconds)

    def _arrive_and_reply_late(self, call: _Call, seconds: float) -> None:
        if self._is_lost(call) or self._awaits_majority(call, self._arrive_and_reply_late, seconds):
            return
        self._world.after(seconds, self._reply, call, [part() for part in call.begin()])

    def _meet_read_fails(self, call: _Call, _seconds: float) -> None:
        self._fail_later(call, self._give_up_s(), unknown=False)

    def _give_up_s(self) -> float:
        random = self._world.random
        return self._latency() if random.random() < 0.6 else random.uniform(0.05, 3.0)


_STORM_WRITES: Final = ("refused", "lost", "unanswered", "late", "part", "delayed")
_FAULTS: Final[Mapping[str, Callable[[Network, _Call, float], None]]] = {
    "crash-before": Network._meet_crash_before,
    "crash-after": Network._meet_crash_after,
    "crash-part": Network._meet_crash_part,
    "freeze-before": Network._meet_freeze_before,
    "freeze-after": Network._meet_freeze_after,
    "refused": Network._meet_refused,
    "lost": Network._meet_lost,
    "unanswered": Network._meet_unanswered,
    "late": Network._meet_late,
    "part": Network._meet_part,
    "missed": Network._meet_missed,
    "delayed": Network._meet_delayed,
    "crash-late": Network._meet_crash_late,
    "sent-again": Network._meet_sent_again,
    "stranded": Network._meet_stranded,
    "read-fails": Network._meet_read_fails,
    "read-delayed": Network._meet_delayed,
}


def _succeed(future: "asyncio.Future[Any]", results: list[Any]) -> None:
    if future.done():
        return
    for result in results:
        if isinstance(result, Exception):
            future.set_exception(result)
            return
    future.set_result(results)


class SimulatedDatabase(Database):
    """A database whose operations are messages over a link."""

    def __init__(self, network: Network, server: SimulatedMongoServer, link: Link) -> None:
        self._network = network
        self._server = server
        self._link = link

    @override
    async def find(
        self,
        collection: Collection,
        query: Query,
        *,
        fields: Fields | None = None,
        order: Order | None = None,
        most: int = 0,
        current: bool = False,
    ) -> list[Document]:
        server = self._server
        found = await self._network.send(
            self._link,
            lambda: server.find_in_parts(collection, query),
            lambda: server.find(collection, query, fields, order, most),
            write=False,
            current=current,
        )
        if len(found) == 1:
            (documents,) = found
            return list(documents)
        return arrange([each for half in found for each in half], fields, order, most)

    @override
    async def aggregate(self, collection: Collection, pipeline: Sequence[Mapping[str, Any]]) -> list[Document]:
        server = self._server
        found = await self._network.send(
            self._link,
            lambda: server.find_in_parts(collection, {}),
            lambda: server.aggregate(collection, pipeline),
            write=False,
        )
        if len(found) == 1:
            (documents,) = found
            return list(documents)
        return aggregated([each for half in found for each in half], pipeline)

    @override
    async def insert_many(self, collection: Collection, documents: Sequence[Document]) -> list[int]:
        server, entered = self._server, list(documents)
        refused = await self._network.send(self._link, lambda: server.insert_parts(collection, entered), write=True)
        return [place for place, is_duplicate in enumerate(refused) if is_duplicate]

    @override
    async def find_one_and_update(
        self, collection: Collection, query: Query, update: Update, *, fields: Fields | None = None
    ) -> Document | None:
        server = self._server
        (found,) = await self._network.send(
            self._link,
            lambda: [_refusable(lambda: server.find_one_and_update(collection, query, update, fields))],
            write=True,
        )
        document: Document | None = found
        return document

    @override
    async def update_many(self, collection: Collection, query: Query, update: Update) -> None:
        server = self._server

        def begin() -> list[Part]:
            return [_refusable(part) for part in server.update_many_parts(collection, query, update)]

        await self._network.send(self._link, begin, write=True, may_miss=True)

    @override
    async def delete_many(self, collection: Collection, query: Query) -> None:
        server = self._server
        await self._network.send(self._link, lambda: server.delete_parts(collection, query), write=True, may_miss=True)

    @override
    async def bulk_update(self, collection: Collection, updates: Sequence[tuple[Query, Update]]) -> None:
        server, entered = self._server, sorted(updates, key=lambda each: str(each[0].get("_id")))
        await self._network.send(
            self._link,
            lambda: [_refusable(part) for part in server.bulk_parts(collection, entered)],
            write=True,
        )

    @override
    async def ensure_indexes(self, indexes: Sequence[Index], *, create: bool) -> None:
        del create
        self._server.make_indexes(indexes)

    @override
    async def now_ms(self) -> int:
        (now,) = await self._network.send(
            self._link, lambda: [lambda: EPOCH_MS + int(self._link.loop.time() * 1_000)], write=False
        )
        return int(now)

    @override
    def beat(self) -> str:
        return ""

    @override
    async def close(self) -> None:
        """Do nothing: there is nothing to close."""


def _refusable(part: Part) -> Part:
    """The part, with a refusal by the server as the error of the port that the driver's errors become."""

    def carry_out() -> Any:
        try:
            return part()
        except UpdateRefusedError as error:
            return StoreOutcomeUnknownError(f"writing: {error}")

    return carry_out
