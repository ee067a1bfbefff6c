"""The services that routes use. `bootstrap` makes them."""

from collections.abc import Awaitable, Callable

import msgspec

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.metrics_token import MetricsToken
from flashreserve.clock import Clock
from flashreserve.health import Check
from flashreserve.http.site import Cookies
from flashreserve.service.access import AccessService
from flashreserve.service.account_changes import AccountChanges
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.events import EventService
from flashreserve.service.orders import OrderService
from flashreserve.service.pauses import PauseService
from flashreserve.service.reservations import ReservationService
from flashreserve.service.webhooks import WebhookService


class Services(msgspec.Struct, frozen=True):
    """The services, and settings of HTTP.

    `health` runs the checks of `/readyz`. `metrics` renders the figures of the process, or of all processes on the
    machine. `metrics_token` gives access to docs and metrics in production; if it is empty, no token does.
    """

    reservations: ReservationService
    catalogue: CatalogueService
    pauses: PauseService
    events: EventService
    webhooks: WebhookService
    orders: OrderService
    accounts: AccountService
    account_changes: AccountChanges
    access: AccessService
    clock: Clock
    proxies: TrustedProxies
    cookies: Cookies
    hold_s_default: int
    production: bool
    metrics_token: MetricsToken
    health: Callable[[], Awaitable[list[Check]]]
    metrics: Callable[[], bytes]
