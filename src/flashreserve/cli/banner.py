"""The announcement of a server that is ready: a banner on a terminal, otherwise a line in the log."""

import sys
from typing import Final

import click
import msgspec
import structlog

from flashreserve import __version__

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - shown, not bound
_log = structlog.get_logger(__name__)


class Serving(msgspec.Struct, frozen=True):
    """The facts that are announced. Without a `port`, nothing is served over HTTP.

    `first_admin` is the token of the link that makes the first admin's account; None if there is an account.
    """

    role: str
    engine: str
    data: str
    host: str = ""
    port: int | None = None
    workers: int = 1
    production: bool = False
    prefix: str = ""
    demo: bool = False
    first_admin: str | None = None

    @property
    def url(self) -> str:
        """The service's URL, as seen from this machine."""
        host = "localhost" if self.host in _EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def pages(self) -> str:
        """The address that the paths of the web applications follow."""
        return self.url + self.prefix

    @property
    def first_admin_link(self) -> str | None:
        """The address of the page that makes the first admin's account; None if there is an account."""
        return None if self.first_admin is None else f"{self.pages}/admin/first?token={self.first_admin}"


def announce(serving: Serving) -> None:
    """Print the banner on a terminal; without one, log a line."""
    if sys.stdout.isatty():
        click.echo(banner(serving))
        return
    addresses = {} if serving.port is None else {"url": serving.url, "docs": f"{serving.url}/api-docs"}
    if serving.first_admin is not None:
        # Not the link: it is a secret, and logs are kept and read by many.
        addresses["first_admin"] = "there is no account yet; flashreserve admin create EMAIL makes the first admin's"
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
    """The banner's lines."""
    rows = [("Engine", serving.engine), ("Role", _role(serving)), ("Data", serving.data)]
    if serving.port is not None:
        closed = " (for admins)" if serving.production else ""
        rows = [
            ("Shop", serving.url + (" and every address of this machine" if serving.host in _EVERYWHERE else "")),
            *([("Storefront", f"{serving.pages}/demo")] if serving.demo else []),
            ("Console", f"{serving.pages}/admin"),
            ("API docs", f"{serving.url}/api-docs{closed}"),
            ("Metrics", f"{serving.url}/metrics{closed}"),
            *rows,
        ]
    lines = [f"FlashReserve {__version__}", *(f"  {name:10} {value}" for name, value in rows), "  Ctrl-C ends it."]
    if serving.first_admin_link is not None:
        lines += ["", "There is no account yet. This link makes the first admin's; it is good for a day:"]
        lines += [f"  {serving.first_admin_link}"]
    return "\n".join(lines)


def _role(serving: Serving) -> str:
    does = {"all": "serves, and releases lapsed holds", "api": "serves only", "worker": "releases lapsed holds only"}
    workers = "" if serving.workers == 1 else f", {serving.workers} processes"
    return f"{serving.role} ({does[serving.role]}{workers})"
