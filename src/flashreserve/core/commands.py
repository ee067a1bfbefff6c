"""The commands: what callers ask for, as values. Ids in them are made by the callers; the core makes none."""

import msgspec
from msgspec import UNSET, UnsetType


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A quantity of one product that a request asks for."""

    product_id: str
    quantity: int


class Reserve(msgspec.Struct, frozen=True, gc=False):
    """Hold all of `lines` or nothing, under a new `reservation_id`.

    `lines` are in the order of product ids, each product once (see `sale.basket`). `key` is the customer's idempotency
    key. If a key is repeated, the lines of both requests are compared, because a request has no other content.
    """

    reservation_id: str
    user_id: str
    lines: tuple[Wanted, ...]
    key: str | None = None


class Confirm(msgspec.Struct, frozen=True, gc=False):
    """Buy the held units."""

    reservation_id: str
    user_id: str


class Extend(msgspec.Struct, frozen=True, gc=False):
    """Extend the hold by a full hold time, counted from now."""

    reservation_id: str
    user_id: str


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Give back the held units."""

    reservation_id: str
    user_id: str


class Expire(msgspec.Struct, frozen=True, gc=False):
    """Release a hold that has lapsed. Only the sweep uses this command."""

    reservation_id: str


class Restock(msgspec.Struct, frozen=True, gc=False):
    """Put `change` units in, or take them out if it is negative, once for each `key`. `by` is the admin."""

    product_id: str
    key: str
    change: int
    by: str


class Edit(msgspec.Struct, frozen=True, gc=False):
    """Change a product's description or rules. Unset fields stay as they are."""

    product_id: str
    name: str | UnsetType = UNSET
    price: int | UnsetType = UNSET
    sale_starts_at: int | UnsetType | None = UNSET
    sale_ends_at: int | UnsetType | None = UNSET
    per_customer_limit: int | UnsetType | None = UNSET
    hold_s: int | UnsetType = UNSET
    extensions_max: int | UnsetType = UNSET


Command = Reserve | Extend | Confirm | Cancel | Expire | Restock | Edit
