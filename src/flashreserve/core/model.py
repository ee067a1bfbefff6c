"""The data model: products with stock, reservations with lines, accounts.

Instants are integers, UTC milliseconds since 1970. Money is an integer in the currency's smallest unit.
Ids are UUIDv7 as text of 36 characters.
"""

from enum import StrEnum
from typing import Self

import msgspec


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


class Line(msgspec.Struct, frozen=True, gc=False):
    """One product of a reservation, at the price of the moment when the hold was granted."""

    product_id: str
    quantity: int
    unit_price: int
    currency: str


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """Units held for, or bought by, one customer.

    `lines` are in the order of product ids, each product once. `hold_s` and `extensions_max` are the terms of the
    grant: later edits of the products don't change them.
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

    def as_granted(self) -> Self:
        """The reservation as it was granted, which is the answer to a repeated request."""
        return msgspec.structs.replace(
            self,
            status=Status.PENDING,
            expires_at=self.created_at + self.hold_s * 1000,
            extensions=0,
            confirmed_at=None,
            released_at=None,
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
    """An account that can sign in. `email` is normalised, `password_hash` is an argon2id string."""

    id: str
    email: str
    role: Role
    password_hash: str
    created_at: int

    def __repr__(self) -> str:
        """The representation without the hash, because logs and tracebacks show it."""
        return f"Account(id={self.id!r}, email={self.email!r}, role={self.role.value!r})"
