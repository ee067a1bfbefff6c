"""Request ids, for the log and for X-Request-Id in answers."""

import re
from collections.abc import Mapping
from typing import Final

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class RequestIds:
    """Makes request ids by a counter. They are unique if each process has its own `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode("ascii")
        self._made = 0

    def new(self) -> bytes:
        """The next id: ASCII letters, digits and a hyphen."""
        self._made += 1
        return b"%b-%x" % (self._prefix, self._made)

    def of(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The id that the request brought if it is short and plain; otherwise a new one."""
        own_id = headers.get(b"x-request-id")
        return own_id if own_id is not None and _SANE_ID(own_id) else self.new()
