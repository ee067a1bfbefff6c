"""Key sources: where issuers publish their keys, read beside the requests and again when they may have changed.

The keys are kept if their source can't be read: an outage of the shop's sign-in service signs nobody out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.issuers import Issuer
from flashreserve.auth.public_keys import PublicKeys
from flashreserve.side_by_side import end_all

REFRESH_EVERY_S: Final = 600.0
_MISSING_EVERY_S: Final = 5.0
_UNKNOWN_EVERY_S: Final = 30.0
"""After how long a source is read again: usually; if it was never read; and if a token names an unknown key."""

LOOK_EVERY_S: Final = 5.0
"""How often `refresh` looks which sources are due."""

_log = structlog.get_logger(__name__)

Read = Callable[[Issuer], Awaitable[bytes]]
"""Reads a source. Raises OSError or ValueError if it can't be read."""


class _Source:
    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.read_at: float | None = None
        self.tried_at: float | None = None
        self.reading: asyncio.Task[None] | None = None


class KeySources:
    """The sources of the issuers that have public keys."""

    def __init__(
        self, issuers: Sequence[Issuer], tokens: ForeignTokens, read: Read, monotonic: Callable[[], float]
    ) -> None:
        self._sources = {issuer.name: _Source(issuer) for issuer in issuers if not issuer.secret}
        self._tokens = tokens
        self._read = read
        self._monotonic = monotonic

    @property
    def any(self) -> bool:
        """Whether there is something to read."""
        return bool(self._sources)

    async def refresh(self) -> int:
        """Read the sources that are due. Returns 0: nothing is done that is worth a line in the log."""
        await asyncio.gather(*(self._again(source) for source in self._sources.values() if self._is_due(source)))
        return 0

    async def look_up(self, token: str) -> None:
        """Read the source of the token's issuer, unless that was tried in the last 30 s."""
        issuer = self._tokens.issuer_of(token)
        source = None if issuer is None else self._sources.get(issuer.name)
        if source is not None and (source.reading is not None or self._since(source.tried_at) >= _UNKNOWN_EVERY_S):
            await self._again(source)

    async def close(self) -> None:
        """Stop reading."""
        await end_all(*(source.reading for source in self._sources.values() if source.reading is not None))

    def _is_due(self, source: _Source) -> bool:
        if source.read_at is None:
            return self._since(source.tried_at) >= _MISSING_EVERY_S
        return self._since(source.read_at) >= REFRESH_EVERY_S and self._since(source.tried_at) >= _UNKNOWN_EVERY_S

    def _since(self, time: float | None) -> float:
        return float("inf") if time is None else self._monotonic() - time

    async def _again(self, source: _Source) -> None:
        """Read the source, at the same time for all who want it. One who no longer waits doesn't stop it."""
        if source.reading is None:
            source.reading = asyncio.create_task(self._learn(source))
        await asyncio.shield(source.reading)

    async def _learn(self, source: _Source) -> None:
        source.tried_at = self._monotonic()
        try:
            body = await self._read(source.issuer)
            keys = PublicKeys.parse(body, source.issuer.allowed)
            self._tokens.learn(source.issuer, keys)
            source.read_at = self._monotonic()
            if keys.skipped:
                _log.warning("keys of an issuer skipped", issuer=source.issuer.name, reason="; ".join(keys.skipped))
        except (OSError, ValueError) as error:
            _log.warning("keys of an issuer not read", issuer=source.issuer.name, error=str(error))
        finally:
            source.reading = None
