"""Requests that the server offers to an express lane: order, ends and failures are the same as by ASGI."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from tests.server.sockets import Served, echo, head, serving

from flashreserve.http.answers import Answer
from flashreserve.http.lane_context import LaneContext
from flashreserve.server.asgi import App, Receive, Scope, Send
from flashreserve.server.exchange import Exchange
from flashreserve.server.limits import HttpLimits

BRIEF = ("Content-Type: application/json", "Content-Length: 4")


class Desk:
    """An application whose lane takes requests to /lane, and answers them when told to."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.taken: list[LaneContext] = []

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._app(scope, receive, send)

    def may_take(self, _exchange: Exchange, path: str) -> bool:
        return path == "/lane"

    def take(self, context: LaneContext) -> bool:
        path = context.exchange.path
        if path == "/broken":
            raise ZeroDivisionError
        if path == "/now":
            context.admitted()
            context.answer(Answer(200, b"now"))
            return True
        if path != "/lane" or not context.admitted():
            return False
        context.route = "/lane"
        self.taken.append(context)
        return True

    async def answers(self, count: int) -> None:
        """Wait until this many were taken, and answer each with its own contents."""
        await self.has_taken(count)
        for context in self.taken:
            context.answer(Answer(201, b"lane " + context.exchange.body, headers=(("location", "/x"),)))

    async def has_taken(self, count: int) -> None:
        await until(lambda: len(self.taken) >= count)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.001)


@asynccontextmanager
async def desk(
    *, limits: HttpLimits | None = None, shutdown_timeout_s: float = 5.0
) -> AsyncIterator[tuple[Served, Desk]]:
    at = Desk(echo)
    async with serving(at, limits=limits, shutdown_timeout_s=shutdown_timeout_s) as served:
        yield served, at


def counted(served: Served, route: str, status: int) -> float:
    return served.metric(f'flashreserve_http_requests_total{{method="POST",route="{route}",status="{status}"}}')


@pytest.mark.parametrize("apart", [True, False])
async def test_a_request_whose_short_body_comes_apart_is_taken_all_the_same(*, apart: bool) -> None:
    async with desk() as (served, at):
        client = await (await served.connect()).send(head("POST", "/lane", *BRIEF))
        if apart:
            await (await served.connect()).get("/now")  # By now the server has read the head.
            assert not at.taken
        await client.send(b"body")
        await at.answers(1)
        reply = await client.reply()
        assert (reply.status, reply.body, reply.header("location")) == (201, b"lane body", "/x")
        assert reply.header("cache-control") == "no-store"
        assert reply.header("date")
        assert not reply.closes
        assert counted(served, "/lane", 201) == 1
        assert served.edge.in_flight == 0


async def test_a_body_that_is_not_short_goes_the_other_way_before_it_is_there() -> None:
    async with desk() as (served, at):
        client = await (await served.connect()).send(head("POST", "/lane", "Content-Length: 300"), b"x")
        await until(lambda: served.edge.in_flight == 1)
        await client.send(b"x" * 299)
        assert (await client.reply()).body == b"POST /lane " + b"x" * 300
        assert not at.taken


async def test_a_short_body_that_does_not_come_is_answered_408() -> None:
    async with desk(limits=HttpLimits(body_timeout_s=0.1)) as (served, at):
        client = await (await served.connect()).send(head("POST", "/lane", *BRIEF), b"bo")
        assert (await client.reply()).code == "request-timeout"
        assert not at.taken


async def test_requests_of_both_ways_sent_ahead_are_answered_in_their_order() -> None:
    async with desk() as (served, at):
        client = await served.connect()
        await client.send(
            head("GET", "/one"), head("POST", "/lane", *BRIEF), b"two.", head("GET", "/now"), head("GET", "/four")
        )
        await at.answers(1)
        bodies = [(await client.reply()).body for _ in range(4)]
        assert bodies == [b"GET /one ", b"lane two.", b"now", b"GET /four "]


async def test_many_requests_answered_at_once_may_be_sent_ahead() -> None:
    async with desk() as (served, _):
        client = await served.connect()
        await client.send(head("GET", "/now") * 60)
        assert [(await client.reply()).body for _ in range(60)] == [b"now"] * 60


async def test_the_lane_closes_where_the_client_wants_it_closed() -> None:
    async with desk() as (served, _):
        client = await (await served.connect()).send(head("GET", "/now", "Connection: close"))
        assert (await client.reply()).closes
        assert await client.ended() == b""


async def test_nothing_is_served_after_the_request_that_ends_the_connection() -> None:
    async with desk() as (served, at):
        client = await served.connect()
        await client.send(head("GET", "/now", "Connection: close"), head("POST", "/lane", *BRIEF), b"body")
        assert (await client.reply()).closes
        assert await client.ended() == b""
        assert at.taken == []
        rubbish = await (await served.connect()).send(head("GET", "/now", "Connection: close"), b"rubbish")
        assert (await rubbish.reply()).closes
        assert await rubbish.ended() == b""


async def test_a_client_that_goes_away_is_counted_and_breaks_nothing() -> None:
    async with desk() as (served, at):
        client = await (await served.connect()).send(head("POST", "/lane", *BRIEF), b"body")
        await at.has_taken(1)
        client.abort()
        gone = at.taken[0].exchange
        await until(lambda: not gone.keep_alive)
        await at.answers(1)
        assert counted(served, "/lane", 201) == 1
        assert served.edge.in_flight == 0
        other = await (await served.connect()).send(head("GET", "/now"))
        assert (await other.reply()).status == 200


async def test_what_breaks_in_the_lane_is_logged_and_answered() -> None:
    async with desk() as (served, _):
        client = await (await served.connect()).send(head("GET", "/broken"))
        assert (await client.reply()).code == "internal"
        assert [entry["event"] for entry in served.logged if entry["log_level"] == "error"] == ["unhandled error"]
        assert served.edge.in_flight == 0


async def test_what_the_lane_has_when_patience_ends_is_said_to_be_unknown() -> None:
    async with desk(shutdown_timeout_s=0.2) as (served, at):
        client = await (await served.connect()).send(head("POST", "/lane", *BRIEF), b"body")
        await at.has_taken(1)
        served.stop.set()
        reply = await client.reply()
        assert reply.code == "outcome-unknown"
        assert reply.closes
        assert reply.header("retry-after") == "1"
        await at.answers(1)
        assert await client.ended() == b""


async def test_a_request_that_the_edge_refuses_is_not_taken() -> None:
    async with desk() as (served, at):
        client = await served.connect()
        await client.send(b"POST /lane HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        assert (await client.reply()).code == "bad-request"
        assert not at.taken
