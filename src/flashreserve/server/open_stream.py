"""An answer that stays open after the application has returned, such as a stream of server-sent events.

ASGI keeps a task for each answer until it is complete. That is too much for thousands of answers that wait for an event
most of the time. So the server offers an extension of ASGI: if the message `http.response.start` has the key
`STREAMED`, the server writes the head, calls that key's function with an `OpenStream`, and the application returns. The
rest of the answer is written by `OpenStream.write`, and the connection closes after it.
"""

from collections.abc import Callable
from typing import Final, Protocol

STREAMED: Final = "flashreserve.streamed"
"""The key in an `http.response.start` message, and in the scope's `extensions` of a server that knows it."""


class StreamedAnswer(Protocol):
    """The part of an exchange that its stream uses."""

    @property
    def over(self) -> bool:
        """Whether no more of the answer can be written."""
        ...

    def write_streamed(self, data: bytes, /) -> bool:
        """Write more of the answer. Returns False, and writes nothing, while the client isn't taking its data."""
        ...

    def end_streamed(self) -> None:
        """Complete the answer."""
        ...

    def drop_client(self) -> None:
        """Close the connection at once."""
        ...

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged."""
        ...


class OpenStream:
    """An answer that is being streamed. Its body ends with the connection, so the data is sent as it is.

    `on_end` is called once, when the client is gone or the answer is complete.
    """

    __slots__ = ("_answer", "_written", "on_end")

    def __init__(self, answer: StreamedAnswer) -> None:
        self._answer = answer
        self._written = 0
        self.on_end: Callable[[], None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more can be written."""
        return self._answer.over

    def write(self, data: bytes) -> bool:
        """Write more of the answer.

        Returns:
            False if nothing was written: the client hasn't taken the data before it, or the stream is over.
        """
        written = self._answer.write_streamed(data)
        if written:
            self._written += len(data)
        return written

    def end(self) -> None:
        """Complete the answer and close the connection."""
        self._answer.end_streamed()

    def drop(self) -> None:
        """Close the connection at once, because the client takes nothing."""
        self._answer.drop_client()

    def untaken(self) -> int:
        """Bytes that the client hasn't acknowledged, those in the system's buffers included."""
        return self._answer.untaken()

    def taken(self) -> int:
        """Bytes of the stream that the client has acknowledged so far; below 0 until it has taken the head."""
        return self._written - self._answer.untaken()

    def ended(self) -> None:
        """Called by the exchange when the answer is over."""
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()


Begun = Callable[[OpenStream], None]
"""Takes the stream once its head is written."""
