"""Opens and closes the parts of a process. The only package that names concrete stores, clocks and ids."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flashreserve.bootstrap.http_service import ProcessPlace, open_edge, open_service, prepare, trusted_proxies
    from flashreserve.bootstrap.issuers import file_with_secrets, issuers_of
    from flashreserve.bootstrap.keys import key_ring
    from flashreserve.bootstrap.live_events import (
        LOCAL_DESTINATIONS,
        open_forwarder,
        open_live_events,
    )
    from flashreserve.bootstrap.readiness import CLOCK_APART_MAX_MS
    from flashreserve.bootstrap.services import Books, Core, Seams, open_books, open_core, steady_clock, times_ahead_ms
    from flashreserve.bootstrap.stores import (
        OWNER_ALONE,
        database_identity,
        engine_version,
        inspect_file,
        inspect_server,
        open_store,
        open_store_to_read,
        unwritable_part,
    )
    from flashreserve.bootstrap.watchdog import Watchdog
    from flashreserve.bootstrap.webhooks import Webhooks, open_webhooks
    from flashreserve.bootstrap.work import open_worker

__all__ = [
    "CLOCK_APART_MAX_MS",
    "LOCAL_DESTINATIONS",
    "OWNER_ALONE",
    "Books",
    "Core",
    "ProcessPlace",
    "Seams",
    "Watchdog",
    "Webhooks",
    "database_identity",
    "engine_version",
    "file_with_secrets",
    "inspect_file",
    "inspect_server",
    "issuers_of",
    "key_ring",
    "open_books",
    "open_core",
    "open_edge",
    "open_forwarder",
    "open_live_events",
    "open_service",
    "open_store",
    "open_store_to_read",
    "open_webhooks",
    "open_worker",
    "prepare",
    "steady_clock",
    "times_ahead_ms",
    "trusted_proxies",
    "unwritable_part",
]

_MODULES: Final = {
    "CLOCK_APART_MAX_MS": "readiness",
    "LOCAL_DESTINATIONS": "live_events",
    "OWNER_ALONE": "stores",
    "Books": "services",
    "Core": "services",
    "ProcessPlace": "http_service",
    "Seams": "services",
    "Watchdog": "watchdog",
    "Webhooks": "webhooks",
    "database_identity": "stores",
    "engine_version": "stores",
    "file_with_secrets": "issuers",
    "inspect_file": "stores",
    "inspect_server": "stores",
    "issuers_of": "issuers",
    "key_ring": "keys",
    "open_books": "services",
    "open_core": "services",
    "open_edge": "http_service",
    "open_forwarder": "live_events",
    "open_live_events": "live_events",
    "open_service": "http_service",
    "open_store": "stores",
    "open_store_to_read": "stores",
    "open_webhooks": "webhooks",
    "open_worker": "work",
    "prepare": "http_service",
    "steady_clock": "services",
    "times_ahead_ms": "services",
    "trusted_proxies": "http_service",
    "unwritable_part": "stores",
}
"""The module of each name. It is imported when one of its names is first used: most commands need few of them."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
