"""Puts everything together, and takes it apart again. The only place that names concrete stores, clocks and ids."""

from flashreserve.bootstrap.keys import KEY_FILE, key_ring
from flashreserve.bootstrap.readiness import CLOCK_APART_MAX_MS
from flashreserve.bootstrap.services import Books, Core, Seams, open_books, open_core, steady_clock, times_ahead_ms
from flashreserve.bootstrap.serving import Place, open_edge, open_service, prepare, trusted_proxies
from flashreserve.bootstrap.stores import (
    OWNER_ALONE,
    engine_version,
    inspect_file,
    inspect_server,
    open_store,
    open_store_to_read,
)
from flashreserve.bootstrap.watchdog import Watchdog
from flashreserve.bootstrap.work import open_worker

__all__ = [
    "CLOCK_APART_MAX_MS",
    "KEY_FILE",
    "OWNER_ALONE",
    "Books",
    "Core",
    "Place",
    "Seams",
    "Watchdog",
    "engine_version",
    "inspect_file",
    "inspect_server",
    "key_ring",
    "open_books",
    "open_core",
    "open_edge",
    "open_service",
    "open_store",
    "open_store_to_read",
    "open_worker",
    "prepare",
    "steady_clock",
    "times_ahead_ms",
    "trusted_proxies",
]
