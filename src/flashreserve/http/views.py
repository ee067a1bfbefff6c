"""The bodies of answers, and their conversion from the model."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from flashreserve.core import money
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Account, Adjustment, ApiKey, Line, Product, Reservation, Scope
from flashreserve.http.fields import (
    Change,
    CurrencyCode,
    CustomerId,
    CustomerLimit,
    Description,
    Extensions,
    ExternalId,
    HoldSeconds,
    Id,
    ImageUrl,
    InstantText,
    Metadata,
    PriceText,
    Quantity,
    Reason,
    Returned,
    RoleText,
    StatusText,
    Stock,
)
from flashreserve.http.problems import CheckView
from flashreserve.service.catalogue import ShownProduct, ShownProductsFound
from flashreserve.service.orders import Order
from flashreserve.stores.filters import ReservationsFound


class AccountView(Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: Id
    email: str
    role: RoleText
    created_at: InstantText


class AccountForAdminsView(Struct, frozen=True, rename="camel"):
    """An account, as admins see it."""

    id: Id
    email: str
    role: RoleText
    created_at: InstantText
    disabled_at: InstantText | None
    signed_out_at: InstantText | None


class AccountPage(Struct, frozen=True, rename="camel"):
    """Some accounts. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[AccountForAdminsView]
    next_cursor: Id | None


class ResetCodeView(Struct, frozen=True, rename="camel"):
    """A code for setting a new password, once."""

    code: str
    expires_at: InstantText


class TokenView(Struct, frozen=True, rename="camel"):
    """The answer to signing in. The cookie has the same token."""

    token: str
    expires_at: InstantText


class ProductView(Struct, frozen=True, rename="camel"):
    """A product. `stockQuantity` is the number of all units ever put in stock, `available` those to be reserved now.

    `pauseReason` is why its sale is paused, and null if it isn't.
    """

    id: Id
    name: str
    price: PriceText
    currency: CurrencyCode
    stock_quantity: Stock
    available: Stock
    sale_starts_at: InstantText | None
    sale_ends_at: InstantText | None
    per_customer_limit: CustomerLimit | None
    hold_seconds: HoldSeconds
    max_extensions: Extensions
    external_id: ExternalId | None
    description: Description | None
    image_url: ImageUrl | None
    metadata: Metadata
    archived: bool
    pause_reason: Reason | None
    created_at: InstantText
    updated_at: InstantText


class StockLevelView(Struct, frozen=True, rename="camel"):
    """A product's stock, as it was at `asOf`."""

    product_id: Id
    available: Stock
    as_of: InstantText


class AdjustmentView(Struct, frozen=True, rename="camel"):
    """A change of stock. `stockQuantity` and `available` are the figures right after it."""

    product_id: Id
    change: Change
    stock_quantity: Stock
    available: Stock
    adjusted_by: CustomerId
    adjusted_at: InstantText


class PauseView(Struct, frozen=True):
    """Whether the sale is paused. `settling` reservations were under way and may still be granted; after 0, none is."""

    paused: bool
    settling: Annotated[int, Meta(ge=0)]


class LineView(Struct, frozen=True, rename="camel"):
    """One line of a reservation, at the price it had when it was reserved. `returned` of its units were given back."""

    product_id: Id
    quantity: Quantity
    returned: Returned
    unit_price: PriceText
    currency: CurrencyCode


class ReservationView(Struct, frozen=True, rename="camel"):
    """A reservation."""

    id: Id
    user_id: CustomerId
    status: StatusText
    lines: tuple[LineView, ...]
    expires_at: InstantText
    created_at: InstantText
    confirmed_at: InstantText | None
    released_at: InstantText | None
    external_id: ExternalId | None
    metadata: Metadata


class OrderLineView(Struct, frozen=True, rename="camel"):
    """One line of an order. `amount` is the price of the units that weren't returned."""

    product_id: Id
    product_name: str | None
    product_external_id: ExternalId | None
    quantity: Quantity
    returned: Returned
    unit_price: PriceText
    amount: PriceText
    currency: CurrencyCode


class OrderView(Struct, frozen=True, rename="camel"):
    """A reservation with what shipping it needs. `email` is that of the customer's own account, if there is one."""

    id: Id
    user_id: CustomerId
    email: str | None
    status: StatusText
    lines: list[OrderLineView]
    expires_at: InstantText
    created_at: InstantText
    confirmed_at: InstantText | None
    released_at: InstantText | None
    external_id: ExternalId | None
    metadata: Metadata


class OrderPage(Struct, frozen=True, rename="camel"):
    """Some orders. `nextCursor`, if not null, is the `cursor` of the next page. A page may have no items."""

    items: list[OrderView]
    next_cursor: Id | None


class ProductPage(Struct, frozen=True, rename="camel"):
    """Some products. `nextCursor`, if not null, is the `cursor` of the next page. A page may have no items."""

    items: list[ProductView]
    next_cursor: Id | None


class ReservationPage(Struct, frozen=True, rename="camel"):
    """Some reservations. `nextCursor`, if not null, is the `cursor` of the next page. A page may have no items."""

    items: list[ReservationView]
    next_cursor: Id | None


