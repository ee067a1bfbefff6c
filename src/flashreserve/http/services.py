"""What the routes work with; bootstrap puts it together."""

from collections.abc import Awaitable, Callable

import msgspec

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.metrics_token import MetricsToken
from flashreserve.auth.tokens import Tokens
from flashreserve.clock import Clock
from flashreserve.health import Check
from flashreserve.http.site import Cookies
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.reservations import ReservationService


class Services(msgspec.Struct, frozen=True):
    """The services, and what HTTP alone has to know.

    `health` runs the checks that `/readyz` answers by. `metrics` renders the process's (or, of
    several, the machine's) figures. `metrics_token` opens docs and metrics in production; empty, it opens nothing.
    """

    reservations: ReservationService
    catalogue: CatalogueService
    accounts: AccountService
    tokens: Tokens
    clock: Clock
    proxies: TrustedProxies
    cookies: Cookies
    hold_s_default: int
    production: bool
    metrics_token: MetricsToken
    health: Callable[[], Awaitable[list[Check]]]
    metrics: Callable[[], bytes]
