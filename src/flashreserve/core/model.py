"""The data model: products with stock, reservations with lines, accounts.

Instants are integers, UTC milliseconds since 1970. Money is an integer in the currency's smallest unit.
Ids are UUIDv7 as text of 36 characters, except customers' ids (`user_id`): these are opaque texts, and only those of
own accounts are UUIDs (see `core.customers`).
"""

from enum import StrEnum
from typing import Final, Self

import msgspec
from msgspec import UNSET, UnsetType


class Status(StrEnum):
    """A reservation's status. `PENDING` becomes one of the others, which are final."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


LIVE = frozenset({Status.PENDING, Status.CONFIRMED})
"""The statuses in which a reservation's units are missing from `available`."""


class Product(msgspec.Struct, frozen=True, gc=False):
    """A product, its stock and the rules by which it is sold.

    Always `0 <= available <= stocked`. `rev` grows by one with each edit of the rules, not with stock movements.
    `external_id` is the shop's own id of the product, which no other product has. An archived product is neither listed
    nor sold. `pause_reason` is why this product's sale is paused, `shop_pause_reason` why those of all products are.
    `trail_n` is the number of its events so far; making it is the first.
    """

    id: str
    name: str
    price: int
    currency: str
    stocked: int
    available: int
    sale_starts_at: int | None
    sale_ends_at: int | None
    per_customer_limit: int | None
    hold_s: int
    extensions_max: int
    created_at: int
    updated_at: int
    rev: int = 1
    external_id: str | None = None
    archived_at: int | None = None
    pause_reason: str | None = None
    shop_pause_reason: str | None = None
    trail_n: int = 1

    @property
    def pause(self) -> str | None:
        """Why the sale is paused; None if it isn't. The product's own reason comes first."""
        return self.pause_reason if self.pause_reason is not None else self.shop_pause_reason


class ProductDetails(msgspec.Struct, frozen=True):
    """What a shop shows of a product. It is stored apart from the product, because no rule and no flush needs it."""

    description: str | None = None
    image_url: str | None = None
    metadata: dict[str, str] = {}


class DetailsEdit(msgspec.Struct, frozen=True):
    """Changes to a product's details. Unset fields stay as they are.

    `metadata` replaces all pairs. `pairs` then sets the values of single keys, and None removes a key.
    """

    description: str | UnsetType | None = UNSET
    image_url: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    pairs: dict[str, str | None] = {}

    def apply(self, details: ProductDetails) -> ProductDetails:
        """The details after the changes."""
        metadata = {**(details.metadata if self.metadata is UNSET else self.metadata), **self.pairs}
        return ProductDetails(
            description=details.description if self.description is UNSET else self.description,
            image_url=details.image_url if self.image_url is UNSET else self.image_url,
            metadata={key: value for key, value in metadata.items() if value is not None},
        )


class Line(msgspec.Struct, frozen=True, gc=False):
    """One product of a reservation, at the price of the moment when the hold was granted.

    `quantity` never changes. `returned` of these units were given back: after the purchase, or by a confirmation of
    fewer units.
    """

    product_id: str
    quantity: int
    unit_price: int
    currency: str
    returned: int = 0

    @property
    def left(self) -> int:
        """The units that weren't given back."""
        return self.quantity - self.returned


class Units(msgspec.Struct, frozen=True, gc=False):
    """A number of units of one product."""

    product_id: str
    quantity: int


BY_CUSTOMER: Final = "customer"
"""The name under which a customer's own changes are recorded. The reservation says which customer it is."""


class ReturnEntry(msgspec.Struct, frozen=True, gc=False):
    """Units of a reservation that were given back at once, at `at` (ms), by the admin or key `by`, or BY_CUSTOMER.

    `key` is the request's idempotency key. A confirmation of fewer units makes an entry without a key.
    """

    lines: tuple[Units, ...]
    at: int
    by: str
    key: str | None = None
    reason: str | None = None


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """Units held for, or bought by, one customer.

    `lines` are in the order of product ids, each product once. `hold_s` and `extensions_max` are the terms of the
    grant: later edits of the products don't change them. `returns` are in the order in which they were made.
    `external_id` and `metadata` are the shop's own; several reservations may have one external id. `trail_n` is the
    number of its events so far; the first is the grant.
    """

    id: str
    user_id: str
    status: Status
    lines: tuple[Line, ...]
    created_at: int
    expires_at: int
    hold_s: int
    extensions_max: int
    extensions: int = 0
    confirmed_at: int | None = None
    released_at: int | None = None
    key: str | None = None
    returns: tuple[ReturnEntry, ...] = ()
    external_id: str | None = None
    metadata: dict[str, str] = {}
    trail_n: int = 1

    def as_granted(self) -> Self:
        """The reservation as it was granted, which is the answer to a repeated request. Labels are the present ones."""
        return msgspec.structs.replace(
            self,
            status=Status.PENDING,
            expires_at=self.created_at + self.hold_s * 1000,
            extensions=0,
            confirmed_at=None,
            released_at=None,
            lines=tuple(msgspec.structs.replace(line, returned=0) if line.returned else line for line in self.lines),
            returns=(),
            trail_n=1,
        )


class Adjustment(msgspec.Struct, frozen=True, gc=False):
    """A change of a product's stock by an admin, kept under its idempotency key.

    `stocked` and `available` are the product's figures right after the change.
    """

    product_id: str
    key: str
    change: int
    by: str
    at: int
    stocked: int
    available: int


class Role(StrEnum):
    """The rights of an account: customers reserve and buy, admins manage products."""

    CUSTOMER = "customer"
    ADMIN = "admin"


class Account(msgspec.Struct, frozen=True, gc=False):
    """An account that can sign in. `email` is normalised, `password_hash` is an argon2id string.

    A disabled account can't sign in. Tokens that were issued at `signed_out_at` or earlier are refused. `trail_n` is
    the number of its events so far.
    """

    id: str
    email: str
    role: Role
    password_hash: str
    created_at: int
    disabled_at: int | None = None
    signed_out_at: int | None = None
    trail_n: int = 0

    def __repr__(self) -> str:
        """The representation without the hash, because logs and tracebacks show it."""
        return f"Account(id={self.id!r}, email={self.email!r}, role={self.role.value!r})"


class Scope(StrEnum):
    """Something that an API key may do."""

    CUSTOMERS = "customers"
    """Act for any customer, and on any reservation."""
    CATALOGUE = "catalogue"
    """Manage products and stock."""
    READ = "read"
    """Read all reservations, exports and metrics."""
    REHEARSE = "rehearse"
    """Run a rehearsal."""


class ApiKey(msgspec.Struct, frozen=True, gc=False):
    """A key by which a program of the shop's signs its requests. `secret_hash` is the SHA-256 of its secret, in hex.

    `created_by` is the admin who made it; None if the command line did. `last_used_at` is exact to a minute or so.
    `trail_n` is the number of its events so far; making it is the first.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    secret_hash: str
    created_at: int
    created_by: str | None
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None
    trail_n: int = 1

    def __repr__(self) -> str:
        """The representation without the hash, because logs and tracebacks show it."""
        return f"ApiKey(id={self.id!r}, name={self.name!r}, scopes={[scope.value for scope in self.scopes]!r})"
