"""The HTTP client of deliveries. It trusts neither the endpoint's name nor its answer.

- Each connection's address is checked when it is dialled, so that no name leads to a private address, whichever way it
  is resolved. Proxies aren't supported, because a proxy would choose the address.
- The answer is never more than a status and a Retry-After to us. At most `BODY_BYTES_MAX` of its body are read, and
  nothing is decompressed. Redirects aren't followed.
- One time limit covers everything from the resolution of the name to the end of the body.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from flashreserve.clock import Clock
from flashreserve.webhooks.addresses import Destinations
from flashreserve.webhooks.attempts import AttemptError, DeliveryAttempt, error_of_status
from flashreserve.webhooks.name_resolver import NameResolver
from flashreserve.webhooks.retry_after import read_retry_after

CONNECT_S: Final = 5.0
"""Limit on resolving the name, connecting and TLS together."""

TOTAL_S: Final = 15.0
"""Limit on an attempt, the body of the answer included."""

BODY_BYTES_MAX: Final = 64 * 1024
"""Bytes of an answer's body that are read. The last read may bring more, at most 256 KiB."""

_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "FlashReserve-Webhooks",
    "Accept-Encoding": "identity",
}


class AddressRefusedError(OSError):
    """The address may not be dialled."""


class _Course:
    """How far an attempt has come.

    Attributes:
        encrypted: Whether its connection is to be encrypted.
        dialled: Whether a connection was made for it. Otherwise a kept one is used, if there is any.
        refused: Whether an address was refused for it.
        answer: The answer, once its status and headers are there.
    """

    def __init__(self, *, encrypted: bool) -> None:
        self.encrypted = encrypted
        self.dialled = False
        self.refused = False
        self.answer: aiohttp.ClientResponse | None = None


# Sockets are made deep in the HTTP client, in tasks of the attempt; tasks inherit the context.
_course: ContextVar[_Course] = ContextVar("webhook_attempt")


class Sender:
    """Sends deliveries. Made, used and closed on one event loop; any number of attempts may run side by side."""

    def __init__(
        self,
        destinations: Destinations,
        clock: Clock,
        *,
        connect_s: float = CONNECT_S,
        total_s: float = TOTAL_S,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        keep_connections: bool = False,
    ) -> None:
        """Open no connection yet.

        Args:
            destinations: The addresses that may be called.
            clock: Gives durations, and the time for a Retry-After that is a date.
            connect_s: See `CONNECT_S`.
            total_s: See `TOTAL_S`.
            resolver: Resolves names instead of a `NameResolver`. `close` closes it.
            tls: The certificates to trust instead of the system's.
            keep_connections: Whether connections are used again. This is as safe, because a connection keeps its
                address; and it saves most of the processor time, above all with https.
        """
        self._destinations = destinations
        self._clock = clock
        self._total_s = total_s
        self._resolver = NameResolver() if resolver is None else resolver
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,
                force_close=not keep_connections,
                limit=0,  # The caller bounds attempts; waiting here would count as connecting.
                socket_factory=self._socket,
                ssl=True if tls is None else tls,
            ),
            # The total is kept by `send`, to the millisecond; the client would round it up to whole seconds.
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            headers=_HEADERS,
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> DeliveryAttempt:
        """Make one attempt: POST `body` with `headers` to `url`, a valid URL of an endpoint (`read_endpoint_url`).

        Faults of the network and of the endpoint are in the result; a cancellation is passed on.
        """
        target = _read_url(url)
        if target is None:
            return DeliveryAttempt(None, 0, AttemptError.URL)
        began_s = self._clock.monotonic()
        course = _Course(encrypted=target.scheme == "https")
        token = _course.set(course)
        error: AttemptError | None = None
        try:
            async with asyncio.timeout(self._total_s):
                await self._exchange(target, headers, body, course)
        except TimeoutError:
            error = AttemptError.TIMEOUT
        except aiohttp.ClientError as fault:
            error = AttemptError.ADDRESS_REFUSED if _was_refused(fault, course) else _error_of(fault)
        finally:
            _course.reset(token)
        duration_ms = round((self._clock.monotonic() - began_s) * 1000)
        answer = course.answer
        if answer is None:
            return DeliveryAttempt(None, duration_ms, error)
        retry_after_s = read_retry_after(answer.headers.get("Retry-After"), self._clock.now_ms())
        return DeliveryAttempt(answer.status, duration_ms, error or error_of_status(answer.status), retry_after_s)

    async def close(self) -> None:
        """Close the connections. Attempts that still run fail."""
        await self._session.close()
        await self._resolver.close()

    async def _exchange(self, target: URL, headers: Mapping[str, str], body: bytes, course: _Course) -> None:
        """Send the request and read the answer.

        An endpoint may close a kept connection in the moment of its next use. Then the request is sent again on another
        connection: at worst the endpoint gets the same delivery twice, which it has to expect anyway.
        """
        while True:
            try:
                async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as answer:
                    course.answer = answer
                    await _discard_body(answer)
                    return
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as fault:
                stale = not (course.dialled or isinstance(fault, aiohttp.ClientConnectorError))
                if not stale or course.answer is not None:
                    raise

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for one address of the host, called right before it is connected to exactly this address."""
        family, kind, proto, _, place = info
        course = _course.get()
        course.dialled = True
        if not self._destinations.allows(ip_address(place[0]), encrypted=course.encrypted):
            course.refused = True
            raise AddressRefusedError(f"{place[0]} may not be called")
        return socket.socket(family, kind, proto)


def _read_url(text: str) -> URL | None:
    try:
        url = URL(text, encoded=True)
        complete = bool(url.host and url.port)  # An invalid port is found only when it is asked for.
    except ValueError:
        return None
    return url if complete else None


async def _discard_body(answer: aiohttp.ClientResponse) -> None:
    """Read the body to its end, or close the connection once it is too long."""
    read = 0
    async for part in answer.content.iter_any():
        read += len(part)
        if read >= BODY_BYTES_MAX:
            answer.close()
            return


def _was_refused(fault: aiohttp.ClientError, course: _Course) -> bool:
    # If several addresses fail, the client raises one error of its own for all of them.
    return course.refused and isinstance(fault, aiohttp.ClientConnectorError)


def _error_of(fault: aiohttp.ClientError) -> AttemptError:
    """The error for an exception of the client; subclasses stand before their bases."""
    match fault:
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return AttemptError.URL
        case aiohttp.ClientConnectorDNSError():
            return AttemptError.DNS
        case aiohttp.ClientSSLError():
            return AttemptError.TLS
        case aiohttp.ClientConnectorError():
            return AttemptError.CONNECT
        case aiohttp.ClientConnectionError():
            return AttemptError.DISCONNECTED
        case aiohttp.ClientPayloadError() if isinstance(fault.__cause__, ConnectionError):
            return AttemptError.DISCONNECTED
        case _:
            return AttemptError.PROTOCOL
