"""Passwords: their rules, and argon2id (RFC 9106) in a bounded pool of threads.

A hash takes tens of milliseconds of one core and megabytes of memory, on purpose. Without bounds, a few hundred logins
a second would take the machine away from the sale: past `waiting_max` the answer is `PasswordsBusy`, at once. Places
and turns are shared by groups of addresses (see `WaitingRoom`).
"""

import asyncio
import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import structlog
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import error_to_str

from flashreserve.auth.outcomes import InvalidField
from flashreserve.auth.waiting_room import WaitingRoom

PASSWORD_LENGTH_MIN: Final = 8
PASSWORD_LENGTH_MAX: Final = 128
"""Characters, after normalisation."""

_RAW_LENGTH_MAX: Final = 4 * PASSWORD_LENGTH_MAX
"""Characters before normalisation, which may join up to four (base and accents) into one."""

THREADS_MAX: Final = 8
"""Hashes at once in one process, which bounds their memory: by the default `Argon2Cost`, 152 MiB."""

WAITING_MAX: Final = 64
"""Passwords that wait to be hashed or verified, in one process."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


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
    """This password wasn't looked at: too many wait already, or the machine has no memory or no thread for it."""


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
    """The same for a password that is being chosen: it must also be long enough, and without control characters.

    RFC 8265 excludes those from passwords (4.2): few forms and keyboards let anybody type them again.
    """
    password = normalised_password(text)
    if isinstance(password, InvalidField):
        return password
    if len(password) < PASSWORD_LENGTH_MIN:
        return _invalid_length()
    return InvalidField("password", "must have no control characters") if _control(password) else password


_control: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


def _invalid_length() -> InvalidField:
    return InvalidField("password", f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")


class Passwords:
    """Hashes and verifies, `threads` at a time; `waiting_max` more may wait.

    `threads` should be fewer than the processors that may be used (see `hashing_threads`). Passwords come in as
    `normalised_password` gives them. All calls come from one event loop.
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
        self._threads = threads
        self._pool = self._new_pool()
        self._closed = False
        self._working = 0
        self._waiting: WaitingRoom[_Job] = WaitingRoom(waiting_max)

    async def hash(self, password: str, groups: Sequence[str] = ("",)) -> str | PasswordsBusy:
        """The argon2id string to store for `password`. `groups` are who asks (see `WaitingRoom`)."""
        _check_bound(password)
        return await self._run(lambda: self._hash(password), groups)

    async def verify(
        self, stored_hash: str | None, password: str, groups: Sequence[str] = ("",)
    ) -> Verification | PasswordsBusy:
        """Whether `password` belongs to `stored_hash`. `groups` are who asks.

        None stands for an account that doesn't exist: the same work is done and the answer is no, so that the time
        taken doesn't tell which accounts there are.
        """
        _check_bound(password)
        return await self._run(lambda: self._verify(stored_hash, password), groups)

    def close(self) -> None:
        """Takes no more work and drops what hasn't begun."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        for job in self._waiting.clear():
            job.complete(PasswordsBusy())

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max_workers=self._threads, thread_name_prefix="passwords")

    def _hash(self, password: str) -> str | PasswordsBusy:
        try:
            return self._hasher.hash(password)
        except (HashingError, MemoryError) as error:
            return _unhashed(error)

    def _verify(self, stored_hash: str | None, password: str) -> Verification | PasswordsBusy:
        try:
            self._hasher.verify(stored_hash or self._nobodys_hash, password)
        except VerifyMismatchError:
            return Verification(ok=False)
        except (VerificationError, InvalidHashError) as error:  # All but the shortages: the stored hash is damaged.
            return _unhashed(error) if str(error) in _SHORTAGES else Verification(ok=False)
        except MemoryError as error:
            return _unhashed(error)
        if stored_hash is None:
            return Verification(ok=False)
        rehashed = self._hash(password) if self._is_weak(stored_hash) else None
        return Verification(ok=True, rehashed=rehashed if isinstance(rehashed, str) else None)

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

    async def _run(self, work: Callable[[], Result | PasswordsBusy], groups: Sequence[str]) -> Result | PasswordsBusy:
        job = _Job(work, asyncio.get_running_loop().create_future())
        if self._working < self._threads:
            self._start(job)
        else:
            removed = self._waiting.add(groups, job)
            if removed is not None:
                removed.complete(PasswordsBusy())
        # A caller that goes away doesn't cancel its job: the job's place stays taken until its thread has really
        # come to it, or callers who come and go could make the queue as long as they like.
        outcome: Result | PasswordsBusy = await asyncio.shield(job.outcome)
        return outcome

    def _start(self, job: "_Job") -> None:
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, job.work)
        except RuntimeError as error:  # No thread can be started, or the pool is closed.
            job.complete(_unhashed(error))
            if self._working == 0 and not self._closed:
                # The pool keeps what it had no thread for; nobody waits for that any more.
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = self._new_pool()
            return
        self._working += 1
        running.add_done_callback(partial(self._finish, job))

    def _finish(self, job: "_Job", running: asyncio.Future[Any]) -> None:
        self._working -= 1
        if running.cancelled():
            job.complete(PasswordsBusy())
        elif (error := running.exception()) is not None:
            job.fail(error)
        else:
            job.complete(running.result())
        following = self._waiting.next()
        if following is not None:
            self._start(following)


class _Job:
    """Work for a thread, and the future of who waits for it."""

    __slots__ = ("outcome", "work")

    def __init__(self, work: Callable[[], Any], outcome: "asyncio.Future[Any]") -> None:
        self.work = work
        self.outcome = outcome

    def complete(self, value: object) -> None:
        if not self.outcome.done():
            self.outcome.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


def _unhashed(error: Exception) -> PasswordsBusy:
    """The machine had no memory or no thread: that says nothing about the password."""
    _log.warning("passwords can't be hashed", error=str(error) or type(error).__name__)
    return PasswordsBusy()


def hashing_threads(processors: int, *, processes: int = 1) -> int:
    """Threads that may hash at once in one of so many processes, which share the processors.

    They leave a processor to the process's event loop and writer. There are 1 to `THREADS_MAX`.
    """
    return max(1, min(processors // processes - 1, THREADS_MAX))


_SHORTAGES: Final = frozenset(map(error_to_str, (-22, -33)))
"""What argon2 says when it has no memory (ARGON2_MEMORY_ALLOCATION_ERROR) or no thread (ARGON2_THREAD_FAIL)."""


def _check_bound(password: str) -> None:
    if len(password) > PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password of {len(password)} characters came past normalised_password")


def _nobodys_hash(cost: Argon2Cost) -> str:
    """Costs as much to verify as any other hash, and no password is known to have it: its digest is all zeros."""
    salt = b64encode(bytes(_SALT_BYTES)).rstrip(b"=").decode()
    digest = b64encode(bytes(_HASH_BYTES)).rstrip(b"=").decode()
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
