"""Room for connections and unsent data: which connection is closed for which other one."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest
from tests.server.sockets import HOST, RawClient, Served, answer, echo, head, lifespan, serving

from flashreserve.auth.address import TrustedProxies
from flashreserve.server.asgi import Receive, Scope, Send
from flashreserve.server.flow import HIGH_WATER_BYTES
from flashreserve.server.limits import HttpLimits
from flashreserve.server.room import LOOK_AGAIN_S, Guest, Room, Unsent
from flashreserve.server.sockets import SYSTEM_UNSENT_BYTES

OTHER = "127.0.0.2"


class Door:
    """An application that answers once it is open."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await self.open.wait()
        await answer(send)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 the condition has no event
            await asyncio.sleep(0.005)


async def works(client: RawClient) -> bool:
    """Whether the connection still answers."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        return (await client.get()).status == 200
    return False


async def test_the_connection_that_was_idle_for_longest_makes_room() -> None:
    async with serving(echo, limits=HttpLimits(connections_max=3)) as served:
        clients = [await served.connect() for _ in range(3)]
        for client in (clients[1], clients[0], clients[2], clients[1]):
            assert await works(client)

        newcomer = await served.connect()

        assert await works(newcomer)
        assert await clients[0].ended() == b""
        assert await works(clients[1])
        assert await works(clients[2])


async def silent(served: Served) -> RawClient:
    return await served.connect()


async def in_its_head(served: Served) -> RawClient:
    return await (await served.connect()).send("GET / HTTP/1.1\r\nHost: a\r\n")


async def in_its_body(served: Served) -> RawClient:
    client = await (await served.connect()).send(head("POST", "/", "Content-Length: 9", "Expect: 100-continue"))
    assert (await client.reply()).status == 100
    return await client.send("abc")


@pytest.mark.parametrize("stalls", [silent, in_its_head, in_its_body])
async def test_a_client_that_stalls_makes_room_wherever_it_does(
    stalls: Callable[[Served], Awaitable[RawClient]],
) -> None:
    async with serving(echo, limits=HttpLimits(connections_max=1)) as served:
        stalling = await stalls(served)
        assert await works(await served.connect())
        assert await stalling.ended() == b""


async def test_a_request_that_is_being_answered_is_never_closed_and_newcomers_are_told_so() -> None:
    door = Door()
    async with serving(door, limits=HttpLimits(connections_max=2)) as served:
        busy = [await (await served.connect()).send(head("GET", "/")) for _ in range(2)]
        await until(lambda: served.edge.in_flight == 2)
        third = await served.connect()
        reply = await third.reply()
        assert (reply.status, reply.code, reply.header("retry-after")) == (503, "unavailable", "1")
        assert await third.ended() == b""
        door.open.set()
        assert [(await client.reply()).status for client in busy] == [200, 200]
        async with asyncio.timeout(10):
            while not await works(await served.connect()):  # noqa: ASYNC110 the condition has no event
                await asyncio.sleep(LOOK_AGAIN_S)


async def test_one_address_that_has_its_share_makes_room_for_itself_and_takes_none_from_others() -> None:
    async with serving(echo, limits=HttpLimits(connections_max=20, connections_per_address_max=5)) as served:
        others = [await served.connect(OTHER) for _ in range(5)]
        for client in others:
            assert await works(client)
        greedy = [await served.connect() for _ in range(50)]
        assert await works(greedy[-1])

        ended = [asyncio.ensure_future(client.ended()) for client in greedy]
        await until(lambda: sum(each.done() for each in ended) == 45)

        assert not any(each.done() for each in ended[45:])
        for each in ended:
            each.cancel()
        for client in others:
            assert await works(client)


async def test_a_trusted_proxy_may_have_all_connections() -> None:
    proxies = TrustedProxies([HOST])
    limits = HttpLimits(connections_max=20, connections_per_address_max=2)
    async with serving(echo, limits=limits, address_of=proxies.connected_as) as served:
        clients = [await served.connect() for _ in range(20)]
        assert all([await works(client) for client in clients])


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("10.1.2.3", None),
        (None, None),
        ("", None),
    ],
)
def test_connections_are_counted_by_address_and_ipv6_by_its_64(peer: str | None, counted: str | None) -> None:
    assert TrustedProxies(["10.0.0.0/8"]).connected_as(peer) == counted


async def test_ten_thousand_idle_connections_of_one_address_keep_nobody_else_out() -> None:
    """The same proportions as the real limits, at a hundredth of their size."""
    limits = HttpLimits(connections_max=100, connections_per_address_max=50)
    async with serving(echo, limits=limits) as served:
        for _ in range(200):
            await served.connect()
        for number in range(2, 10):
            client = await served.connect(f"127.0.0.{number}")
            assert await works(client)


class Reader:
    """A guest that has this much unsent data, and has been waited for since this time."""

    def __init__(self, kept: int = 0, since: float | None = None) -> None:
        self.kept = kept
        self.since = since
        self.system = 0
        self.unread = False
        self.closed = False

    def waits_since(self) -> float | None:
        return self.since

    def make_way(self) -> bool:
        self.closed = not self.unread
        return self.closed

    def unsent(self) -> int:
        return self.kept

    def untaken(self) -> int:
        return self.kept + self.system

    def abort(self) -> None:
        self.closed = True


def test_a_client_that_has_sent_something_meanwhile_does_not_make_room() -> None:
    guests = [Reader(since=float(n)) for n in range(3)]
    guests[0].unread = True
    room = Room(set(guests), most=2, each=10, address_of=lambda _: None, now=lambda: 9.0)
    assert room.enter(Reader(), None) == (True, None)
    assert [guest.closed for guest in guests] == [False, True, False]


def test_the_slowest_readers_are_closed_until_a_part_of_the_bound_is_free() -> None:
    now = 0.0
    unsent: Unsent[Reader] = Unsent(1_000, lambda: now)
    readers = [Reader(200) for _ in range(6)]
    for reader in readers[:4]:
        unsent.add(reader)
    now = 10.0
    # The second reader takes much, the third one little, and the others nothing.
    readers[1].kept, readers[2].kept, readers[2].system = 40, 150, 0
    unsent.look(readers)
    assert [reader.closed for reader in readers] == [False] * 6
    readers[4].kept = 600
    unsent.look(readers)
    assert [reader.closed for reader in readers] == [True, False, False, True, True, False]


def test_what_is_taken_or_closed_no_longer_counts() -> None:
    unsent: Unsent[Reader] = Unsent(1_000, lambda: 0.0)
    for _ in range(100):
        reader = Reader(900)
        unsent.add(reader)
        unsent.discard(reader)
        unsent.discard(reader)
        assert not reader.closed


class WatchedRoom(Unsent[Guest]):
    """Records the largest count."""

    seen: "list[WatchedRoom]" = []  # noqa: RUF012 emptied by each test that uses it
    most_kept = 0

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        super().__init__(most, now)
        self.seen.append(self)

    def _relieve(self) -> None:
        self.most_kept = max(self.most_kept, self._kept)
        super()._relieve()


async def test_readers_that_take_nothing_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    page, greed = b"x" * 400_000, 40
    made: list[str] = []

    async def list_of_much(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        made.append(scope["path"])
        await answer(send, page)

    monkeypatch.setattr("flashreserve.server.shared.Unsent", WatchedRoom)
    WatchedRoom.seen.clear()
    limits = HttpLimits(unsent_bytes_max=4_000_000)
    async with serving(list_of_much, limits=limits) as served:
        greedy = [await served.connect() for _ in range(greed)]
        for client in greedy:
            client.read_nothing()
            await client.send(head("GET", "/greedy") * 60)
        (unsent,) = WatchedRoom.seen
        await until(lambda: unsent.most_kept > limits.unsent_bytes_max)

        reply = await (await served.connect()).get("/honest")

        assert reply.body == page
        await until(lambda: unsent._kept <= limits.unsent_bytes_max)
        assert unsent.most_kept <= limits.unsent_bytes_max + len(page)
        # Data that no client takes isn't produced.
        assert made.count("/greedy") < greed * 60


async def test_the_system_keeps_little_for_a_reader_that_takes_nothing() -> None:
    sent = 0

    async def much(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1_000):
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            sent += 10_000

    async with serving(much) as served:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.connect((HOST, served.port))
            client.sendall(head("GET", "/"))
            await until(lambda: sent > 0)
            before = -1
            while before < sent:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 2 * SYSTEM_UNSENT_BYTES + HIGH_WATER_BYTES


async def test_a_slow_reader_that_takes_enough_is_served_and_one_that_takes_less_is_dropped() -> None:
    page = b"x" * 30_000_000

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        await answer(send, page)

    limits = HttpLimits(write_timeout_s=2.0, write_bytes_min=16_384, unsent_bytes_max=10**9)
    async with serving(large, limits=limits) as served:
        steady, stalled = await served.connect(), await served.connect()
        for client in (steady, stalled):
            client.read_nothing()
            await client.send(head("GET", "/"))
        until_s = asyncio.get_running_loop().time() + 3 * limits.write_timeout_s
        while asyncio.get_running_loop().time() < until_s:
            await steady.read_some()
        steady.read_on()
        stalled.read_on()
        assert (await steady.reply()).body == page
        with pytest.raises(asyncio.IncompleteReadError):
            await stalled.reply()
