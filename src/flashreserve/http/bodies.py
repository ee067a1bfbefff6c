"""The bodies of requests, and their conversion to commands and new products."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from flashreserve.core import limits, money, names
from flashreserve.core.commands import Edit
from flashreserve.core.instants import instant_of
from flashreserve.core.model import DetailsEdit, ProductDetails, Scope, Units
from flashreserve.core.outcomes import Invalid
from flashreserve.http.fields import (
    A_PRICE,
    INSTANT_RANGE,
    PRICE_PATTERN,
    Change,
    CurrencyCode,
    CustomerLimit,
    Description,
    Email,
    EndpointUrl,
    Extensions,
    ExternalId,
    HoldSeconds,
    Id,
    ImageUrl,
    Instant,
    Metadata,
    Name,
    NewPassword,
    Password,
    PauseReason,
    Price,
    PurposeTokenText,
    Quantity,
    Reason,
    Stock,
    Subscription,
)
from flashreserve.service.catalogue import NewProduct

_CODE_LENGTH_MAX: Final = 100
_CURRENCY_DEFAULT: Final = "USD"
_is_price: Final = re.compile(PRICE_PATTERN[1:-1]).fullmatch


class RegistrationBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The e-mail address and password of a new account."""

    email: Email
    password: NewPassword


class FirstAdminBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The token of the link that a server prints, and the e-mail address and password of the first admin."""

    token: PurposeTokenText
    email: Email
    password: NewPassword


class CredentialsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The e-mail address and password of an account."""

    email: Email
    password: Password


class PasswordBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A change of one's own password."""

    old_password: Password
    new_password: NewPassword


class ResetBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A new password by a reset code."""

    email: Email
    code: Annotated[str, Meta(max_length=_CODE_LENGTH_MAX)]
    new_password: NewPassword


class ReserveBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The number of units of the product in the path, and the shop's labels. No body means one unit."""

    quantity: Quantity = 1
    external_id: ExternalId | None = None
    metadata: Metadata | None = None


class LineBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One line of a basket."""

    product_id: Id
    quantity: Quantity = 1

    def wanted(self) -> Units:
        """The line as commands have it."""
        return Units(self.product_id.lower(), self.quantity)


class BasketBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A basket: all lines or none. The same product in several lines is summed."""

    lines: Annotated[list[LineBody], Meta(min_length=1, max_length=limits.LINES_MAX)]
    external_id: ExternalId | None = None
    metadata: Metadata | None = None


class LabelsBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Changes to a reservation's labels. Fields left out stay as they are; null removes them."""

    external_id: ExternalId | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET


class PurchaseBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The units to buy; the others of the hold are given back. Without a body, all units are bought."""

    lines: Annotated[list[LineBody], Meta(min_length=1, max_length=limits.LINES_MAX)]


class ReturnBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The units of a purchase to give back, and why."""

    lines: Annotated[list[LineBody], Meta(min_length=1, max_length=limits.LINES_MAX)]
    reason: Reason | None = None


class KeyBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A new API key: what it is for, what it may do, and until when."""

    name: Name
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]
    expires_at: Instant | None = None


class EndpointBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A new endpoint: the URL that events are sent to, and their types."""

    url: EndpointUrl
    events: Subscription


class EndpointEditBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of an endpoint. Fields that are left out stay as they are."""

    url: EndpointUrl | UnsetType = UNSET
    events: Subscription | UnsetType = UNSET


class EnableBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Where deliveries go on: from `replayFrom`, or from now if it is null."""

    replay_from: Instant | None = None

    def since(self) -> int | Invalid | None:
        """The instant in UTC milliseconds; None for now."""
        return _unwritable(replayFrom=self.replay_from) or _instant(self.replay_from)


class PauseBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Why the sale is paused. Customers see it."""

    reason: PauseReason

    def line(self) -> str | Invalid:
        """The reason without invisible characters at its ends, or why it is invalid."""
        return names.parse_line(self.reason, "reason", limits.REASON_LENGTH_MAX)


class ChangeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The number of units to put in stock; a negative number takes units out."""

    change: Change


class ProductBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A new product. Null means the same as leaving the field out."""

    name: Name
    price: Price
    stock_quantity: Stock
    currency: CurrencyCode | None = _CURRENCY_DEFAULT
    sale_starts_at: Instant | None = None
    sale_ends_at: Instant | None = None
    per_customer_limit: CustomerLimit | None = None
    hold_seconds: HoldSeconds | None = None
    max_extensions: Extensions | None = 0
    external_id: ExternalId | None = None
    description: Description | None = None
    image_url: ImageUrl | None = None
    metadata: Metadata | None = None

    def details(self) -> ProductDetails:
        """The product's details."""
        return ProductDetails(self.description, self.image_url, self.metadata or {})

    def price_in_any_currency(self) -> Decimal | Invalid:
        """The price as a number, or why it is invalid in every currency."""
        return _price_in_any_currency(self.price)

    def product(self, hold_s_default: int) -> NewProduct | Invalid:
        """The product as the service takes it, or the first invalid value."""
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
            external_id=self.external_id,
        )


class ProductEditBody(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Changes to a product. Fields left out stay as they are; null removes a bound. The currency can't change."""

    name: Name | UnsetType = UNSET
    price: Price | UnsetType = UNSET
    sale_starts_at: Instant | UnsetType | None = UNSET
    sale_ends_at: Instant | UnsetType | None = UNSET
    per_customer_limit: CustomerLimit | UnsetType | None = UNSET
    hold_seconds: HoldSeconds | UnsetType = UNSET
    max_extensions: Extensions | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    image_url: ImageUrl | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET

    def details(self) -> DetailsEdit:
        """The changes to the product's details."""
        return DetailsEdit(self.description, self.image_url, self.metadata if self.metadata is not None else {})

    def fault(self) -> Invalid | None:
        """The first value that is invalid for every product, in any currency."""
        name = UNSET if self.name is UNSET else names.parse_name(self.name)
        if isinstance(name, Invalid):
            return name
        price = UNSET if self.price is UNSET else _price_in_any_currency(self.price)
        if isinstance(price, Invalid):
            return price
        return _unwritable(sale_starts_at=self.sale_starts_at, sale_ends_at=self.sale_ends_at)

    def edit(self, product_id: str, currency: str, by: str) -> Edit | Invalid:
        """The edit as the service takes it, or the first invalid value. `currency` is the product's."""
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
            archived=self.archived,
            by=by,
        )


_T = TypeVar("_T", None, UnsetType | None)


def _instant(moment: datetime | _T) -> int | _T:
    return instant_of(moment) if isinstance(moment, datetime) else moment


def _unwritable(**moments: datetime | UnsetType | None) -> Invalid | None:
    """The first time that is invalid in UTC: before 1970, or after 9999, which RFC 3339 can't write."""
    for field, moment in moments.items():
        if isinstance(moment, datetime) and not 0 <= instant_of(moment) <= limits.INSTANT_MAX_MS:
            return Invalid(field, INSTANT_RANGE)
    return None


def _price(price: object, currency: str) -> int | Invalid:
    """The price in the currency's smallest unit. It is read digit by digit, and never rounded."""
    decimal = _decimal(price)
    return decimal if isinstance(decimal, Invalid) else money.parse_price(decimal, currency)


def _price_in_any_currency(price: object) -> Decimal | Invalid:
    """The price as a number, or why it is invalid in every currency."""
    decimal = _decimal(price)
    if isinstance(decimal, Decimal) and not (decimal.is_finite() and 0 <= decimal <= limits.PRICE_MINOR_MAX):
        return Invalid("price", f"expected {A_PRICE}")
    return decimal


def _decimal(price: object) -> Decimal | Invalid:
    """The number that a price is written as, in any currency."""
    if isinstance(price, str) and _is_price(price):
        return Decimal(price)
    if isinstance(price, int | Decimal) and not isinstance(price, bool):
        return Decimal(price)
    return Invalid("price", f"expected {A_PRICE}")
