"""`flashreserve serve` and `flashreserve worker`."""

import asyncio
import contextlib
import resource
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import rich_click as click
import structlog
import uvloop
from msgspec.structs import replace

from flashreserve.bootstrap import (
    OWNER_ALONE,
    ProcessPlace,
    Watchdog,
    open_service,
    open_worker,
    prepare,
    trusted_proxies,
)
from flashreserve.cli.banner import Serving, announce
from flashreserve.cli.failures import Exit, FailedError, sentence
from flashreserve.cli.interrupts import interrupts
from flashreserve.cli.invocation import with_settings
from flashreserve.cli.lifeline import OPTION, lifeline
from flashreserve.clock import SystemClock
from flashreserve.metrics import METRICS_SUFFIXES
from flashreserve.server.limits import HttpLimits
from flashreserve.server.process import Hooks
from flashreserve.server.process import serve as serve_http
from flashreserve.server.signals import stop_on_signals, stop_with_parent
from flashreserve.server.sockets import ServerError, allow_open_files, bind
from flashreserve.server.workers import WorkerPlace, run_workers
from flashreserve.server_urls import PORT_MAX
from flashreserve.settings import Settings, SettingsError, read_host

Role = Literal["all", "api", "worker"]

WORKERS_MAX: Final = 64
METRICS_DIR: Final = "metrics"
"""The folder in the data directory in which the processes of one start share their metrics."""

SHARE: Final = "serve-share"
CANNOT_START: Final = 3
"""The exit code by which a child process tells its parent that a restart can't help."""
DRAIN_S: Final = 24.0
"""How long requests that were accepted before the stop may take; less than the watchdog's grace."""

_log = structlog.get_logger(__name__)

T = TypeVar("T")


def _checked_host(_context: click.Context, _option: click.Parameter, host: str | None) -> str | None:
    try:
        return None if host is None else read_host(host)
    except ValueError as error:
        raise click.BadParameter(f"expected {error}") from error


@click.command()
@click.option(
    "--role",
    type=click.Choice(["all", "api", "worker"]),
    default="all",
    show_default=True,
    help="all: serve, and release lapsed holds; api: only serve; worker: only release.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, WORKERS_MAX),
    default=1,
    show_default=True,
    help="Processes that serve. More than one for each core don't help.",
)
@click.option("--port", type=click.IntRange(0, PORT_MAX), help="Instead of FLASHRESERVE_PORT; 0 takes any free port.")
@click.option(
    "--host",
    callback=_checked_host,
    help="Address to listen at, instead of FLASHRESERVE_HOST; 0.0.0.0 means all of IPv4.",
)
@with_settings
def serve(settings: Settings, role: Role, workers: int, port: int | None, host: str | None) -> int:
    """Serve the shop's API, and release the holds that lapse. Ctrl-C or SIGTERM ends it in order."""
    if role == "worker":
        if workers > 1 or port is not None or host is not None:
            raise click.UsageError("--role worker: expected without --workers, --port and --host; it serves nothing")
        _run_worker(settings)
        return 0
    here = replace(settings, host=settings.host if host is None else host, port=settings.port if port is None else port)
    return _serve_all(here, role, workers)


@click.command()
@with_settings
def worker(settings: Settings) -> None:
    """Only release the holds that lapse, beside servers with --role api. The same as serve --role worker."""
    _run_worker(settings)


def _run_worker(settings: Settings) -> None:
    with Watchdog() as watchdog:
        uvloop.run(_work(settings, watchdog))


async def _work(settings: Settings, watchdog: Watchdog) -> None:
    stop = asyncio.Event()
    with _until_stopped(stop, watchdog):
        async with _unless_stopped(stop, open_worker(settings, watchdog)):
            announce(Serving(role="worker", engine=settings.engine, data=settings.database))
            await stop.wait()
            _log.info("stopping")


