"""Addresses of hosts' names, resolved on threads that deliveries alone use.

The event loop's own threads are few, and the whole process uses them; with uvloop two names whose servers don't answer
would block every other look-up. Here a name is resolved once for all deliveries that wait for it at the same time. So
a name takes one thread at most, however long its servers take. Nothing is cached: a result is used only by those who
waited for it.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

THREADS_MAX: Final = 32
"""More than a shop may have endpoints, so that names that can't be resolved don't delay the others."""

_Key = tuple[str, int, int]
_Infos = list[tuple[int, int, int, str, tuple[Any, ...]]]


class NameResolver(AbstractResolver):
    """Resolves names by the system's `getaddrinfo`. All calls must come from one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="webhook-names")
        self._running: dict[_Key, asyncio.Future[_Infos]] = {}

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`.

        Raises:
            OSError: it has none, or can't be resolved now.
        """
        # Whoever stops waiting doesn't stop the others.
        infos = await asyncio.shield(self._shared(host, port, family))
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=family, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for family, _, proto, _, address in infos
        ]

    @override
    async def close(self) -> None:
        """Start no further look-up. Python waits for the running ones when the process ends."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _shared(self, host: str, port: int, family: int) -> "asyncio.Future[_Infos]":
        key = (host, port, family)
        running = self._running.get(key)
        if running is None:
            running = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host, port, family)
            self._running[key] = running
            running.add_done_callback(lambda ended: self._ended(key, ended))
        return running

    def _ended(self, key: _Key, look_up: "asyncio.Future[_Infos]") -> None:
        del self._running[key]
        if not look_up.cancelled():
            look_up.exception()  # Marks the exception as retrieved: everybody may have stopped waiting.


def _look_up(host: str, port: int, family: int) -> _Infos:
    try:
        return list(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG))
    except UnicodeError:
        raise OSError(f"{host!r} can't be a name in the DNS") from None
