"""The embedded engine: one SQLite file, any number of processes on one machine."""

from flashreserve.stores.sqlite.store import SqliteStore, open_sqlite, open_sqlite_to_read

__all__ = ["SqliteStore", "open_sqlite", "open_sqlite_to_read"]
