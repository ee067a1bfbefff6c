"""A stream without a network: what it takes is kept, and it can refuse to take more."""

from flashreserve.server.open_stream import OpenStream


class FakeAnswer:
    """The answer of a client that takes everything at once, unless `takes` is false."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.takes = True
        self.dropped = False
        self.over = False
        self.backlog = 0
        self.stream: OpenStream | None = None

    def write_streamed(self, data: bytes) -> bool:
        if self.over or not self.takes:
            return False
        self.written.append(data)
        return True

    def end_streamed(self) -> None:
        self._end()

    def drop_client(self) -> None:
        self.dropped = True
        self._end()

    def untaken(self) -> int:
        return self.backlog

    def leave(self) -> None:
        """The client goes away."""
        self._end()

    def _end(self) -> None:
        self.over = True
        assert self.stream is not None
        self.stream.ended()


def fake_stream() -> tuple[FakeAnswer, OpenStream]:
    answer = FakeAnswer()
    answer.stream = OpenStream(answer)
    return answer, answer.stream
