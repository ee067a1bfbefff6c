"""What a server says when it is ready: to people on a terminal, and to whatever reads the log."""

import sys
from typing import Final

import click
import msgspec
import structlog

from flashreserve import __version__

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - shown, not bound
_log = structlog.get_logger(__name__)


class Serving(msgspec.Struct, frozen=True):
    """What runs here; without `port`, nothing is served over HTTP."""

    role: str
    engine: str
    data: str
    host: str = ""
    port: int | None = None
    workers: int = 1
    production: bool = False

    @property
    def url(self) -> str:
        """Where to find the service, seen from this machine."""
        host = "localhost" if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def announce(serving: Serving) -> None:
    """Say it on the terminal, or where there is none in the log."""
    if sys.stdout.isatty():
        click.echo(banner(serving))
        return
    addresses = {} if serving.port is None else {"url": serving.url, "docs": f"{serving.url}/api-docs"}
    _log.info(
        "ready",
        **addresses,
        role=serving.role,
        workers=serving.workers,
        engine=serving.engine,
        data=serving.data,
        version=__version__,
    )


def banner(serving: Serving) -> str:
    """The lines for people."""
    rows = [("Engine", serving.engine), ("Role", _role(serving)), ("Data", serving.data)]
    if serving.port is not None:
        closed = " (for admins)" if serving.production else ""
        rows = [
            ("Shop", serving.url + (" and every address of this machine" if serving.host in _EVERYWHERE else "")),
            ("API docs", f"{serving.url}/api-docs{closed}"),
            ("Metrics", f"{serving.url}/metrics{closed}"),
            *rows,
        ]
    lines = [f"FlashReserve {__version__}", *(f"  {name:9} {value}" for name, value in rows), "  Ctrl-C ends it."]
    return "\n".join(lines)


def _role(serving: Serving) -> str:
    does = {"all": "serves, and releases lapsed holds", "api": "serves only", "worker": "releases lapsed holds only"}
    workers = "" if serving.workers == 1 else f", {serving.workers} processes"
    return f"{serving.role} ({does[serving.role]}{workers})"