class KeyView(Struct, frozen=True, rename="camel"):
    """An API key, without its secret. `lastUsedAt` is exact to about a minute."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: InstantText
    created_by: CustomerId | None
    expires_at: InstantText | None
    revoked_at: InstantText | None
    last_used_at: InstantText | None


class NewKeyView(Struct, frozen=True, rename="camel"):
    """A new API key. `key` is shown this once."""

    key: str
    api_key: KeyView


class KeysView(Struct, frozen=True):
    """All API keys, oldest first."""

    items: list[KeyView]


class ProblemKindView(Struct, frozen=True):
    """The common part of all problems of one code."""

    code: str
    status: int
    title: str
    meaning: str


class HealthView(Struct, frozen=True):
    """The process works."""

    status: str = "ok"


class ReadinessView(Struct, frozen=True, omit_defaults=True):
    """Requests can be served. `checks` is left out unless the request asked for it."""

    status: Literal["ok"]
    checks: Sequence[CheckView] = ()


encode: Final = msgspec.json.Encoder().encode


def account_view(account: Account) -> AccountView:
    """An account for its owner."""
    return AccountView(account.id, account.email, account.role.value, format_instant(account.created_at))


def account_for_admins(account: Account) -> AccountForAdminsView:
    """An account for admins."""
    return AccountForAdminsView(
        id=account.id,
        email=account.email,
        role=account.role.value,
        created_at=format_instant(account.created_at),
        disabled_at=format_optional(account.disabled_at),
        signed_out_at=format_optional(account.signed_out_at),
    )


def account_page(accounts: Sequence[Account], most: int) -> AccountPage:
    """A page of at most `most` accounts. `accounts` has one more if there is a next page."""
    shown = accounts[:most]
    return AccountPage([account_for_admins(each) for each in shown], shown[-1].id if len(accounts) > most else None)


def product_view(shown: ShownProduct) -> ProductView:
    """A product for everybody."""
    product, details = shown.product, shown.details
    return ProductView(
        id=product.id,
        name=product.name,
        price=money.format_price(product.price, product.currency),
        currency=product.currency,
        stock_quantity=product.stocked,
        available=product.available,
        sale_starts_at=format_optional(product.sale_starts_at),
        sale_ends_at=format_optional(product.sale_ends_at),
        per_customer_limit=product.per_customer_limit,
        hold_seconds=product.hold_s,
        max_extensions=product.extensions_max,
        external_id=product.external_id,
        description=details.description,
        image_url=details.image_url,
        metadata=details.metadata,
        archived=product.archived_at is not None,
        pause_reason=product.pause,
        created_at=format_instant(product.created_at),
        updated_at=format_instant(product.updated_at),
    )


def adjustment_view(adjustment: Adjustment) -> AdjustmentView:
    """A change of stock for admins."""
    return AdjustmentView(
        product_id=adjustment.product_id,
        change=adjustment.change,
        stock_quantity=adjustment.stocked,
        available=adjustment.available,
        adjusted_by=adjustment.by,
        adjusted_at=format_instant(adjustment.at),
    )


def reservation_view(held: Reservation) -> ReservationView:
    """A reservation for its owner, or for admins."""
    return ReservationView(
        id=held.id,
        user_id=held.user_id,
        status=held.status,
        lines=line_views(held.lines),
        expires_at=format_instant(held.expires_at),
        created_at=format_instant(held.created_at),
        confirmed_at=None if held.confirmed_at is None else format_instant(held.confirmed_at),
        released_at=None if held.released_at is None else format_instant(held.released_at),
        external_id=held.external_id,
        metadata=held.metadata,
    )


def order_view(order: Order) -> OrderView:
    """An order for admins."""
    held = order.reservation
    return OrderView(
        id=held.id,
        user_id=held.user_id,
        email=order.email,
        status=held.status,
        lines=[_order_line(line, order.products.get(line.product_id)) for line in held.lines],
        expires_at=format_instant(held.expires_at),
        created_at=format_instant(held.created_at),
        confirmed_at=format_optional(held.confirmed_at),
        released_at=format_optional(held.released_at),
        external_id=held.external_id,
        metadata=held.metadata,
    )


def _order_line(line: Line, product: Product | None) -> OrderLineView:
    return OrderLineView(
        product_id=line.product_id,
        product_name=None if product is None else product.name,
        product_external_id=None if product is None else product.external_id,
        quantity=line.quantity,
        returned=line.returned,
        unit_price=money.format_price(line.unit_price, line.currency),
        amount=money.format_price(line.unit_price * line.left, line.currency),
        currency=line.currency,
    )


def order_page(orders: Sequence[Order], beyond: str | None) -> OrderPage:
    """A page of orders."""
    return OrderPage([order_view(order) for order in orders], beyond)


# Cached, because a crowd that wants one product gets equal lines.
@lru_cache(maxsize=1024)
def line_views(lines: tuple[Line, ...]) -> tuple[LineView, ...]:
    """The lines of a reservation."""
    return tuple(
        LineView(
            product_id=line.product_id,
            quantity=line.quantity,
            returned=line.returned,
            unit_price=money.format_price(line.unit_price, line.currency),
            currency=line.currency,
        )
        for line in lines
    )


def key_view(key: ApiKey) -> KeyView:
    """An API key for admins."""
    return KeyView(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        created_at=format_instant(key.created_at),
        created_by=key.created_by,
        expires_at=format_optional(key.expires_at),
        revoked_at=format_optional(key.revoked_at),
        last_used_at=format_optional(key.last_used_at),
    )


def product_page(found: ShownProductsFound) -> ProductPage:
    """A page of a search."""
    return ProductPage([product_view(each) for each in found.products], found.beyond)


def reservation_page(found: ReservationsFound) -> ReservationPage:
    """A page of a search."""
    return ReservationPage([reservation_view(each) for each in found.reservations], found.beyond)


def format_optional(ms: int | None) -> str | None:
    """The instant as text, if there is one."""
    return None if ms is None else format_instant(ms)
