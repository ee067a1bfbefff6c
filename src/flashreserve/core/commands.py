"""What can be asked of the stock. Ids arrive in the commands; nothing here makes one."""

import msgspec
from msgspec import UNSET, UnsetType


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """So many units of a product."""

    product_id: str
    quantity: int


class Reserve(msgspec.Struct, frozen=True, gc=False):
    """Hold all of `lines` or nothing, under a new `reservation_id`.

    `lines` are in product order, each product once (see `sale.basket`). `key` is the customer's idempotency key.
    The lines are also what a repeated key is compared by: a request asks for nothing else.
    """

    reservation_id: str
    user_id: str
    lines: tuple[Wanted, ...]
    key: str | None = None


class Confirm(msgspec.Struct, frozen=True, gc=False):
    """Buy what is held."""

    reservation_id: str
    user_id: str


class Extend(msgspec.Struct, frozen=True, gc=False):
    """Hold on for another full hold time, counted from now."""

    reservation_id: str
    user_id: str


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Give back what is held."""

    reservation_id: str
    user_id: str


class Expire(msgspec.Struct, frozen=True, gc=False):
    """Release a hold that has lapsed; the sweep's own command."""

    reservation_id: str


class Restock(msgspec.Struct, frozen=True, gc=False):
    """Put `change` units in (or take them out, below zero), once under `key`, by the admin `by`."""

    product_id: str
    key: str
    change: int
    by: str


class Edit(msgspec.Struct, frozen=True, gc=False):
    """Change a product's description or rules; fields left unset stay."""

    product_id: str
    name: str | UnsetType = UNSET
    price: int | UnsetType = UNSET
    sale_starts_at: int | UnsetType | None = UNSET
    sale_ends_at: int | UnsetType | None = UNSET
    per_customer_limit: int | UnsetType | None = UNSET
    hold_s: int | UnsetType = UNSET
    extensions_max: int | UnsetType = UNSET


Command = Reserve | Extend | Confirm | Cancel | Expire | Restock | Edit
