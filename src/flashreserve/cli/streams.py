"""Standard input, output and error that commands can rely on, however the process was started.

- A closed stream (`>&-`) becomes /dev/null: output is dropped, and no database or socket gets the stream's number.
- An error of standard output is an `OutputError`, once; after that, output is dropped. Python would try again at exit,
  and end with 120.
- An error of standard error is dropped, because it can't be reported anywhere.
"""

import io
import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

from typing_extensions import override

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_COUNT: Final = 3


class OutputError(Exception):
    """Standard output can't be written. `errno` is the system's."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.errno = error.errno


class _StreamOutput(io.FileIO):
    """A stream that fails at most once."""

    def __init__(self, descriptor: int, *, raises: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._raises = raises
        self._lost = False

    @override
    def write(self, data: "ReadableBuffer", /) -> int:
        if not self._lost:
            try:
                return super().write(data)
            except OSError as error:
                self._lost = True
                if self._raises:
                    raise OutputError(error) from error
        return memoryview(data).nbytes


def prepare_streams() -> None:
    """Replace the standard streams by ones that behave as described above. Called once, before any file is opened."""
    for number in range(_COUNT):
        _open_if_closed(number)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(os.devnull)), encoding="utf-8")
    sys.stdout = _text(sys.stdout, raises=True)
    sys.stderr = _text(sys.stderr, raises=False)


def _open_if_closed(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        # The lowest free number is this one. Children need it as well.
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - the standard library's own


def _text(stream: TextIO | None, *, raises: bool) -> TextIO:
    """The stream, or /dev/null if it was closed: its number may belong to a library's file by now."""
    descriptor = os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
    return io.TextIOWrapper(
        io.BufferedWriter(_StreamOutput(descriptor, raises=raises)),
        encoding="utf-8" if stream is None else stream.encoding,
        # A product's name may have letters that the terminal's encoding lacks.
        errors="backslashreplace",
        line_buffering=stream is not None and stream.isatty(),
    )
