"""The checks of `flashreserve doctor`. Each takes what it needs, changes nothing, and returns findings."""

import os
import platform
import resource
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec

from flashreserve.auth.keys import KeyRing
from flashreserve.bootstrap import (
    CLOCK_APART_MAX_MS,
    engine_version,
    file_with_secrets,
    inspect_file,
    inspect_server,
    issuers_of,
    key_ring,
    times_ahead_ms,
    unwritable_part,
)
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import ENV_FILE
from flashreserve.cli.service_links import ADVICE, service_links
from flashreserve.core.instants import format_instant
from flashreserve.files import exposure_of, exposure_of_database, is_file_or_pipe
from flashreserve.redis_server import check_redis
from flashreserve.server.limits import HttpLimits
from flashreserve.server.sockets import files_needed, within_files
from flashreserve.settings import Settings, SettingsError
from flashreserve.stores.port import StoreUnavailableError

DISK_FREE_MIN: Final = 100 * 1024**2
"""Bytes of free space below which a sale is at risk."""

DISK_FREE_ENOUGH: Final = 1024**3
"""Bytes of free space above which no finding is needed; a million reservations take about half of it."""

MOVEMENT_OLD_MS: Final = 60_000
"""Milliseconds from which a movement counts as abandoned: a worker should have finished it long ago."""

DUE_OLD_MS: Final = 60_000
"""Milliseconds from which a lapsed hold counts as stuck: it should have been released long ago."""

YEARS: Final = range(2026, 2100)
"""The years that a correct clock can show."""

AHEAD_MAX_MS: Final = 1_000
"""Milliseconds by which the database's newest entry may be in the future."""

LIBRARIES: Final = (
    "aiohttp",
    "apsw",
    "argon2-cffi",
    "bullmq",
    "httptools",
    "litestar",
    "msgspec",
    "pyjwt",
    "pymongo",
    "redis",
    "standardwebhooks",
    "uvloop",
)
_TRIAL_BYTES: Final = 64 * 1024
_IN_USE_WAIT_S: Final = 1.0


class CheckResult(StrEnum):
    """How bad a finding is: only `FAIL` keeps a server from working."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One result: its subject, the observation, and advice if something is wrong."""

    verdict: CheckResult
    what: str
    seen: str
    advice: str = ""


def _ok(what: str, seen: str) -> Finding:
    return Finding(CheckResult.OK, what, seen)


def _warn(what: str, seen: str, advice: str) -> Finding:
    return Finding(CheckResult.WARN, what, seen, advice)


def _fail(what: str, seen: str, advice: str) -> Finding:
    return Finding(CheckResult.FAIL, what, seen, advice)


def check_all(settings: Settings, directory: Path, now_ms: int) -> Iterable[Finding]:
    """Run every check. Checks on which others depend come first."""
    yield from versions()
    yield clock(now_ms)
    yield from _looked("env file", lambda: env_file(directory / ENV_FILE, production=settings.production))
    yield proxies(settings)
    yield production(settings)
    yield from _looked("data", lambda: [data_dir(settings.data_dir)])
    yield from _looked("keys", lambda: [keys(settings)])
    if settings.issuers:
        yield from _looked("issuers", lambda: [issuers(settings)])
    if settings.clustered:
        yield from interrupts.run(server(settings, now_ms))
        yield from interrupts.run(redis(settings))
    else:
        yield from _looked("disk", lambda: [disk(settings.sqlite_path)])
        yield from _looked("database", lambda: database(settings, now_ms))
        yield from _looked("clock", lambda: running_clocks(interrupts.run(times_ahead_ms(settings))))
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE), HttpLimits().connections_max)
    yield address(settings.host, settings.port)


def _looked(what: str, check: Callable[[], Iterable[Finding]]) -> Iterable[Finding]:
    """The findings of a check that reads files. If it may not read them, that is a finding."""
    try:
        yield from check()
    except OSError as error:
        seen = f"{error.filename}: {error.strerror}"
        yield _fail(what, seen, "let the user that runs the server read it, or run this command as that user")


