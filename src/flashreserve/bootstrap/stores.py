"""Opening the store that the settings name, and looking at it. The only place that names concrete stores.

The engine that isn't used isn't imported: that would double the time that most commands take.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from flashreserve.clock import SystemIds
from flashreserve.settings import Settings, SettingsError
from flashreserve.stores.port import Store, StoreUnavailableError
from flashreserve.stores.sqlite import open_sqlite, open_sqlite_to_read
from flashreserve.stores.sqlite.inspection import Inspection, inspect_sqlite, sqlite_version

if TYPE_CHECKING:
    from flashreserve.stores.mongo import Inspection as MongoInspection

OWNER_ALONE: Final = 0o700
"""The mode of a data directory that is made: who bought what, and the signing key, are nobody else's business."""


async def open_store(settings: Settings, *, create: bool) -> Store:
    """The store that the settings name, ready for writing, to be used in this event loop only.

    Raises:
        SettingsError: the directory of the database can't be made.
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if settings.clustered:
        return await _open_mongo(settings, create=create)
    if not create:
        return open_sqlite(_existing(settings), create=False, quotas=settings.quotas)
    directory = settings.sqlite_path.parent
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=OWNER_ALONE)
    except OSError as error:
        raise SettingsError(f"the directory {directory} can't be made: {error.strerror}") from error
    return open_sqlite(settings.sqlite_path, create=True, quotas=settings.quotas)


async def open_store_to_read(settings: Settings) -> Store:
    """The store that the settings name, for reading only: nothing is created.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    if settings.clustered:
        return await _open_mongo(settings, create=False)
    return open_sqlite_to_read(_existing(settings))


def inspect_file(settings: Settings) -> Inspection:
    """What can be said about the embedded engine's file without changing it; as long as reading all of it takes.

    Raises:
        StoreUnavailableError: there is no such database, or it can't be used.
    """
    return inspect_sqlite(_existing(settings))


async def inspect_server(settings: Settings) -> "MongoInspection":
    """What can be said about the clustered engine's database without changing it.

    Raises:
        StoreUnavailableError: the server can't be reached.
    """
    from flashreserve.stores.mongo import inspect_mongo  # noqa: PLC0415 - imported where used, see above

    return await inspect_mongo(settings.store)


def engine_version() -> tuple[str, bool]:
    """SQLite's version, and whether it is safe with several processes."""
    return sqlite_version()


async def _open_mongo(settings: Settings, *, create: bool) -> Store:
    from flashreserve.stores.mongo import open_mongo  # noqa: PLC0415 - imported where used, see above

    return await open_mongo(settings.store, SystemIds(), create=create, quotas=settings.quotas)


def _existing(settings: Settings) -> Path:
    path = settings.sqlite_path
    if not path.exists():
        raise StoreUnavailableError(
            f"there is none at {path.absolute()}; `flashreserve serve` makes one, FLASHRESERVE_DATA_DIR says where"
        )
    return path
