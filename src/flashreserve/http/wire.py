"""What goes over the wire: the bodies of requests and answers, and how they become commands and come from the model."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from flashreserve.core import limits, money
from flashreserve.core.commands import Edit, Wanted
from flashreserve.core.instants import format_instant, instant_of
from flashreserve.core.model import Account, Adjustment, Product, Reservation
from flashreserve.core.outcomes import Invalid
from flashreserve.http.problems import FieldError
from flashreserve.service.catalogue import NewProduct

Id = Annotated[
    str,
    Meta(
        pattern="^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
        extra_json_schema={"format": "uuid"},
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]+$")]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Instant = Annotated[datetime, Meta(tz=True)]
Quantity = Annotated[int, Meta(ge=1, le=limits.QUANTITY_MAX)]
Stock = Annotated[int, Meta(ge=0, le=limits.STOCK_MAX)]
Change = Annotated[int, Meta(ge=-limits.STOCK_MAX, le=limits.STOCK_MAX)]
CustomerLimit = Annotated[int, Meta(ge=1, le=limits.PER_CUSTOMER_LIMIT_MAX)]
HoldSeconds = Annotated[int, Meta(ge=1, le=limits.HOLD_S_MAX)]
Extensions = Annotated[int, Meta(ge=0, le=limits.EXTENSIONS_MAX)]
Price = Annotated[
    Decimal,
    Meta(
        extra_json_schema={
            "type": ["number", "string"],
            "format": "decimal",
            "minimum": 0,
            "pattern": r"^[0-9]{1,13}(\.[0-9]{1,4})?$",
        }
    ),
]


class CredentialsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Who registers or signs in."""

    email: Annotated[str, Meta(max_length=254)]
    password: Annotated[str, Meta(max_length=1024)]


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
    """A product to be made."""

    name: Name
    price: Price
    stock_quantity: Stock
    currency: CurrencyCode = "USD"
    sale_starts_at: Instant | None = None
    sale_ends_at: Instant | None = None
    per_customer_limit: CustomerLimit | None = None
    hold_seconds: HoldSeconds | None = None
    max_extensions: Extensions = 0

    def product(self, hold_s_default: int) -> NewProduct | Invalid:
        """The product as the service takes it."""
        price = money.parse_price(self.price, self.currency)
        if isinstance(price, Invalid):
            return price
        return NewProduct(
            name=self.name,
            price=price,
            currency=self.currency,
            stocked=self.stock_quantity,
            sale_starts_at=_instant(self.sale_starts_at),
            sale_ends_at=_instant(self.sale_ends_at),
            per_customer_limit=self.per_customer_limit,
            hold_s=self.hold_seconds or hold_s_default,
            extensions_max=self.max_extensions,
        )


class ProductEditBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What to change of a product; what is left out stays. The currency can't change."""

    name: Name | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    sale_starts_at: Instant | UnsetType | None = UNSET
    sale_ends_at: Instant | UnsetType | None = UNSET
    per_customer_limit: CustomerLimit | UnsetType | None = UNSET
    hold_seconds: HoldSeconds | UnsetType = UNSET
    max_extensions: Extensions | UnsetType = UNSET

    def edit(self, product_id: str, currency: str) -> Edit | Invalid:
        """The edit as the service takes it; `currency` is the product's, by which the price is read."""
        price = UNSET if isinstance(self.price, UnsetType) else money.parse_price(self.price, currency)
        if isinstance(price, Invalid):
            return price
        return Edit(
            product_id=product_id,
            name=self.name,
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


class AccountView(Struct, frozen=True, rename="camel"):
    """An account, as its owner sees it."""

    id: str
    email: str
    role: str
    created_at: str


class TokenView(Struct, frozen=True, rename="camel"):
    """What signing in returns; the same token is in the cookie."""

    token: str
    expires_at: str


class ProductView(Struct, frozen=True, rename="camel"):
    """A product. `stockQuantity` is what was ever put in, `available` what can be reserved now."""

    id: str
    name: str
    price: str
    currency: str
    stock_quantity: int
    available: int
    sale_starts_at: str | None
    sale_ends_at: str | None
    per_customer_limit: int | None
    hold_seconds: int
    max_extensions: int
    created_at: str
    updated_at: str


class StockView(Struct, frozen=True, rename="camel"):
    """A product's stock, as it was at `asOf`."""

    product_id: str
    available: int
    as_of: str


class AdjustmentView(Struct, frozen=True, rename="camel"):
    """A change of stock. `stockQuantity` and `available` are the figures right after it."""

    product_id: str
    change: int
    stock_quantity: int
    available: int
    adjusted_by: str
    adjusted_at: str


class LineView(Struct, frozen=True, rename="camel"):
    """One line of a reservation, at the price it had when it was reserved."""

    product_id: str
    quantity: int
    unit_price: str
    currency: str


class ReservationView(Struct, frozen=True, rename="camel"):
    """A reservation."""

    id: str
    user_id: str
    status: str
    lines: list[LineView]
    expires_at: str
    created_at: str
    confirmed_at: str | None
    released_at: str | None


class ProductPage(Struct, frozen=True, rename="camel"):
    """Some products. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[ProductView]
    next_cursor: str | None


class ReservationPage(Struct, frozen=True, rename="camel"):
    """Some reservations. `nextCursor`, if not null, is the `cursor` of the next page."""

    items: list[ReservationView]
    next_cursor: str | None


class ProblemKindView(Struct, frozen=True):
    """What all problems of one code have in common."""

    code: str
    status: int
    title: str
    meaning: str


class HealthView(Struct, frozen=True):
    """All is well."""

    status: str = "ok"


encode: Final = msgspec.json.Encoder().encode

T = TypeVar("T")
_WHERE: Final = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def decoder(kind: type[T]) -> Callable[[bytes], T | FieldError]:
    """How a body of this kind is read: the value, or what is wrong with it first."""
    decode = msgspec.json.Decoder(kind).decode

    def read(body: bytes) -> T | FieldError:
        try:
            return decode(body)
        except msgspec.ValidationError as error:
            return _field_error(str(error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return FieldError("body", "expected a JSON document")

    return read


def convert(value: Any, kind: type[T], field: str) -> T | FieldError:
    """A query parameter or a column as this kind, or what is wrong with it."""
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        return FieldError(field, _field_error(str(error)).message)


def _field_error(text: str) -> FieldError:
    """Msgspec's message, which ends in the place it is about, if that isn't the whole body."""
    found = _WHERE.match(text)
    message, path = (found["message"], found["path"]) if found else (text, None)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL)
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    field = (path or "$").removeprefix("$").removeprefix(".")
    if unknown or missing:
        name = (unknown or missing)[1][:100]  # type: ignore[index]
        field = f"{field}.{name}".removeprefix(".")
        return FieldError(field, "expected no such field" if unknown else "expected this field")
    return FieldError(field or "body", message[:1].lower() + message[1:])


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
        status=held.status.value,
        lines=[
            LineView(line.product_id, line.quantity, money.format_price(line.unit_price, line.currency), line.currency)
            for line in held.lines
        ],
        expires_at=format_instant(held.expires_at),
        created_at=format_instant(held.created_at),
        confirmed_at=_format(held.confirmed_at),
        released_at=_format(held.released_at),
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
