"""A client that follows a stream of server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp
from tests.http.shop import HttpShop

PATIENCE_S = 20.0


class SentEvent(NamedTuple):
    """An event: its name, its id, and its data decoded from JSON."""

    name: str
    id: str
    data: Any


class Follower:
    """An open stream. `comments` counts those that came."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0
        self.retry_ms: int | None = None

    async def next(self) -> SentEvent | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._next()

    async def until(self, **wanted: object) -> SentEvent:
        """The next event whose data has these fields."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                event = await self._next()
                assert event is not None, f"the stream ended before {wanted}"
                if all(event.data.get(name) == value for name, value in wanted.items()):
                    return event

    async def ended(self) -> bool:
        """Whether the stream ends; events before that are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._next() is not None:
                pass
        return True

    async def _next(self) -> SentEvent | None:
        fields: dict[str, str] = {}
        while line := await self.response.content.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                self.comments += 1
            elif text:
                name, _, value = text.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return SentEvent(fields["event"], fields["id"], json.loads(fields["data"]))
            elif "retry" in fields:
                self.retry_ms = int(fields.pop("retry"))
        return None


@asynccontextmanager
async def following(shop: HttpShop, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Follower]:
    """Open the stream, which has to be granted."""
    async with aiohttp.ClientSession() as session, session.get(shop.url + path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"] == "text/event-stream"
        yield Follower(response)


def signed(token: str) -> dict[str, str]:
    """The headers of somebody with this token."""
    return {"Authorization": f"Bearer {token}"}
