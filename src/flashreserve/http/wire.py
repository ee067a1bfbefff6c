"""What goes over the wire: the bodies of requests and answers, and how they become commands and come from the model."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from flashreserve.auth.emails import EMAIL_LENGTH_MAX
from flashreserve.auth.passwords import PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN
from flashreserve.core import limits, money, names
from flashreserve.core.commands import Edit, Wanted
from flashreserve.core.instants import format_instant, instant_of
from flashreserve.core.model import Account, Adjustment, Line, Product, Reservation, Role, Status
from flashreserve.core.outcomes import Invalid
from flashreserve.http.problems import CheckView
from flashreserve.service.catalogue import NewProduct

_ID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_PRICE: Final = r"^[0-9]{1,13}(\.[0-9]{1,4})?$"
_is_price: Final = re.compile(_PRICE[1:-1]).fullmatch
Id = Annotated[
    str,
    Meta(
        pattern=_ID,
        max_length=36,  # In Python `$` also stands before a line break at the end.
        extra_json_schema={"format": "uuid"},
        extra={"expected": "a UUID"},
    ),
]
Name = Annotated[
    str,
    Meta(
        description=(
            f"1 to {limits.NAME_LENGTH_MAX} characters on one line, without control and direction characters."
            " Spaces, and other characters that show nothing, don't count at the ends."
        ),
        # `names.parse_name` is the rule. The pattern says of it what stays readable.
        extra_json_schema={"pattern": rf"^\s*\S(.{{0,{limits.NAME_LENGTH_MAX - 2}}}\S)?\s*$"},
        extra={"expected": f"text of 1 to {limits.NAME_LENGTH_MAX} characters on one line"},
    ),
]
CurrencyCode = Annotated[
    str,
    Meta(
        pattern="^[A-Z]{3}$",
        max_length=3,
        description="ISO 4217 code of a currency that has units.",
        extra={"expected": "three capital letters of ISO 4217, such as USD"},
    ),
]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a time zone, from 1970 to 9999.")]
Quantity = Annotated[int, Meta(ge=1, le=limits.QUANTITY_MAX)]
Stock = Annotated[int, Meta(ge=0, le=limits.STOCK_MAX)]
Change = Annotated[int, Meta(ge=-limits.STOCK_MAX, le=limits.STOCK_MAX, description="Above zero: put in.")]
CustomerLimit = Annotated[
    int,
    Meta(ge=1, le=limits.PER_CUSTOMER_LIMIT_MAX, description="Units a customer may hold and have bought, together."),
]
HoldSeconds = Annotated[int, Meta(ge=1, le=limits.HOLD_S_MAX, description="How long a hold lasts.")]
Extensions = Annotated[int, Meta(ge=0, le=limits.EXTENSIONS_MAX, description="How often a hold may be extended.")]
_A_PRICE: Final = "a number such as 999.99"
Price = Annotated[
    # Not a float, which would round what was written. `reader` keeps the digits, and `_price` checks them.
    Any,
    Meta(
        description="A decimal, as text or number, with at most the currency's places.",
        extra_json_schema={
            "anyOf": [
                {"type": "string", "pattern": _PRICE},
                {"type": "number", "minimum": 0, "maximum": limits.PRICE_MINOR_MAX},
            ]
        },
        extra={"expected": _A_PRICE},
    ),
]

_CURRENCY_DEFAULT: Final = "USD"

InstantText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        description="UTC, with milliseconds.",
        extra_json_schema={"format": "date-time"},
    ),
]
PriceText = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]{1,4})?$", description="A decimal with all of the currency's places.")
]
RoleText = Annotated[str, Meta(extra_json_schema={"enum": [role.value for role in Role]})]
StatusText = Annotated[str, Meta(extra_json_schema={"enum": [status.value for status in Status]})]

# What an email and a password have to be, auth says, in words that suit a person; here it is said for the document.
Email = Annotated[
    str,
    Meta(
        extra_json_schema={
            "maxLength": EMAIL_LENGTH_MAX,
            "pattern": (
                r"^ *[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
                r"(localhost|([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
                r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?) *$"
            ),
        }
    ),
]
Password = Annotated[str, Meta(extra_json_schema={"maxLength": PASSWORD_LENGTH_MAX})]
NewPassword = Annotated[
    str,
    Meta(
        extra_json_schema={
            "minLength": PASSWORD_LENGTH_MIN,
            "maxLength": PASSWORD_LENGTH_MAX,
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
        }
    ),
]


class RegistrationBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who registers."""

    email: Email
    password: NewPassword


class CredentialsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs in."""

    email: Email
    password: Password


class QuantityBody(Struct, frozen=True, forbid_unknown_fields=True):
    """How many units of the product in the path. No body means one."""

    quantity: Quantity = 1


class LineBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One line of a basket that is asked for."""

    product_id: Id
    quantity: Quantity = 1

    def wanted(self) -> Wanted:
        """The line as the rules take it."""
        return Wanted(self.product_id.lower(), self.quantity)


class BasketBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A basket: all lines or none. The same product in several lines is summed."""

    lines: Annotated[list[LineBody], Meta(min_length=1, max_length=limits.LINES_MAX)]


class ChangeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """How many units to put in stock, or below zero to take out."""

    change: Change


class ProductBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A product to be made. Null is the same as a field left out."""

    name: Name
    price: Price
    stock_quantity: Stock
    currency: CurrencyCode | None = _CURRENCY_DEFAULT
    sale_starts_at: Instant | None = None
    sale_ends_at: Instant | None = None
    per_customer_limit: CustomerLimit | None = None
    hold_seconds: HoldSeconds | None = None
    max_extensions: Extensions | None = 0

    def product(self, hold_s_default: int) -> NewProduct | Invalid:
        """The product as the service takes it."""
        name = names.parse_name(self.name)
        if isinstance(name, Invalid):
            return name
        currency = self.currency or _CURRENCY_DEFAULT
        price = _price(self.price, currency)
        if isinstance(price, Invalid):
            return price
        unwritable = _unwritable(sale_starts_at=self.sale_starts_at, sale_ends_at=self.sale_ends_at)
        if unwritable is not None:
            return unwritable
        return NewProduct(
            name=name,
            price=price,
            currency=currency,
            stocked=self.stock_quantity,
            sale_starts_at=_instant(self.sale_starts_at),
            sale_ends_at=_instant(self.sale_ends_at),
            per_customer_limit=self.per_customer_limit,
            hold_s=self.hold_seconds or hold_s_default,
            extensions_max=self.max_extensions or 0,
        )


class ProductEditBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What to change of a product; what is left out stays, and null takes a bound away. The currency can't change."""

    name: Name | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    sale_starts_at: Instant | UnsetType | None = UNSET
    sale_ends_at: Instant | UnsetType | None = UNSET
    per_customer_limit: CustomerLimit | UnsetType | None = UNSET
    hold_seconds: HoldSeconds | UnsetType = UNSET
    max_extensions: Extensions | UnsetType = UNSET

    def edit(self, product_id: str, currency: str) -> Edit | Invalid:
        """The edit as the service takes it; `currency` is the product's, by which the price is read."""
        name = UNSET if self.name is UNSET else names.parse_name(self.name)
        if isinstance(name, Invalid):
            return name
        price = UNSET if self.price is UNSET else _price(self.price, currency)
        if isinstance(price, Invalid):
            return price
        unwritable = _unwritable(sale_starts_at=self.sale_starts_at, sale_ends_at=self.sale_ends_at)
        if unwritable is not None:
            return unwritable
        return Edit(
            product_id=product_id,
            name=name,
            price=price,
            sale_starts_at=_instant(self.sale_starts_at),
            sale_ends_at=_instant(self.sale_ends_at),
            per_customer_limit=self.per_customer_limit,
            hold_s=self.hold_seconds,
            extensions_max=self.max_extensions,
        )


_T = TypeVar("_T", None, UnsetType | None)


def _instant(moment: datetime | _T) -> int | _T:
    return instant_of(moment) if isinstance(moment, datetime) else moment


def _unwritable(**moments: datetime | UnsetType | None) -> Invalid | None:
    """The first moment whose UTC instant can't be written in RFC 3339, or lies before the instants that we count."""
    for field, moment in moments.items():
        if isinstance(moment, datetime) and not 0 <= instant_of(moment) <= limits.INSTANT_MAX_MS:
            return Invalid(field, "expected an instant from 1970 to 9999, in UTC")
    return None


def _price(price: object, currency: str) -> int | Invalid:
    """The price in the currency's smallest unit, read digit by digit: nothing is rounded."""
    if isinstance(price, str) and _is_price(price):
        return money.parse_price(Decimal(price), currency)
    if isinstance(price, int | Decimal) and not isinstance(price, bool):
        return money.parse_price(Decimal(price), currency)
    return Invalid("price", f"expected {_A_PRICE}")


class AccountView(Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: Id
    email: str
    role: RoleText
    created_at: InstantText


class TokenView(Struct, frozen=True, rename="camel"):
    """What signing in returns; the same token is in the cookie."""

    token: str
    expires_at: InstantText


class ProductView(Struct, frozen=True, rename="camel"):
    """A product. `stockQuantity` is what was ever put in, `available` what can be reserved now."""

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
    """What all problems of one code have in common."""

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


# A crowd that wants one product gets the same line again and again.
@lru_cache(maxsize=1024)
def _line_views(lines: tuple[Line, ...]) -> tuple[LineView, ...]:
    return tuple(
        LineView(line.product_id, line.quantity, money.format_price(line.unit_price, line.currency), line.currency)
        for line in lines
    )


def product_page(products: Sequence[Product], most: int) -> ProductPage:
    """A page of at most `most` products, read with one more, which tells whether there is a next page."""
    shown = products[:most]
    return ProductPage([product_view(each) for each in shown], shown[-1].id if len(products) > most else None)


def reservation_page(reservations: Sequence[Reservation], most: int) -> ReservationPage:
    """A page of at most `most` reservations, read with one more, which tells whether there is a next page."""
    shown = reservations[:most]
    return ReservationPage(
        [reservation_view(each) for each in shown], shown[-1].id if len(reservations) > most else None
    )


def _format(ms: int | None) -> str | None:
    return None if ms is None else format_instant(ms)
