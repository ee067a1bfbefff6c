"""Key sources: where issuers publish their keys, read beside the requests and again when they may have changed.

The keys are kept if their source can't be read: an outage of the shop's sign-in service signs nobody out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from flashreserve.auth.foreign_tokens import ForeignTokens
from flashreserve.auth.issuers import Issuer
from flashreserve.auth.public_keys import PublicKeys
from flashreserve.shared_read import SharedRead

REFRESH_EVERY_S: Final = 600.0
_MISSING_EVERY_S: Final = 5.0
_FAILED_EVERY_S: Final = 30.0
"""After how long `refresh` reads a source again: usually; if it was never read; and if it couldn't be read."""

_READ_EVERY_S: Final = 2.0
"""Reads of one source begin at least this far apart, however many tokens name unknown keys."""

_BROKEN_S: Final = 5.0
"""For how long after a failed read no look-up waits for another one."""

LOOK_EVERY_S: Final = 5.0
"""How often `refresh` looks which sources are due."""

_log = structlog.get_logger(__name__)

Read = Callable[[Issuer], Awaitable[bytes]]
"""Reads a source. Raises OSError or ValueError if it can't be read."""


class _Source:
    """An issuer's source: when the last read that succeeded and the last read began, and whether the latter failed."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.read_at: float | None = None
        self.tried_at: float | None = None
        self.failed = False


class KeySources:
    """The sources of the issuers that have public keys."""

    def __init__(
        self,
        issuers: Sequence[Issuer],
        tokens: ForeignTokens,
        read: Read,
        monotonic: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sources = {issuer.name: _Source(issuer) for issuer in issuers if not issuer.secret}
        self._reads = {
            name: SharedRead(partial(self._learn, source), _READ_EVERY_S, monotonic, pause)
            for name, source in self._sources.items()
        }
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

    async def look_up(self, token: str) -> bool:
        """Learn the keys of the token's issuer by a read that begins after this call.

        Returns:
            Whether that succeeded. If not, a key that isn't known may be valid.
        """
        issuer = self._tokens.issuer_of(token)
        source = None if issuer is None else self._sources.get(issuer.name)
        if source is None:
            return True
        if source.failed and self._since(source.tried_at) < _BROKEN_S:
            return False
        return await self._again(source)

    async def close(self) -> None:
        """Stop reading."""
        for read in self._reads.values():
            await read.close()

    def _is_due(self, source: _Source) -> bool:
        if source.read_at is None:
            return self._since(source.tried_at) >= _MISSING_EVERY_S
        return self._since(source.read_at) >= REFRESH_EVERY_S and self._since(source.tried_at) >= _FAILED_EVERY_S

    def _since(self, time: float | None) -> float:
        return float("inf") if time is None else self._monotonic() - time

    async def _again(self, source: _Source) -> bool:
        """Read the source by a read that begins now or later. Returns whether it could be read."""
        try:
            await self._reads[source.issuer.name].read_anew()
        except (OSError, ValueError):
            return False
        return True

    async def _learn(self, source: _Source) -> None:
        """Read the source once.

        Raises:
            OSError: it can't be read.
            ValueError: its answer is invalid.
        """
        began_at = source.tried_at = self._monotonic()
        try:
            keys = PublicKeys.parse(await self._read(source.issuer), source.issuer.allowed)
        except (OSError, ValueError) as error:
            source.failed = source.failed or source.tried_at == began_at
            _log.warning("keys of an issuer not read", issuer=source.issuer.name, error=str(error))
            raise
        if source.read_at is not None and began_at < source.read_at:
            return  # A read that began later was faster, and knows more.
        self._tokens.learn(source.issuer, keys)
        source.read_at, source.failed = began_at, False
        if keys.skipped:
            _log.warning("keys of an issuer skipped", issuer=source.issuer.name, reason="; ".join(keys.skipped))
