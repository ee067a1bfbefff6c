"""Opens and inspects the store that the settings name. The only module that names concrete stores.

The engine that isn't used isn't imported, because that would double the time that most commands take.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from flashreserve.clock import SystemIds
from flashreserve.settings import Settings, SettingsError
from flashreserve.stores.port import Store, StoreUnavailableError
from flashreserve.stores.sqlite import SqliteStore, open_sqlite, open_sqlite_to_read
from flashreserve.stores.sqlite.admission import refuse_orphaned_log, unwritable_of
from flashreserve.stores.sqlite.files import identity_of
from flashreserve.stores.sqlite.inspection import FileInspection, inspect_sqlite, sqlite_version

if TYPE_CHECKING:
    from flashreserve.stores.mongo import ServerInspection

_log = structlog.get_logger(__name__)

OWNER_ALONE: Final = 0o700
"""The mode of a data directory that is made. It holds customers' data and the signing key."""


async def open_store(settings: Settings, *, create: bool) -> Store:
    """Open the store that the settings name for writing, to be used in this event loop only.

    A database that is made is logged with its path, so that a wrong directory is noticed.

    Raises:
        SettingsError: the directory of the database can't be made.
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if settings.clustered:
        return await _open_mongo(settings, create=create)
    if not create:
        existing = _existing(settings)
        return await _opened(lambda: _open_sqlite(settings, existing, create=False))
    path = settings.sqlite_path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=OWNER_ALONE)
    except OSError as error:
        raise SettingsError(f"the directory {path.parent} can't be made: {error.strerror}") from error
    is_new = not path.exists() or not path.stat().st_size
    store = await _opened(lambda: _open_sqlite(settings, path, create=True))
    if is_new:
        _log.warning(f"made a new database at {path}")
    return store


async def open_store_again(settings: Settings, identity: str) -> Store:
    """Open the store for a process that starts beside others. Makes nothing, and requires the file that they have open.

    Raises:
        StoreUnavailableError: as for `open_store`, or another database is in its place.
    """
    if not settings.clustered and database_identity(settings) not in {identity, ""}:
        raise StoreUnavailableError(
            f"{settings.sqlite_path.absolute()} isn't the file that this server was started with:"
            " put that back, or stop the server and start it again"
        )
    return await open_store(settings, create=settings.clustered)


def database_identity(settings: Settings) -> str:
    """An identity that differs if another file takes the database file's place; empty if there is no file."""
    found = None if settings.clustered else identity_of(settings.sqlite_path)
    return "" if found is None else "{}:{}".format(*found)


async def open_store_to_read(settings: Settings) -> Store:
    """Open the store that the settings name for reading only. Nothing is made.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if settings.clustered:
        return await _open_mongo(settings, create=False)
    existing = _existing(settings)
    return await _opened(lambda: open_sqlite_to_read(existing))


def inspect_file(settings: Settings) -> FileInspection | None:
    """Inspect the embedded engine's file without changing it. Takes as long as reading all of it.

    Returns:
        None if there is no database yet.

    Raises:
        StoreUnavailableError: the file can't be used, or it is gone and its log is still there.
    """
    path = settings.sqlite_path
    if not path.exists():
        refuse_orphaned_log(path)
        return None
    return inspect_sqlite(path)


def unwritable_part(settings: Settings) -> Path | None:
    """The first of the database's file, log, shared memory and directory that can't be written, or None."""
    path = settings.sqlite_path.absolute()
    return unwritable_of(path) if path.exists() else None


async def inspect_server(settings: Settings) -> "ServerInspection":
    """Inspect the clustered engine's database without changing it.

    Raises:
        StoreUnavailableError: the server can't be reached.
    """
    from flashreserve.stores.mongo import inspect_mongo  # noqa: PLC0415 - imported where used, see above

    return await inspect_mongo(settings.store)


def engine_version() -> tuple[str, bool]:
    """SQLite's version, and whether it is safe with several processes."""
    return sqlite_version()


async def _opened(open_file: Callable[[], SqliteStore]) -> SqliteStore:
    """Open the store on a thread, because it may wait for other processes, and signals must be heard meanwhile.

    The caller may be cancelled. The thread then closes the store once it is open, or ends with the process.
    """
    opened: Future[SqliteStore] = Future()

    def work() -> None:
        try:
            store = open_file()
        except BaseException as error:  # noqa: BLE001 - the caller gets every error
            with suppress(InvalidStateError):
                opened.set_exception(error)
            return
        try:
            opened.set_result(store)
        except InvalidStateError:
            asyncio.run(store.close())

    threading.Thread(target=work, name="opening", daemon=True).start()
    try:
        return await asyncio.wrap_future(opened)
    except asyncio.CancelledError:
        if not opened.cancel() and opened.exception() is None:  # It was opened just now.
            await opened.result().close()
        raise


def _open_sqlite(settings: Settings, path: Path, *, create: bool) -> SqliteStore:
    return open_sqlite(path, create=create, quotas=settings.quotas, logs_grants=settings.events_grants)


async def _open_mongo(settings: Settings, *, create: bool) -> Store:
    from flashreserve.stores.mongo import open_mongo  # noqa: PLC0415 - imported where used, see above

    return await open_mongo(
        settings.store, SystemIds(), create=create, quotas=settings.quotas, logs_grants=settings.events_grants
    )


def _existing(settings: Settings) -> Path:
    path = settings.sqlite_path
    if not path.exists():
        raise StoreUnavailableError(
            f"there is none at {path.absolute()}; `flashreserve serve` makes one, FLASHRESERVE_DATA_DIR says where"
        )
    return path
