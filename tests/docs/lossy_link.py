"""A link to a server that loses its first answer: the request arrives, and the client's connection is closed."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

TIMEOUT_S = 30.0


class LossyLink:
    """Each connection carries one request at a time."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lost: list[int] = []
        """The statuses of the lost answers."""

    def carry(self) -> None:
        """Carry requests until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with closing(client), socket.create_connection(("127.0.0.1", self._upstream), TIMEOUT_S) as server:
                client.settimeout(TIMEOUT_S)
                server.sendall(_message(client))
                answer = _message(server)
                if not self.lost:
                    self.lost.append(int(answer.split(b" ", 2)[1]))
                    continue
                client.sendall(answer)

    def close(self) -> None:
        """Stop accepting."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _message(connection: socket.socket) -> bytes:
    """One request or answer, whole: its head, and as much as its Content-Length says."""
    found = b""
    while b"\r\n\r\n" not in found:
        found += _part(connection)
    head, _, body = found.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0:
        part = _part(connection)
        found += part
        missing -= len(part)
    return found


def _part(connection: socket.socket) -> bytes:
    part = connection.recv(65_536)
    assert part, "the connection was closed early"
    return part


@contextmanager
def lossy_link(upstream: int) -> Iterator[LossyLink]:
    """The link to a server on this port of the machine."""
    link = LossyLink(upstream)
    thread = threading.Thread(target=link.carry)
    thread.start()
    try:
        yield link
    finally:
        link.close()
        thread.join(TIMEOUT_S)
