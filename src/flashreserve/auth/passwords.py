"""Passwords: their rules, and argon2id (RFC 9106) in a bounded pool of threads.

A hash takes tens of milliseconds of one core and megabytes of memory, on purpose. Without bounds, a few hundred logins
a second would take the machine away from the sale: past `waiting_max` the answer is `PasswordsBusy`, at once.
"""

import asyncio
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from flashreserve.auth.outcomes import InvalidField

PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 128
"""Characters, after normalisation."""

_RAW_LENGTH_MAX: Final = 4 * PASSWORD_LENGTH_MAX
"""Characters before normalisation, which may join up to four (base and accents) into one."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

Result = TypeVar("Result")


class Argon2Cost(msgspec.Struct, frozen=True):
    """What one hash costs. The default is the least that OWASP's password storage cheat sheet recommends."""

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1


class Verification(msgspec.Struct, frozen=True):
    """Whether the password is right and, if its hash is weaker than hashes are made now, a new one to store."""

    ok: bool
    rehashed: str | None = None


class PasswordsBusy(msgspec.Struct, frozen=True, tag=True):
    """Too many passwords wait already; this one wasn't looked at."""


def normalised_password(text: str) -> str | InvalidField:
    """The password as it is hashed: NFC, as RFC 8265 has it for passwords.

    An accented letter is one character on some keyboards and two on others, and must be the same password. Nothing
    else is changed: case, spaces and every script count.
    """
    if len(text) > _RAW_LENGTH_MAX:
        return _invalid_length()
    try:
        text.encode()
    except UnicodeEncodeError:
        return InvalidField("password", "must be Unicode text, without halves of surrogate pairs")
    password = unicodedata.normalize("NFC", text)
    return password if len(password) <= PASSWORD_LENGTH_MAX else _invalid_length()


def new_password(text: str) -> str | InvalidField:
    """The same for a password that is being chosen: it must also be long enough."""
    password = normalised_password(text)
    if isinstance(password, str) and len(password) < PASSWORD_LENGTH_MIN:
        return _invalid_length()
    return password


def _invalid_length() -> InvalidField:
    return InvalidField("password", f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")


class Passwords:
    """Hashes and verifies, `threads` at a time; `waiting_max` more may wait.

    `threads` should be no more than the machine has cores. Passwords come in as `normalised_password` gives them. All
    calls come from one event loop.
    """

    def __init__(self, *, threads: int, waiting_max: int, cost: Argon2Cost) -> None:
        if threads < 1 or waiting_max < 0:
            raise ValueError(f"at least 1 thread and room for 0 that wait are needed, not {threads} and {waiting_max}")
        self._hasher = PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._nobodys_hash = _nobodys_hash(cost)
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="passwords")
        self._unfinished = 0
        self._unfinished_max = threads + waiting_max

    async def hash(self, password: str) -> str | PasswordsBusy:
        """The argon2id string to store for `password`."""
        _check_bound(password)
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored_hash: str | None, password: str) -> Verification | PasswordsBusy:
        """Whether `password` belongs to `stored_hash`.

        None stands for an account that doesn't exist: the same work is done and the answer is no, so that the time
        taken doesn't tell which accounts there are.
        """
        _check_bound(password)
        return await self._run(lambda: self._verify(stored_hash, password))

    def close(self) -> None:
        """Takes no more work and drops what hasn't begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored_hash: str | None, password: str) -> Verification:
        try:
            self._hasher.verify(stored_hash or self._nobodys_hash, password)
        except (VerificationError, InvalidHashError):
            return Verification(ok=False)
        if stored_hash is None:
            return Verification(ok=False)
        return Verification(ok=True, rehashed=self._hasher.hash(password) if self._is_weak(stored_hash) else None)

    def _is_weak(self, stored_hash: str) -> bool:
        # Only a rise counts: while processes with old and new parameters run side by side, a mere difference would
        # have them replace each other's hashes at every login.
        stored, now = extract_parameters(stored_hash), extract_parameters(self._nobodys_hash)
        return (stored.type, stored.version) != (now.type, now.version) or any(
            have < want
            for have, want in (
                (stored.memory_cost, now.memory_cost),
                (stored.time_cost, now.time_cost),
                (stored.hash_len, now.hash_len),
                (stored.salt_len, now.salt_len),
            )
        )

    async def _run(self, work: Callable[[], Result]) -> Result | PasswordsBusy:
        if self._unfinished >= self._unfinished_max:
            return PasswordsBusy()
        job = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._unfinished += 1
        job.add_done_callback(self._finish)
        # A caller that goes away doesn't cancel its job: the job's place stays taken until its thread has really
        # come to it, or callers who come and go could make the queue as long as they like.
        return await asyncio.shield(job)

    def _finish(self, _job: asyncio.Future[Result]) -> None:
        self._unfinished -= 1


def _check_bound(password: str) -> None:
    if len(password) > PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password of {len(password)} characters came past normalised_password")


def _nobodys_hash(cost: Argon2Cost) -> str:
    """Costs as much to verify as any other hash, and no password is known to have it: its digest is all zeros."""
    salt = b64encode(bytes(_SALT_BYTES)).rstrip(b"=").decode()
    digest = b64encode(bytes(_HASH_BYTES)).rstrip(b"=").decode()
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
