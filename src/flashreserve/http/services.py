"""The services that routes use. `bootstrap` makes them."""

from collections.abc import Awaitable, Callable

import msgspec

from flashreserve.auth.address import TrustedProxies
from flashreserve.auth.metrics_token import MetricsToken
from flashreserve.clock import Clock
from flashreserve.health import Check, ShopReport
from flashreserve.http.refusal_counts import RefusalCounts
from flashreserve.http.site import Cookies
from flashreserve.http.streams.open_streams import OpenStreams
from flashreserve.service.access import AccessService
from flashreserve.service.account_changes import AccountChanges
from flashreserve.service.accounts import AccountService
from flashreserve.service.catalogue import CatalogueService
from flashreserve.service.events import EventService
from flashreserve.service.first_admin import FirstAdmin
from flashreserve.service.monitor import Monitor
from flashreserve.service.orders import OrderService
from flashreserve.service.pauses import PauseService
from flashreserve.service.persons import PersonService
from flashreserve.service.reservations import ReservationService
from flashreserve.service.webhooks import WebhookService


class Services(msgspec.Struct, frozen=True):
    """The services, and settings of HTTP.

    `health` runs the checks of `/readyz`, `report` these and those of `flashreserve doctor`. `metrics` renders the
    figures of the process, or of all processes on the machine. `metrics_token` gives access to docs and metrics in
    production; if it is empty, no token does. `demo`: whether the storefront is served.
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
    persons: PersonService
    first_admin: FirstAdmin
    monitor: Monitor
    streams: OpenStreams
    refusals: RefusalCounts
    clock: Clock
    proxies: TrustedProxies
    cookies: Cookies
    hold_s_default: int
    production: bool
    demo: bool
    metrics_token: MetricsToken
    health: Callable[[], Awaitable[list[Check]]]
    report: Callable[[], Awaitable[ShopReport]]
    metrics: Callable[[], bytes]