def versions() -> Iterable[Finding]:
    """Python, SQLite and the libraries."""
    yield _ok("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    sqlite, safe = engine_version()
    if safe:
        yield _ok("sqlite", sqlite)
    else:
        yield _fail("sqlite", f"{sqlite} can corrupt its log", "install a newer apsw, with SQLite 3.51.3 or later")
    found = {name: _version(name) for name in LIBRARIES}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        yield _fail("libraries", f"missing: {', '.join(missing)}", "install FlashReserve again")
    else:
        yield _ok("libraries", ", ".join(f"{name} {number}" for name, number in found.items()))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def clock(now_ms: int) -> Finding:
    """Whether the machine's time of day is plausible."""
    seen = format_instant(now_ms)
    if datetime.fromtimestamp(now_ms / 1000, UTC).year in YEARS:
        return _ok("clock", seen)
    return _fail("clock", seen, "set the machine's clock, and let NTP keep it: holds end by it")


def env_file(path: Path, *, production: bool) -> Iterable[Finding]:
    """Permissions of `.env`: who may read and write it; no finding if there is none."""
    if is_file_or_pipe(path):
        yield _owners_alone("env file", path, production=production)


def _owners_alone(what: str, path: Path, *, production: bool) -> Finding:
    seen, _, advice = exposure_of(path).partition(": ")
    if not seen:
        return _ok(what, str(path))
    return (_fail if production else _warn)(what, seen, advice)


def links(environment: Mapping[str, str]) -> Iterable[Finding]:
    """Variables that Kubernetes set, and that were ignored; no finding if there are none."""
    found = service_links(environment)
    if found:
        yield _warn("environment", f"variables of a Kubernetes Service ignored: {', '.join(found)}", ADVICE)


def proxies(settings: Settings) -> Finding:
    """The proxies of FLASHRESERVE_TRUSTED_PROXIES."""
    return _ok("proxies", settings.trusted_proxies or "none trusted; clients are told by their own addresses")


def production(settings: Settings) -> Finding:
    """Whether docs and metrics are closed in a shop that others can reach."""
    if settings.production and settings.clustered and settings.private_network:
        return _ok("environment", "production; MongoDB and Redis are trusted to be on a private network")
    if settings.production or settings.host in {"127.0.0.1", "::1", "localhost"}:
        return _ok("environment", settings.env)
    seen = f"development, and others can reach {settings.host}: docs and metrics are open to them"
    return _warn("environment", seen, "set FLASHRESERVE_ENV=production for a shop that sells")


def data_dir(path: Path) -> Finding:
    """Whether the data directory can be written, or made."""
    return _directory("data", path.absolute(), "FLASHRESERVE_DATA_DIR")


def _directory(what: str, path: Path, variable: str) -> Finding:
    """Whether files can be made in a directory, or in one that the first start makes there."""
    if path.is_dir():
        fault = _fault_of_writing(path)
        if fault:
            return _fail(what, f"{path} can't be written: {fault}", "give the server's user access and room")
        return _ok(what, str(path))
    above = next(parent for parent in path.parents if os.path.lexists(parent))
    if os.path.lexists(path) or not above.is_dir():
        return _fail(what, f"{path} is no directory", f"correct {variable}")
    fault = _fault_of_writing(above)
    if fault:
        return _fail(what, f"{path} can't be made: {fault}", f"make it, or allow writing in {above}")
    return _ok(what, f"{path} isn't there yet; the first start makes it")


def _fault_of_writing(directory: Path) -> str:
    """Why a file can't be written there; empty if it can. Modes don't show it if a file system is full or read-only."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_TRIAL_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def keys(settings: Settings) -> Finding:
    """The keys that sign tokens."""
    path = settings.key_path
    if not (settings.secret_keys or settings.production or settings.clustered or os.path.lexists(path)):
        return _ok("keys", f"{path.absolute()} isn't there yet; the first start makes it")
    if settings.production and path.is_file() and exposure_of(path):
        return _owners_alone("keys", path.absolute(), production=True)
    try:
        ring = key_ring(settings, create=False)
    except SettingsError as error:
        return _fail("keys", str(error), "correct it; a new key of 32 bytes or more signs everybody out")
    if settings.secret_keys:
        return _ok("keys", f"{', '.join(ring.kids)} from FLASHRESERVE_SECRET_KEYS; the first one signs")
    return _owners_alone("keys", path.absolute(), production=False)


def issuers(settings: Settings) -> Finding:
    """The shop's issuers, whose tokens customers may have, and who may read their file if it has shared secrets."""
    try:
        found, secret = issuers_of(settings, _ring(settings)), file_with_secrets(settings)
    except SettingsError as error:
        return _fail("issuers", str(error), "correct it; docs/settings.md shows an example")
    if secret is not None and is_file_or_pipe(secret) and exposure_of(secret):
        return _owners_alone("issuers", secret, production=settings.production)
    return _ok("issuers", ", ".join(f"{issuer.name} ({issuer.issuer})" for issuer in found))


def _ring(settings: Settings) -> KeyRing | None:
    """The keys that sign tokens; None if there are none yet, or invalid ones, which `keys` reports."""
    try:
        return key_ring(settings, create=False)
    except SettingsError:
        return None


def disk(path: Path) -> Finding:
    """Free space where the database is, or will be."""
    place = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    seen = f"{free / 1024**3:.1f} GiB free in {place}"
    if free < DISK_FREE_MIN:
        return _fail("disk", seen, "make room: a full disk ends the sale")
    return _ok("disk", seen) if free >= DISK_FREE_ENOUGH else _warn("disk", seen, "make room before the sale")


def database(settings: Settings, now_ms: int) -> Iterable[Finding]:
    """The database file: whether it opens, is whole, and fits this program and this clock."""
    path = settings.sqlite_path.absolute()
    unwritable = unwritable_part(settings)
    if unwritable is not None:
        yield _fail("database", f"{unwritable} can't be written", "give it to the user that runs the server")
        return
    try:
        found = inspect_file(settings)
    except StoreUnavailableError as error:
        yield _fail("database", str(error), "see that FLASHRESERVE_STORE and FLASHRESERVE_DATA_DIR name the right file")
        return
    if found is None:
        yield _new_database(path, "FLASHRESERVE_STORE" if settings.store else "FLASHRESERVE_DATA_DIR")
        return
    if found.version < found.newest_version:
        seen = f"{path} has version {found.version}, this program's is {found.newest_version}"
        yield _warn("database", seen, "copy the file, then start `flashreserve serve`, which brings it up to date")
    else:
        yield _ok("database", f"{path}, version {found.version}")
    if found.journal_mode == "wal":
        yield _ok("journal", "write-ahead log")
    else:
        yield _warn("journal", f"{found.journal_mode}, not wal", "start `flashreserve serve`, which changes it")
    exposure = exposure_of_database(path)
    if exposure:
        seen, _, advice = exposure.partition(": ")
        yield (_fail if settings.production else _warn)("privacy", seen, advice)
    if found.faults:
        seen = "; ".join(found.faults)
        yield _fail("integrity", seen, "stop the server, keep a copy of the files, and restore the last good backup")
    else:
        yield _ok("integrity", "SQLite's quick check finds nothing")
    if found.newest_at is not None and found.newest_at > now_ms + AHEAD_MAX_MS:
        seen = f"the newest reservation is of {format_instant(found.newest_at)}, which is yet to come"
        yield _fail("clock", seen, "the clock goes behind, or went ahead before: set it, and let NTP keep it")
    yield from backlog(None, found.unreadable, now_ms)


def _new_database(path: Path, variable: str) -> Finding:
    """Whether the first start can make the database. It makes the directory too, but not that of a link's target."""
    directory = path.parent
    if path.is_symlink():
        directory = Path(os.path.realpath(path)).parent
        if not directory.is_dir():
            return _fail("database", f"{path} is a link to a file that isn't there", f"make {directory}")
    found = _directory("database", directory, variable)
    if found.verdict is CheckResult.FAIL:
        return found
    return _ok("database", f"{path} isn't there yet; the first start makes it")


def running_clocks(ahead_ms: Sequence[int]) -> Iterable[Finding]:
    """How far the running processes' clocks are ahead of the machine's; no finding if none runs."""
    if not ahead_ms:
        return
    furthest = max(ahead_ms, key=abs)
    if abs(furthest) <= CLOCK_APART_MAX_MS:
        yield _ok("clock", f"agrees with that of {len(ahead_ms)} running processes to within a second")
        return
    seen = (
        f"a running process goes by a time {abs(furthest) / 1000:.1f} s {'ahead of' if furthest > 0 else 'behind'} it"
    )
    yield _fail("clock", seen, "set the clock, and let NTP keep it; what it is set to is adopted after 5 s")


async def server(settings: Settings, now_ms: int) -> list[Finding]:
    """The clustered engine's database: whether it answers, how it is set up, and what time it has."""
    try:
        began_s = time.monotonic()
        found = await inspect_server(settings)
        now_ms += round((time.monotonic() - began_s) * 1000)
    except StoreUnavailableError as error:
        return [_fail("database", str(error), "start the server, or correct FLASHRESERVE_STORE")]
    findings = [_ok("database", f"{settings.database}, MongoDB {found.version}, {found.topology}")]
    if found.fault:
        advice = "start `flashreserve serve`, which makes what is missing"
        findings.append((_warn if not found.products else _fail)("indexes", found.fault, advice))
    apart_ms = found.now_ms - now_ms
    if abs(apart_ms) > CLOCK_APART_MAX_MS:
        seen = f"{abs(apart_ms) / 1000:.1f} s {'behind' if apart_ms > 0 else 'ahead of'} the database's"
        findings.append(_fail("clock", seen, "let NTP keep both; until then servers here aren't ready"))
    else:
        findings.append(_ok("clock", "agrees with the database's to within a second"))
    if found.oldest_movement_at is not None and found.now_ms - found.oldest_movement_at > MOVEMENT_OLD_MS:
        seen = f"a stock movement of {format_instant(found.oldest_movement_at)} isn't finished"
        findings.append(_warn("movements", seen, "start `flashreserve worker`, which finishes what a crash left"))
    return [*findings, *backlog(found.oldest_due_at, found.unreadable, found.now_ms)]


def backlog(oldest_due_at: int | None, unreadable: list[str] | None, now_ms: int) -> Iterable[Finding]:
    """Lapsed holds that nobody released, and reservations that can't be read."""
    if oldest_due_at is not None and now_ms - oldest_due_at > DUE_OLD_MS:
        seen = f"a hold that lapsed at {format_instant(oldest_due_at)} isn't released"
        yield _warn("sweep", seen, "start `flashreserve worker`; if one runs, its log says what it has set aside")
    if unreadable is None:
        yield _warn("documents", "the database took too long to look for unreadable ones", "run: flashreserve audit")
    elif unreadable:
        seen = f"reservations that can't be read or released, such as {', '.join(unreadable)}"
        yield _fail("documents", seen, "run `flashreserve audit`, which says what is wrong, and correct them")


async def redis(settings: Settings) -> list[Finding]:
    """The clustered engine's Redis. A server works without it, so there are only warnings."""
    if not settings.redis_url:
        seen = "none: each process counts tries at signing in for itself"
        return [_warn("redis", seen, "set FLASHRESERVE_REDIS_URL")]
    return [
        Finding(CheckResult.OK if each.level == "fine" else CheckResult.WARN, "redis", each.seen, each.advice)
        for each in await check_redis(settings.redis_url)
    ]


def open_files(limit: tuple[int, int], connections_max: int) -> Finding:
    """How many connections one process may hold: the server raises the soft limit by itself, up to the hard one."""
    hard = limit[1]
    limits = HttpLimits(connections_max=connections_max)
    wanted = files_needed(limits)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return _ok("open files", f"{wanted} or more may be open")
    seen = f"at most {hard} may be open, enough for {within_files(limits, hard).connections_max} connections"
    return _warn("open files", seen, f"raise the limit to {wanted}: ulimit -Hn, or LimitNOFILE= in a systemd unit")


def address(host: str, port: int) -> Finding:
    """Whether the server's address is free. If not, the server itself may be using it."""
    shown = f"{host} port {port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(found[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
    except OSError as error:
        if _answers(host, port):
            return _ok("address", f"{shown} is in use: a server is running")
        return _fail("address", f"{shown}: {error.strerror}", "correct FLASHRESERVE_HOST or FLASHRESERVE_PORT")
    return _ok("address", f"{shown} is free")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_IN_USE_WAIT_S):
            return True
    except OSError:
        return False


def as_settings_finding(error: SettingsError) -> Finding:
    """The only finding if the settings are invalid, because every other check needs them."""
    return _fail("settings", str(error), "correct it in the environment or in .env; docs/settings.md lists all")
