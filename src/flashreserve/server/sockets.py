"""The listening socket, and the limit on open files for its connections."""

import resource
import socket
from typing import Final

from msgspec.structs import replace

from flashreserve.server.limits import SOCKETS_PER_CONNECTION, HttpLimits

FILES_BESIDE_CONNECTIONS: Final = 256
"""Open files that a process needs besides its connections."""

SYSTEM_UNSENT_BYTES: Final = 128 * 1024
"""The system buffers this much unsent data per connection. Without a limit, a slow reader could fill megabytes."""


class ServerError(Exception):
    """The server could not start. The message says why, for the operator."""


def bind(host: str, port: int, *, backlog: int) -> socket.socket:
    """A listening socket. With port 0, the system chooses the port.

    Raises:
        ServerError: the address is invalid or in use.
    """
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(address[0], socket.SOCK_STREAM)
    except OSError as error:
        raise ServerError(f"cannot listen on {host}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit this option from the listener.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SYSTEM_UNSENT_BYTES)
        listener.bind(address[4])
        listener.listen(backlog)
        listener.setblocking(False)  # noqa: FBT003 the standard library's signature
    except OSError as error:
        listener.close()
        raise ServerError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def allow_open_files(limits: HttpLimits) -> tuple[HttpLimits, int]:
    """Raise the process's limit on open files as far as needed, or as far as the system allows.

    Returns:
        The limits, with only as many connections as the process can then hold, and how many open files all would need.
    """
    needed = files_needed(limits)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return limits, needed
    return within_files(limits, soft), needed


def files_needed(limits: HttpLimits) -> int:
    """How many open files a process needs for all connections that the limits allow."""
    return limits.sockets_max + FILES_BESIDE_CONNECTIONS


def within_files(limits: HttpLimits, files: int) -> HttpLimits:
    """The limits, with no more connections than this many open files allow. Of few files, half are for connections."""
    sockets = max(files - FILES_BESIDE_CONNECTIONS, files // 2)
    connections = max(1, int(sockets / SOCKETS_PER_CONNECTION) - 1)
    each = min(limits.connections_per_address_max, max(1, connections // 2))
    return replace(limits, connections_max=connections, connections_per_address_max=each)
