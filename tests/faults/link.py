"""A TCP proxy between two processes that imitates a bad network."""

import asyncio
import random
from contextlib import suppress
from typing import Literal, get_args

Weather = Literal["calm", "slow", "trickle", "deaf", "mute", "cut after send", "cut"]
BAD: tuple[Weather, ...] = get_args(Weather)[1:]

_CHUNK = 65_536
_DROP = 97
_DROPS_MAX = 400


class TcpLink:
    """Listens on a port of its own and forwards to another.

    Weathers: "slow" delays each piece. "trickle" sends small pieces. "deaf" holds answers back; when the weather
    changes, they arrive late or the connection is cut. "mute" does the same to requests. "cut after send" delivers the
    request, but not the answer. "cut" closes all connections at once.
    """

    def __init__(self, port: int, chance: random.Random) -> None:
        self.port = 0
        self._to = port
        self._chance = chance
        self._weather: Weather = "calm"
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Start listening."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._server is not None:
            self._server.close()
        left = list(self._writers)
        self.change("cut")
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, *(writer.wait_closed() for writer in left), return_exceptions=True)

    def change(self, weather: Weather) -> None:
        """Set the weather."""
        self._weather = weather
        self._changed.set()
        self._changed = asyncio.Event()
        if weather == "cut":
            for writer in list(self._writers):
                writer.transport.abort()

    async def _accept(self, asking: asyncio.StreamReader, to_asker: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            answering, to_answerer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            to_asker.transport.abort()
            with suppress(OSError):
                await to_asker.wait_closed()
            self._serving.discard(task)
            return
        both = {to_asker, to_answerer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(asking, to_answerer, both, asks=True), self._pump(answering, to_asker, both, asks=False)
            )
        finally:
            self._writers -= both
            for writer in both:
                writer.transport.abort()
            self._serving.discard(task)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, both: set[asyncio.StreamWriter], *, asks: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(_CHUNK):
                if not await self._hand_on(piece, sink, asks=asks):
                    break
        for writer in both:
            writer.transport.abort()

    async def _hand_on(self, piece: bytes, sink: asyncio.StreamWriter, *, asks: bool) -> bool:
        """Forward the piece as the weather allows; whether the connection stays open."""
        weather = self._weather
        if weather == ("mute" if asks else "deaf"):
            await self._changed.wait()
            if self._chance.random() < 0.5:
                return False
        elif weather == "slow":
            await asyncio.sleep(self._chance.uniform(0.01, 0.4))
        elif weather == "trickle" and len(piece) < _DROP * _DROPS_MAX:
            for start in range(0, len(piece) - _DROP, _DROP):
                sink.write(piece[start : start + _DROP])
                await asyncio.sleep(0.001)
            piece = piece[(max(len(piece) - 1, 0) // _DROP) * _DROP :] if len(piece) > _DROP else piece
        sink.write(piece)
        await sink.drain()
        return not (weather == "cut after send" and asks)
