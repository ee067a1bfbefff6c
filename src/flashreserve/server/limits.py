"""All limits of the HTTP layers. Names end with the unit; tests use smaller values."""

from typing import Final

import msgspec

SOCKETS_PER_CONNECTION: Final = 1.1
"""Open sockets for each connection that is served. The tenth is for refusing clients when there are too many."""


class HttpLimits(msgspec.Struct, frozen=True):
    """How much one server process accepts from the network, and how long it waits.

    A request above a limit gets a problem document wherever an answer can still be sent: 408, 413, 414, 431 or 503.
    """

    body_bytes_max: int = 64 * 1024
    """The body of one request. The largest valid body, a full basket, has about 3 KiB."""

    head_bytes_max: int = 16 * 1024
    """Request line and headers together.

    The same limit applies to chunk sizes, chunk extensions and trailers together.
    """

    headers_max: int = 100
    """Header fields of one request."""

    url_bytes_max: int = 8 * 1024
    """The request target, query included."""

    pipelined_max: int = 64
    """Pipelined requests: those that one connection may send while an earlier one is being answered."""

    connections_max: int = 10_000
    """Open at once in one process. Above this, the connections that have kept the server waiting longest are closed."""

    connections_per_address_max: int = 5_000
    """Of these, from one address (IPv6: one /64) other than a trusted proxy's.

    Above this, connections of this address are closed in the same way.
    """

    unsent_bytes_max: int = 64 * 1024 * 1024
    """Bytes written that clients haven't taken, in one process. Above this, the slowest readers are closed."""

    backlog: int = 2_048
    """Connections that the kernel queues until the process accepts them."""

    head_timeout_s: float = 10.0
    """The longest time from a request's first byte to the end of its headers, and from connecting to the first byte."""

    body_timeout_s: float = 30.0
    """The longest time from the end of the headers to the end of the body."""

    idle_timeout_s: float = 75.0
    """The longest time between two requests on one connection."""

    write_timeout_s: float = 20.0
    """How long a client may take less than `write_bytes_min` of the data written to it."""

    write_bytes_min: int = 16 * 1024
    """The least that a client must take in each `write_timeout_s` while flow control holds back more data."""

    linger_timeout_s: float = 2.0
    """How long a connection stays open after its last answer, so that the client can read it."""

    linger_bytes_max: int = 8 * 1024 * 1024
    """How much data from such a client is read and dropped."""

    @property
    def sockets_max(self) -> int:
        """Connections open at once, those being refused included; any more are closed without an answer."""
        return int(self.connections_max * SOCKETS_PER_CONNECTION) + 1
