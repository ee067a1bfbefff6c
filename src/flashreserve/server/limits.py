"""Every bound of the HTTP layers. Units stand last in the names; tests pass smaller ones in."""

from typing import Final

import msgspec

SOCKETS_PER_CONNECTION: Final = 1.1
"""The tenth beyond those that are served is for clients that are being told that there are too many."""


class HttpLimits(msgspec.Struct, frozen=True):
    """How much one server process takes from the network, and for how long it waits.

    What crosses a bound is answered by a problem document wherever an answer can still be sent: 408, 413, 414,
    431 or 503.
    """

    body_bytes_max: int = 64 * 1024
    """Of one request. The largest that means anything, a full basket, has some 3 KiB."""

    head_bytes_max: int = 16 * 1024
    """Request line and headers together. The same holds for what follows them without being body: chunk sizes, chunk
    extensions and trailers together."""

    headers_max: int = 100
    """Header fields of one request."""

    url_bytes_max: int = 8 * 1024
    """The request target, query included."""

    pipelined_max: int = 64
    """Requests that one connection may send ahead while an earlier one is being answered."""

    connections_max: int = 10_000
    """Open at once in one process. Past it, those are closed that have kept the server waiting for longest."""

    connections_per_address_max: int = 5_000
    """Of them from one address (IPv6: one /64) that isn't a trusted proxy's. Past it, as above, but only its own."""

    unsent_bytes_max: int = 64 * 1024 * 1024
    """Written and not yet taken, of all clients of a process together. Past it, the slowest readers are closed."""

    backlog: int = 2_048
    """Connections that the kernel keeps until the process accepts them."""

    head_timeout_s: float = 10.0
    """From the first byte of a request to the end of its headers, and from connecting to the first byte."""

    body_timeout_s: float = 30.0
    """From the end of the headers to the end of the body."""

    idle_timeout_s: float = 75.0
    """Between two requests on one connection."""

    write_timeout_s: float = 20.0
    """For how long a client may go on taking less than `write_bytes_min` of what was written to it."""

    write_bytes_min: int = 16 * 1024
    """What a client must take in each `write_timeout_s`, when so much is there that flow control has set in."""

    linger_timeout_s: float = 2.0
    """For how long a connection that was answered for the last time stays, so that its client can read."""

    linger_bytes_max: int = 8 * 1024 * 1024
    """How much of what such a client still sends is read and dropped."""

    @property
    def sockets_max(self) -> int:
        """Connections open at once with those that are being turned away; beyond them, one is closed without a word."""
        return int(self.connections_max * SOCKETS_PER_CONNECTION) + 1