@contextlib.contextmanager
def _until_stopped(stop: asyncio.Event, watchdog: Watchdog) -> Iterator[asyncio.Event]:
    """Set `stop` on a signal, and on exit. From then on, the process has its grace to end.

    Yields the event that a second Ctrl-C sets. A process that was stopped while it started ends without an error.
    """
    watchdog.attach(stop)
    with stop_on_signals(stop, interrupts.ignore) as hurry:
        try:
            yield hurry
        except _StoppedError:
            _log.info("stopped before it was ready")
        finally:
            stop.set()


class _StoppedError(Exception):
    """A process was asked to stop while it started."""


@contextlib.asynccontextmanager
async def _unless_stopped(stop: asyncio.Event, opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter the context. Entering is cancelled once `stop` is set, so that a database that hangs doesn't delay the end.

    Raises:
        _StoppedError: it was cancelled.
    """
    limit = asyncio.timeout(None)

    async def give_up() -> None:
        await stop.wait()
        limit.reschedule(asyncio.get_running_loop().time())

    async with contextlib.AsyncExitStack() as stack:
        giving_up = asyncio.create_task(give_up())
        try:
            async with limit:
                entered = await stack.enter_async_context(opening)
        except TimeoutError as error:
            if limit.expired():
                raise _StoppedError from error
            raise
        finally:
            giving_up.cancel()
        yield entered


def _serve_all(settings: Settings, role: Role, workers: int) -> int:
    try:
        with bind(settings.host, settings.port, backlog=HttpLimits().backlog) as listener:
            return _serve_on(listener, settings, role, workers)
    except ServerError as error:
        raise FailedError(str(error)) from error


def _warn_of_few_files() -> None:
    """Warn if the system allows fewer open files than all connections need."""
    wanted = HttpLimits()
    limits, needed = allow_open_files(wanted)
    if limits.connections_max < wanted.connections_max:
        _log.warning(
            "few open files are allowed: raise the hard limit (ulimit -Hn, LimitNOFILE)",
            allowed=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            needed=needed,
            connections_max=limits.connections_max,
        )


def _serve_on(listener: socket.socket, settings: Settings, role: Role, workers: int) -> int:
    _warn_of_few_files()
    host, port = listener.getsockname()[:2]
    serving = Serving(
        role=role,
        engine=settings.engine,
        data=settings.database,
        host=settings.host,
        port=port,
        workers=workers,
        production=settings.production,
        prefix=settings.path_prefix,
        demo=settings.serves_demo,
    )
    if workers > 1:
        metrics_dir = settings.data_dir.absolute() / METRICS_DIR / f"{host}-{port}"
        return uvloop.run(_serve_by_many(settings, serving, listener, metrics_dir))
    stop = asyncio.Event()
    with Watchdog() as watchdog:

        def ready(first_admin: str | None) -> None:
            announce(replace(serving, first_admin=first_admin))

        uvloop.run(_serve_by_one(settings, role, listener, stop, watchdog, ready=ready))
    return 0


async def _serve_by_one(
    settings: Settings,
    role: Role,
    listener: socket.socket,
    stop: asyncio.Event,
    watchdog: Watchdog,
    *,
    ready: Callable[[str | None], None],
    place: ProcessPlace | None = None,
) -> None:
    """One process that serves, until it is asked to stop. `ready` gets the token of the first admin's link, if any.

    Each process runs the jobs. One that comes later than another finds nothing to do, so they needn't know each other.
    """
    limits, _ = allow_open_files(HttpLimits())
    clock = SystemClock()
    with _until_stopped(stop, watchdog) as hurry:
        service = open_service(settings, sweeps=role == "all", place=place, limits=limits, watchdog=watchdog)
        async with _unless_stopped(stop, service) as shop:
            edge = shop.edge

            def draining() -> None:
                edge.drain()
                _log.info("stopping", answering=edge.in_flight)

            await serve_http(
                edge.application(),
                listener=listener,
                limits=limits,
                address_of=trusted_proxies(settings).connected_as,
                wall_clock_s=lambda: clock.now_ms() / 1000,
                hooks=Hooks(ready=lambda: ready(shop.first_admin), draining=draining),
                stop=stop,
                hurry=hurry,
                shutdown_timeout_s=DRAIN_S,
            )


async def _serve_by_many(settings: Settings, serving: Serving, listener: socket.socket, metrics_dir: Path) -> int:
    """Several processes on one address."""
    stop = asyncio.Event()
    async with prepare(settings) as prepared:
        _empty(metrics_dir)
        with stop_on_signals(stop, interrupts.ignore) as hurry:
            announce(replace(serving, first_admin=prepared.first_admin))
            code = await run_workers(
                serving.workers,
                partial(_command, serving.role, serving.workers, metrics_dir, prepared.database),
                listener=listener,
                stop=stop,
                hurry=hurry,
                log=_log,
            )
    return Exit.FAILED if code == CANNOT_START else code


def _empty(metrics_dir: Path) -> None:
    """Delete the figures of an earlier start.

    Raises:
        SettingsError: the directory is a link, so that something else would be emptied, or it can't be used.
    """
    try:
        for directory in (metrics_dir.parent, metrics_dir):
            directory.mkdir(parents=True, exist_ok=True, mode=OWNER_ALONE)
            if directory.is_symlink():
                raise SettingsError(f"{directory}: expected a directory, found a link; remove it")
        for file in metrics_dir.iterdir():
            if file.suffix in METRICS_SUFFIXES:
                file.unlink()
    except OSError as error:
        raise SettingsError(f"the directory {metrics_dir} can't be used: {error.strerror}") from error


def _command(role: str, workers: int, metrics_dir: Path, database: str, place: WorkerPlace) -> Sequence[str]:
    options = {
        "--role": role,
        "--workers": workers,
        "--number": place.number,
        "--listener-fd": place.listener_fd,
        OPTION: place.lifeline_fd,
        "--metrics-dir": metrics_dir,
        "--database": database,
    }
    # -P: a file in the working directory isn't imported in place of a module of the same name.
    return [
        sys.executable,
        "-P",
        "-m",
        "flashreserve",
        SHARE,
        *(str(word) for pair in options.items() for word in pair),
    ]


@click.command(SHARE, hidden=True)
@click.option("--role", type=click.Choice(["all", "api"]), required=True)
@click.option("--workers", type=int, required=True)
@click.option("--number", type=int, required=True)
@click.option("--listener-fd", type=int, required=True)
@click.option(OPTION, "lifeline_fd", type=int, required=True)
@click.option("--metrics-dir", type=click.Path(path_type=Path), required=True)
@click.option("--database", required=True)
@with_settings
def serve_share(
    settings: Settings,
    role: Role,
    workers: int,
    number: int,
    listener_fd: int,
    lifeline_fd: int,
    metrics_dir: Path,
    database: str,
) -> int:
    """One of the processes of `serve --workers`, which starts it."""
    place = ProcessPlace(f"worker-{number}", workers, metrics_dir, database)
    try:
        with Watchdog() as watchdog:
            uvloop.run(_serve_share(settings, role, place, listener_fd, lifeline_fd, watchdog))
    except ServerError as error:
        click.echo(sentence(str(error)), err=True)
        return CANNOT_START
    return Exit.DONE


async def _serve_share(
    settings: Settings, role: Role, place: ProcessPlace, listener_fd: int, lifeline_fd: int, watchdog: Watchdog
) -> None:
    listener = socket.socket(fileno=listener_fd)
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own
    stop = asyncio.Event()
    stop_with_parent(stop, lifeline_fd)
    lifeline.take_over()
    await _serve_by_one(
        settings,
        role,
        listener,
        stop,
        watchdog,
        ready=lambda _: _log.info("worker ready", worker=place.name),
        place=place,
    )
