"""Items that a store has set aside: documents and rows that can't be read, and holds that can't be released.

One bad document must not stop the others. It is left out, logged and counted, until it can be read again.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import structlog

from flashreserve.core import limits
from flashreserve.core.audits import SetAside
from flashreserve.core.model import ApiKey

Raw = TypeVar("Raw")
Read = TypeVar("Read")

KEPT_MAX: Final = 10_000
"""Documents that are kept in memory. If there are more, the oldest findings are dropped and found again later."""

NAMED_MAX: Final = 100
"""Documents that an audit names, at most."""

RETRY_AFTER_MS: Final = 60_000
"""After this time a job retries an item that was set aside."""

_log = structlog.get_logger(__name__)


class UnreadableError(Exception):
    """A document or row is invalid. The message says what is wrong, without its values."""


def checked_key(key: ApiKey) -> ApiKey:
    """The key, if its times can be written.

    Raises:
        UnreadableError: a time is before 1970, or after 9999, which RFC 3339 can't write.
    """
    for field in ("created_at", "expires_at", "revoked_at", "last_used_at"):
        if not 0 <= (getattr(key, field) or 0) <= limits.INSTANT_MAX_MS:
            raise UnreadableError(f"{field}: expected an instant from 1970 to 9999")
    return key


class UnreadableItems:
    """The documents that one store has set aside."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], SetAside] = {}
        self._retry_at: dict[tuple[str, str], int] = {}
        """Items that no job retries before this time (UTC milliseconds)."""

    def all(self) -> list[SetAside]:
        """The items that are set aside now, the oldest finding first."""
        return list(self._found.values())

    def note(self, kind: str, id_: str, why: str) -> None:
        """Set a document aside."""
        if (kind, id_) in self._found:
            return
        _log.error("set aside", kind=kind, id=id_, reason=why)
        self._found[kind, id_] = SetAside(kind, id_, why)
        while len(self._found) > KEPT_MAX:
            del self._found[next(iter(self._found))]

    def readable(
        self, kind: str, raws: Iterable[Raw], id_of: Callable[[Raw], str], read: Callable[[Raw], Read]
    ) -> list[Read]:
        """The items that can be read. The others are set aside."""
        found: list[Read] = []
        for raw in raws:
            try:
                found.append(read(raw))
            except UnreadableError as error:
                self.note(kind, id_of(raw), str(error))
            else:
                if self._found:
                    self._forget(kind, id_of(raw))
        return found

    def postpone(self, kind: str, id_: str, why: str, now: int) -> None:
        """Set aside an item on which a job failed, until its retry."""
        self.note(kind, id_, why)
        self._retry_at[kind, id_] = now + RETRY_AFTER_MS
        while len(self._retry_at) > KEPT_MAX:
            del self._retry_at[next(iter(self._retry_at))]

    def postponed(self, kind: str, now: int) -> frozenset[str]:
        """The ids of the items of this kind that a job leaves out at `now`, because their retry is later."""
        if not self._retry_at:
            return frozenset()
        for key in [key for key, at in self._retry_at.items() if at <= now]:
            del self._retry_at[key]
            self._forget(*key)
        return frozenset(id_ for of, id_ in self._retry_at if of == kind)

    def _forget(self, kind: str, id_: str) -> None:
        if (kind, id_) not in self._retry_at:
            self._found.pop((kind, id_), None)
