"""Passwords: their rules, and hashing by argon2id (RFC 9106) in a bounded pool of threads.

A hash takes tens of milliseconds of one core and megabytes of memory, on purpose. A few hundred logins a second would
leave no processor time for the sale. So at most `waiting_max` wait, and further ones get `PasswordsBusy` at once.
Groups of addresses share places and turns (see `WaitingRoom`).
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
"""Characters before normalisation, which joins up to four (base and accents) into one."""

THREADS_MAX: Final = 8
"""Hashes at once in one process. This bounds their memory, by the default `Argon2Cost` to 152 MiB."""

WAITING_MAX: Final = 64
"""Passwords that wait to be hashed or verified, in one process."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

Result = TypeVar("Result")

_log = structlog.get_logger(__name__)


class Argon2Cost(msgspec.Struct, frozen=True):
    """The cost of one hash. The default is the least that OWASP's password storage cheat sheet recommends."""

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1


class Verification(msgspec.Struct, frozen=True):
    """Whether the password is right and, if its stored hash is weaker than new ones are, a new hash to store."""

    ok: bool
    rehashed: str | None = None


class PasswordsBusy(msgspec.Struct, frozen=True, tag=True):
    """The password was not checked: too many wait already, or the machine has no memory or no thread for it."""


def normalised_password(text: str) -> str | InvalidField:
    """The form of the password that is hashed: NFC, as RFC 8265 requires for passwords.

    An accented letter is one character on some keyboards and two on others; both must be the same password. Nothing
    else is changed: case and spaces count, and all scripts are allowed.
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
    """The same form of a new password, which must also be long enough and have no control characters.

    RFC 8265 excludes control characters (4.2): most forms and keyboards can't enter them.
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
    """Hashes and verifies passwords, `threads` at a time; `waiting_max` more may wait.

    `threads` should be fewer than the processors that may be used (see `hashing_threads`). Passwords must be in the
    form of `normalised_password`. All calls must come from one event loop.
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
        self._dummy_hash = _dummy_hash(cost)
        self._threads = threads
        self._pool = self._new_pool()
        self._closed = False
        self._working = 0
        self._waiting: WaitingRoom[_Job] = WaitingRoom(waiting_max)

    async def hash(self, password: str, groups: Sequence[str] = ("",)) -> str | PasswordsBusy:
        """The argon2id string to store for `password`. `groups` are the client's (see `WaitingRoom`)."""
        _check_bound(password)
        return await self._run(lambda: self._hash(password), groups)

    async def verify(
        self, stored_hash: str | None, password: str, groups: Sequence[str] = ("",)
    ) -> Verification | PasswordsBusy:
        """Whether `password` belongs to `stored_hash`. `groups` are the client's.

        None stands for an account that doesn't exist: the result is no, after the same work, so that the time taken
        doesn't tell which accounts exist.
        """
        _check_bound(password)
        return await self._run(lambda: self._verify(stored_hash, password), groups)

    def close(self) -> None:
        """Accept no more work, and drop jobs that have not begun."""
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
            self._hasher.verify(stored_hash or self._dummy_hash, password)
        except VerifyMismatchError:
            return Verification(ok=False)
        except (VerificationError, InvalidHashError) as error:  # Except for shortages, the stored hash is damaged.
            return _unhashed(error) if str(error) in _SHORTAGES else Verification(ok=False)
        except MemoryError as error:
            return _unhashed(error)
        if stored_hash is None:
            return Verification(ok=False)
        rehashed = self._hash(password) if self._is_weak(stored_hash) else None
        return Verification(ok=True, rehashed=rehashed if isinstance(rehashed, str) else None)

    def _is_weak(self, stored_hash: str) -> bool:
        # Only a rise counts. If any difference did, processes with old and new parameters side by side would replace
        # each other's hashes at every login.
        stored, now = extract_parameters(stored_hash), extract_parameters(self._dummy_hash)
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
        # A cancelled caller doesn't cancel its job: the job keeps its place until a thread takes it. Otherwise callers
        # who come and go could give the threads more jobs than `waiting_max` allows.
        outcome: Result | PasswordsBusy = await asyncio.shield(job.outcome)
        return outcome

    def _start(self, job: "_Job") -> None:
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, job.work)
        except RuntimeError as error:  # No thread can be started, or the pool is closed.
            job.complete(_unhashed(error))
            if self._working == 0 and not self._closed:
                # The pool has kept the job for which it had no thread, but no caller waits for that job any more.
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
    """Work for a thread, and the future that its caller awaits."""

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
    """The result if the machine had no memory or no thread: it says nothing about the password."""
    _log.warning("passwords can't be hashed", error=str(error) or type(error).__name__)
    return PasswordsBusy()


def hashing_threads(processors: int, *, processes: int = 1) -> int:
    """The number of hashing threads for each of `processes` that share the processors: 1 to `THREADS_MAX`.

    One processor is left to the process's event loop and writer.
    """
    return max(1, min(processors // processes - 1, THREADS_MAX))


_SHORTAGES: Final = frozenset(map(error_to_str, (-22, -33)))
"""Argon2's messages for no memory (ARGON2_MEMORY_ALLOCATION_ERROR) and no thread (ARGON2_THREAD_FAIL)."""


def _check_bound(password: str) -> None:
    if len(password) > PASSWORD_LENGTH_MAX:
        raise ValueError(f"a password of {len(password)} characters came past normalised_password")


def _dummy_hash(cost: Argon2Cost) -> str:
    """A hash that takes as long to verify as any other. No password is known to have it: its digest is all zeros."""
    salt = b64encode(bytes(_SALT_BYTES)).rstrip(b"=").decode()
    digest = b64encode(bytes(_HASH_BYTES)).rstrip(b"=").decode()
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${digest}"
