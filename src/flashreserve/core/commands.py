"""The commands: what callers ask for, as values. Ids in them are made by the callers; the core makes none.

A command on a reservation has the `user_id` of the customer whose it must be. None stands for an admin or a key, who
may act on any reservation. `by` is the name under which the change is recorded: see `core.events.actor_named`.
"""

import msgspec
from msgspec import UNSET, UnsetType

from flashreserve.core.events import BY_COMMAND_LINE
from flashreserve.core.model import BY_CUSTOMER, Units


class Reserve(msgspec.Struct, frozen=True, gc=False):
    """Hold all of `lines` or nothing, under a new `reservation_id`.

    `lines` are in the order of product ids, each product once (see `sale.basket`). `key` is the customer's idempotency
    key. If a key is repeated, the lines of both requests are compared. `external_id` and `metadata` aren't.
    """

    reservation_id: str
    user_id: str
    lines: tuple[Units, ...]
    key: str | None = None
    external_id: str | None = None
    metadata: dict[str, str] = {}


class Confirm(msgspec.Struct, frozen=True, gc=False):
    """Buy the held units, or only `lines` of them. The rest is given back before.

    `lines` are in the order of product ids, each product once. Products that they leave out are given back whole.
    """

    reservation_id: str
    user_id: str | None
    lines: tuple[Units, ...] | None = None
    by: str = BY_CUSTOMER


class Extend(msgspec.Struct, frozen=True, gc=False):
    """Extend the hold by a full hold time, counted from now."""

    reservation_id: str
    user_id: str | None
    by: str = BY_CUSTOMER


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """Release the held units."""

    reservation_id: str
    user_id: str | None
    by: str = BY_CUSTOMER


class Return(msgspec.Struct, frozen=True, gc=False):
    """Give back `lines` of a purchase, once for each `key`.

    `lines` are in the order of product ids, each product once. If a key is repeated, the lines are compared.
    """

    reservation_id: str
    user_id: str | None
    lines: tuple[Units, ...]
    key: str
    by: str
    reason: str | None = None


class Label(msgspec.Struct, frozen=True, gc=False):
    """Change the shop's own id and metadata of a reservation, whatever its status. Unset fields stay as they are."""

    reservation_id: str
    user_id: str | None
    external_id: str | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class Expire(msgspec.Struct, frozen=True, gc=False):
    """Release a hold that has lapsed. Only the sweep uses this command."""

    reservation_id: str


class Restock(msgspec.Struct, frozen=True, gc=False):
    """Put `change` units in, or take them out if it is negative, once for each `key`."""

    product_id: str
    key: str
    change: int
    by: str


class Edit(msgspec.Struct, frozen=True, gc=False):
    """Change a product's name, price or rules. Unset fields stay as they are.

    `pause_reason` pauses the sale; None resumes it.
    """

    product_id: str
    name: str | UnsetType = UNSET
    price: int | UnsetType = UNSET
    sale_starts_at: int | UnsetType | None = UNSET
    sale_ends_at: int | UnsetType | None = UNSET
    per_customer_limit: int | UnsetType | None = UNSET
    hold_s: int | UnsetType = UNSET
    extensions_max: int | UnsetType = UNSET
    archived: bool | UnsetType = UNSET
    pause_reason: str | UnsetType | None = UNSET
    by: str = BY_COMMAND_LINE


Command = Reserve | Extend | Confirm | Cancel | Return | Label | Expire | Restock | Edit
