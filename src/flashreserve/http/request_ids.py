"""The id under which a request stands in the log and in its answer's X-Request-Id."""

import re
from collections.abc import Mapping
from typing import Final

_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch


class RequestIds:
    """Makes request ids that are unique for a process of its own `prefix`, at the cost of counting."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode("ascii")
        self._made = 0

    def new(self) -> bytes:
        """The next id: ASCII letters, digits and a hyphen."""
        self._made += 1
        return b"%b-%x" % (self._prefix, self._made)

    def of(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The id that the request brought, if it is short and plain, or a new one."""
        own_id = headers.get(b"x-request-id")
        return own_id if own_id is not None and _SANE_ID(own_id) else self.new()
