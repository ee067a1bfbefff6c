"""The bodies of answers, and their conversion from the model."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import Struct

from flashreserve.core import money
from flashreserve.core.instants import format_instant
from flashreserve.core.model import Account, Adjustment, Line, Product, Reservation
from flashreserve.http.fields import (
    Change,
    CurrencyCode,
    CustomerLimit,
    Extensions,
    HoldSeconds,
    Id,
    InstantText,
    PriceText,
    Quantity,
    RoleText,
    StatusText,
    Stock,
)
from flashreserve.http.problems import CheckView


class AccountView(Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: Id
    email: str
    role: RoleText
    created_at: InstantText


class TokenView(Struct, frozen=True, rename="camel"):
    """The answer to signing in. The cookie has the same token."""

    token: str
    expires_at: InstantText


class ProductView(Struct, frozen=True, rename="camel"):
    """A product. `stockQuantity` is the number of all units ever put in stock, `available` those to be reserved now."""

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
    adjusted_by: Id
    adjusted_at: InstantText


class LineView(Struct, frozen=True, rename="camel"):
    """One line of a reservation, at the price it had when it was reserved."""

    product_id: Id
    quantity: Quantity
    unit_price: PriceText
    currency: CurrencyCode


class ReservationView(Struct, frozen=True, rename="camel"):
    """A reservation."""

    id: Id
    user_id: Id
    status: StatusText
    lines: tuple[LineView, ...]
    expires_at: InstantText
    created_at: InstantText
    confirmed_at: InstantText | None
    released_at: InstantText | None


class ProductPage(Struct, frozen=True, rename="camel"):
    """Some products. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[ProductView]
    next_cursor: Id | None


class ReservationPage(Struct, frozen=True, rename="camel"):
    """Some reservations. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[ReservationView]
    next_cursor: Id | None


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


def product_view(product: Product) -> ProductView:
    """A product for everybody."""
    return ProductView(
        id=product.id,
        name=product.name,
        price=money.format_price(product.price, product.currency),
        currency=product.currency,
        stock_quantity=product.stocked,
        available=product.available,
        sale_starts_at=_format(product.sale_starts_at),
        sale_ends_at=_format(product.sale_ends_at),
        per_customer_limit=product.per_customer_limit,
        hold_seconds=product.hold_s,
        max_extensions=product.extensions_max,
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
        lines=_line_views(held.lines),
        expires_at=format_instant(held.expires_at),
        created_at=format_instant(held.created_at),
        confirmed_at=None if held.confirmed_at is None else format_instant(held.confirmed_at),
        released_at=None if held.released_at is None else format_instant(held.released_at),
    )


# Cached, because a crowd that wants one product gets equal lines.
@lru_cache(maxsize=1024)
def _line_views(lines: tuple[Line, ...]) -> tuple[LineView, ...]:
    return tuple(
        LineView(line.product_id, line.quantity, money.format_price(line.unit_price, line.currency), line.currency)
        for line in lines
    )


def product_page(products: Sequence[Product], most: int) -> ProductPage:
    """A page of at most `most` products. `products` has one more if there is a next page."""
    shown = products[:most]
    return ProductPage([product_view(each) for each in shown], shown[-1].id if len(products) > most else None)


def reservation_page(reservations: Sequence[Reservation], most: int) -> ReservationPage:
    """A page of at most `most` reservations. `reservations` has one more if there is a next page."""
    shown = reservations[:most]
    return ReservationPage(
        [reservation_view(each) for each in shown], shown[-1].id if len(reservations) > most else None
    )


def _format(ms: int | None) -> str | None:
    return None if ms is None else format_instant(ms)
